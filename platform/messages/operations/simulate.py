"""Simulating: letting sandbox mail end in a chosen way, through the states of live mail."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ...core import clock
from ...core.actor import Actor, Mode, Permission
from ...core.database import fetch, transaction
from ...core.errors import DetailCode, InvalidInput, NotFound, OperationError
from ...core.ids import new_id, parse_id
from ...delivery.scripts import MAX_DELAY, MAX_RESPONSE, SCRIPTS, SimulatedOutcome
from ...delivery.work.simulating import Simulation, can_follow, put_off, simulate
from ...mail.address import comparable
from ..errors import AlreadyFinal, MessageNotSandbox
from ..rules import CheckedMessage, Faults, NewMessage, Source
from .accept import accept
from .filling import read_filled
from .submission import Submission

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class NewSimulation:
    """What is to become of a sandbox message, as the customer says it."""

    message_id: uuid.UUID | None = None
    message: NewMessage | None = None
    """One to create; exactly one of the two is given."""
    outcome: SimulatedOutcome = SimulatedOutcome.DELIVERED
    recipient: str | None = None
    """Address, or id of the delivery; None is every one that is open."""
    code: int | None = None
    reply: str | None = None
    delay_seconds: int = 0
    fire_webhooks: bool = True


@dataclass(frozen=True, slots=True)
class SimulatedDelivery:
    """One recipient as it is after the simulation."""

    id: uuid.UUID
    address: str
    state: str
    bounce_class: str | None


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation did, or will do at *applies_at*."""

    id: uuid.UUID
    status: str
    outcome: SimulatedOutcome
    deliveries: Sequence[SimulatedDelivery]
    applies_at: datetime | None


async def simulate_delivery(actor: Actor, new: NewSimulation) -> Simulated:
    """Let a sandbox message end as *new* says; no mail leaves and nothing is charged.

    With a delay it happens in the background, whatever becomes of this process; a recipient
    that is cancelled meanwhile stays cancelled.

    Raises:
        NotFound: there is no such message.
        InvalidInput: a value breaks a rule, or both or neither of the messages is given.
        MessageNotSandbox: the message is live.
        AlreadyFinal: there is no recipient that the outcome could follow for.
    """
    actor.require(Permission.WRITE_MESSAGES)
    _check(new)
    message_id = new.message_id
    if new.message is not None:
        message_id = await _create(actor, new.message, new)
    assert message_id is not None
    async with transaction() as tx:
        wanted = await _simulation(actor, message_id, new)
        applies_at = None
        if new.message is not None and _is_dropped(new):
            happened = await _deliveries(wanted)
        elif new.delay_seconds:
            happened = await _deliveries(wanted)
            if not await can_follow(wanted):
                raise AlreadyFinal
            applies_at = clock.now() + timedelta(seconds=new.delay_seconds)
            await put_off(tx, new_id(), wanted, due_at=applies_at)
        else:
            happened = await simulate(tx, wanted)
            if not happened and new.message is None:
                raise AlreadyFinal
            # Of a message that was made for it, the recipients may all be suppressed in truth.
            happened = happened or await _deliveries(wanted)
        return await _answer(wanted, happened, applies_at)


def _check(new: NewSimulation) -> None:
    faults = Faults()
    if new.message_id is None and new.message is None:
        faults.add("messageId", DetailCode.REQUIRED, "Name a message, or write one.")
    if new.message_id is not None and new.message is not None:
        faults.add("message", DetailCode.MUTUALLY_EXCLUSIVE, "Name a message or write one.")
    if new.code is not None:
        _check_code(new, new.code, faults)
    if new.reply is not None:
        if len(new.reply) > MAX_RESPONSE:
            faults.add("smtpResponse", DetailCode.TOO_LONG, "At most 512 characters.")
        elif _CONTROL.search(new.reply):
            message = "A response has no line breaks and no control characters."
            faults.add("smtpResponse", DetailCode.INVALID_FORMAT, message)
    if new.delay_seconds < 0:
        faults.add("delaySeconds", DetailCode.TOO_SMALL, "At least 0 seconds.")
    elif new.delay_seconds > MAX_DELAY.total_seconds():
        faults.add("delaySeconds", DetailCode.TOO_LARGE, "At most 3600 seconds.")
    faults.raise_if_any()


def _check_code(new: NewSimulation, code: int, faults: Faults) -> None:
    if code < 200:
        faults.add("smtpCode", DetailCode.TOO_SMALL, "At least 200.")
    elif code > 599:
        faults.add("smtpCode", DetailCode.TOO_LARGE, "At most 599.")
    elif not SCRIPTS[new.outcome].takes(code):
        message = f"A reply {code} does not lead to the outcome '{new.outcome.value}'."
        faults.add("smtpCode", DetailCode.NOT_ALLOWED, message)


def _is_dropped(new: NewSimulation) -> bool:
    return new.outcome is SimulatedOutcome.SUPPRESSED and not new.delay_seconds


async def _create(actor: Actor, message: NewMessage, new: NewSimulation) -> uuid.UUID:
    """Accept the message into the sandbox; whatever can be refused is refused before."""
    try:
        return await _accept(actor, await read_filled(actor, message), new)
    except InvalidInput as error:
        if any(each.field == "recipient" for each in error.details):
            raise
        details = [replace(each, field=f"message.{each.field}") for each in error.details]
        raise InvalidInput(error.sentence, code=error.error_code, details=details) from error


async def _accept(actor: Actor, checked: CheckedMessage, new: NewSimulation) -> uuid.UUID:
    chosen = _chosen_keys(checked, new.recipient)
    outcome = await accept(
        Submission(
            actor=replace(actor, mode=Mode.SANDBOX),
            messages=[checked],
            source=Source.API,
            batch_id=None,
            atomic=True,
            operation="simulateDelivery",
            key=None,
            fingerprint=b"",
            dropped=chosen if _is_dropped(new) else frozenset(),
            calls_webhooks=new.fire_webhooks,
        )
    )
    (receipt,) = outcome.results
    if isinstance(receipt, OperationError):
        raise receipt
    return receipt.id


def _chosen_keys(message: CheckedMessage, recipient: str | None) -> frozenset[str]:
    keys = frozenset(each.mailbox.key for each in message.recipients)
    if recipient is None:
        return keys
    if _CONTROL.search(recipient) or comparable(recipient) not in keys:
        raise _no_recipient()
    return frozenset([comparable(recipient)])


def _no_recipient() -> InvalidInput:
    return InvalidInput.of("recipient", DetailCode.NOT_FOUND, "The message has no such recipient.")


async def _simulation(actor: Actor, message_id: uuid.UUID, new: NewSimulation) -> Simulation:
    rows = await fetch(
        "SELECT project_id, mode FROM messages WHERE id = {} AND organization_id = {} "
        "AND ({}::uuid IS NULL OR project_id = {})",
        message_id,
        actor.organization_id,
        actor.project_id,
        actor.project_id,
    )
    if not rows:
        raise NotFound("There is no such message in this organization.")
    if rows[0]["mode"] != Mode.SANDBOX:
        raise MessageNotSandbox
    delivery_id = None
    if new.recipient is not None:
        delivery_id = await _find_recipient(message_id, new.recipient)
    return Simulation(
        organization_id=actor.organization_id,
        project_id=rows[0]["project_id"],
        message_id=message_id,
        delivery_id=delivery_id,
        outcome=new.outcome,
        code=new.code,
        reply=new.reply,
        fire_webhooks=new.fire_webhooks,
    )


async def _find_recipient(message_id: uuid.UUID, recipient: str) -> uuid.UUID:
    if _CONTROL.search(recipient):
        raise _no_recipient()
    rows = await fetch(
        "SELECT id FROM deliveries WHERE message_id = {} AND (id = {}::uuid OR address_key = {})",
        message_id,
        parse_id(recipient),
        comparable(recipient),
    )
    if not rows:
        raise _no_recipient()
    found: uuid.UUID = rows[0]["id"]
    return found


async def _deliveries(wanted: Simulation) -> list[uuid.UUID]:
    rows = await fetch(
        "SELECT id FROM deliveries WHERE message_id = {} AND ({}::uuid IS NULL OR id = {})",
        wanted.message_id,
        wanted.delivery_id,
        wanted.delivery_id,
    )
    return [row["id"] for row in rows]


async def _answer(
    wanted: Simulation, ids: Sequence[uuid.UUID], applies_at: datetime | None
) -> Simulated:
    rows: Sequence[dict[str, Any]] = await fetch(
        "SELECT deliveries.id, address, state, bounce_class, status "
        "FROM deliveries JOIN spooled_messages ON spooled_messages.id = message_id "
        "WHERE message_id = {} AND deliveries.id = ANY({}::uuid[]) ORDER BY deliveries.id",
        wanted.message_id,
        list(ids),
    )
    return Simulated(
        id=wanted.message_id,
        status=rows[0]["status"],
        outcome=wanted.outcome,
        deliveries=[
            SimulatedDelivery(row["id"], row["address"], row["state"], row["bounce_class"])
            for row in rows
        ],
        applies_at=applies_at,
    )
