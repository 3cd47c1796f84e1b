"""Simulating: sandbox mail goes the way of live mail, with a reply that somebody made up."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ...core import clock
from ...core.actor import OrganizationId, ProjectId
from ...core.database import Tx, fetch, transaction
from ...core.queue import JobName, enqueue
from ...events.operations import NewEvent, append
from ...events.rules import NO_WEBHOOKS, EventType
from ...mail.markup import Tag, read_tokens
from ..contents import ContentFormat, decode_parts
from ..rules import DeliveryState
from ..scripts import SCRIPTS, Script, SimulatedOutcome
from .claims import Claim
from .settlements import Settlement
from .settling import settle_in, write_messages

STARTABLE = (DeliveryState.SCHEDULED, DeliveryState.QUEUED, DeliveryState.DEFERRED)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What is to become of a sandbox message, or of one of its deliveries."""

    organization_id: OrganizationId
    project_id: ProjectId
    message_id: uuid.UUID
    delivery_id: uuid.UUID | None
    """None: whichever are open; if none is, those delivered, where that can follow."""
    outcome: SimulatedOutcome
    code: int | None = None
    reply: str | None = None
    fire_webhooks: bool = True


async def simulate(tx: Tx, wanted: Simulation) -> list[uuid.UUID]:
    """Let it happen now, and return the deliveries that it happened to; maybe none."""
    rows = await _lock(wanted.message_id)
    ids = set(_chosen(rows, wanted))
    if not ids:
        return []
    chosen = [row for row in rows if row["id"] in ids]
    open_ones = [row for row in chosen if row["state"] in STARTABLE]
    script = SCRIPTS[wanted.outcome]
    if script.verdict is None:
        await _suppress(tx, wanted, open_ones)
    elif open_ones:
        await _attempt(tx, wanted, script, open_ones)
    if script.then:
        await _engage(tx, wanted, script, chosen)
    return [row["id"] for row in chosen]


async def can_follow(wanted: Simulation) -> bool:
    """Say whether there is a delivery that it could happen to now."""
    return bool(_chosen(await _lock(wanted.message_id), wanted))


async def put_off(tx: Tx, id: uuid.UUID, wanted: Simulation, *, due_at: datetime) -> None:
    """Let it happen at *due_at*, whatever becomes of this process."""
    await fetch(
        "INSERT INTO simulations (id, organization_id, project_id, message_id, delivery_id, "
        "outcome, code, reply, fire_webhooks, due_at, created_at) "
        "VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
        id,
        wanted.organization_id,
        wanted.project_id,
        wanted.message_id,
        wanted.delivery_id,
        wanted.outcome.value,
        wanted.code,
        wanted.reply,
        wanted.fire_webhooks,
        due_at,
        clock.now(),
    )

    async def ask() -> None:
        await ask_for(id, at=due_at)

    tx.after_commit(ask)


async def ask_for(id: uuid.UUID, *, at: datetime | None = None) -> None:
    """Ask for the job that lets a simulation happen."""
    await enqueue(JobName.SIMULATE, key=f"simulate:{id}", at=at, simulation_id=str(id))


_DUE = "SELECT id FROM simulations WHERE due_at <= {}"
ANY_DUE_SIMULATION = f"EXISTS ({_DUE})"


async def ask_for_due_simulations(*, limit: int) -> None:
    """Ask for the jobs of those that are due, in case theirs were lost."""
    rows = await fetch(f"{_DUE} ORDER BY due_at LIMIT {{}}", clock.now(), limit)
    for row in rows:
        await ask_for(row["id"])


async def run_simulation(id: uuid.UUID) -> int:
    """Let one happen that is due, once; return how many deliveries it happened to."""
    async with transaction() as tx:
        # Removed in the transaction in which it happens: if that fails, it is still there.
        rows = await fetch(
            "DELETE FROM simulations WHERE id = {} AND due_at <= {} RETURNING *", id, clock.now()
        )
        if not rows:
            return 0
        row = rows[0]
        wanted = Simulation(
            organization_id=row["organization_id"],
            project_id=row["project_id"],
            message_id=row["message_id"],
            delivery_id=row["delivery_id"],
            outcome=SimulatedOutcome(row["outcome"]),
            code=row["code"],
            reply=row["reply"],
            fire_webhooks=row["fire_webhooks"],
        )
        return len(await simulate(tx, wanted))


async def _lock(message_id: uuid.UUID) -> Sequence[Mapping[str, Any]]:
    # The message before its deliveries, as settling and cancelling do.
    await fetch("SELECT FROM spooled_messages WHERE id = {} FOR NO KEY UPDATE", message_id)
    rows: Sequence[Mapping[str, Any]] = await fetch(
        "SELECT id, state, queue_id FROM deliveries WHERE message_id = {} ORDER BY id FOR UPDATE",
        message_id,
    )
    return rows


def _chosen(rows: Sequence[Mapping[str, Any]], wanted: Simulation) -> list[uuid.UUID]:
    named = [row for row in rows if wanted.delivery_id in (None, row["id"])]
    found = [row["id"] for row in named if row["state"] in STARTABLE]
    if not found and SCRIPTS[wanted.outcome].then:
        found = [row["id"] for row in named if row["state"] == DeliveryState.DELIVERED]
    return found


async def _attempt(
    tx: Tx, wanted: Simulation, script: Script, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Make an attempt for each, and if the script says so let their time run out."""
    now = clock.now()
    outcome = script.outcome(code=wanted.code, text=wanted.reply, now=now)
    claims = await _claim(wanted, rows)
    await settle_in(tx, [Settlement(claim, vmta, outcome) for claim, vmta in claims])
    if script.expires:
        again = await _claim(wanted, rows)
        over = [(replace(claim, expires_at=now), vmta) for claim, vmta in again]
        await settle_in(tx, [Settlement(claim, vmta, None) for claim, vmta in over])


async def _claim(wanted: Simulation, rows: Sequence[Mapping[str, Any]]) -> list[tuple[Claim, str]]:
    """Take deliveries as a worker does; they stay without a due time, so that none comes."""
    found = await fetch(
        """
        WITH claimed AS (
            UPDATE deliveries SET state = 'sending', attempts = attempts + 1, simulated = true
            WHERE id = ANY({}::uuid[]) AND due_at IS NULL AND state = ANY({}::text[])
            RETURNING id, queue_id, attempts, address, priority, expires_at, message_id,
                last_attempt_at IS NULL AS is_untried
        )
        SELECT claimed.id, claimed.queue_id, claimed.attempts, claimed.address,
            claimed.priority, claimed.expires_at, claimed.is_untried, queues.vmta_id,
            coalesce(vmtas.name, '') AS vmta, message.content_id, message.domain_id,
            message.return_path_domain
        FROM claimed JOIN queues ON queues.id = claimed.queue_id
        LEFT JOIN vmtas ON vmtas.id = queues.vmta_id
        JOIN spooled_messages AS message ON message.id = claimed.message_id
        """,
        [row["id"] for row in rows],
        [state.value for state in STARTABLE],
    )
    return [(_claim_of(row, wanted), row["vmta"]) for row in found]


def _claim_of(row: Mapping[str, Any], wanted: Simulation) -> Claim:
    return Claim(
        delivery_id=row["id"],
        queue_id=row["queue_id"],
        attempt=row["attempts"],
        organization_id=wanted.organization_id,
        project_id=wanted.project_id,
        message_id=wanted.message_id,
        vmta_id=row["vmta_id"],
        due_since=clock.now(),
        content_id=row["content_id"],
        content_bytes=None,
        domain_id=row["domain_id"],
        return_path_domain=row["return_path_domain"],
        address=row["address"],
        priority=row["priority"],
        expires_at=row["expires_at"],
        cancel_requested=False,
        is_untried=row["is_untried"],
        simulated=True,
        calls_webhooks=wanted.fire_webhooks,
    )


async def _suppress(tx: Tx, wanted: Simulation, rows: Sequence[Mapping[str, Any]]) -> None:
    now = clock.now()
    await fetch(
        "UPDATE deliveries SET state = 'suppressed', simulated = true, settled_at = {} "
        "WHERE id = ANY({}::uuid[])",
        now,
        [row["id"] for row in rows],
    )
    await write_messages([wanted.message_id], now)
    events = [
        _event(wanted, row["id"], EventType.MESSAGE_SUPPRESSED, {"reason": "manual"})
        for row in rows
    ]
    await append(tx, events)


async def _engage(
    tx: Tx, wanted: Simulation, script: Script, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write down what recipients do with mail that was delivered to them."""
    ids = [row["id"] for row in rows]
    before = await fetch(
        "SELECT DISTINCT delivery_id, type FROM events "
        "WHERE message_id = {} AND delivery_id = ANY({}::uuid[]) AND type = ANY({}::text[])",
        wanted.message_id,
        ids,
        [type.value for type in script.then],
    )
    known = {(row["delivery_id"], row["type"]) for row in before}
    url = None
    if EventType.MESSAGE_CLICKED in script.then:
        url = await _first_link(wanted.message_id)
    events = [
        _event(wanted, id, type, _details(type, first=(id, type.value) not in known, url=url))
        for id in ids
        for type in script.then
    ]
    await append(tx, events)


def _details(type: EventType, *, first: bool, url: str | None) -> dict[str, Any]:
    if type is EventType.MESSAGE_COMPLAINED:
        return {"provider": None, "feedback_type": "abuse"}
    nobody: dict[str, Any] = {"user_agent": None, "ip": None, "first": first}
    if type is EventType.MESSAGE_OPENED:
        return {**nobody, "machine_open": False, "implied": False}
    return {**nobody, "url": url, "link_index": None if url is None else 0, "bot": False}


def _event(
    wanted: Simulation, delivery_id: uuid.UUID, type: EventType, data: Mapping[str, Any]
) -> NewEvent:
    return NewEvent(
        organization_id=wanted.organization_id,
        project_id=wanted.project_id,
        message_id=wanted.message_id,
        delivery_id=delivery_id,
        type=type,
        data=data if wanted.fire_webhooks else {**data, **NO_WEBHOOKS},
        occurred_at=clock.now(),
        simulated=True,
    )


async def _first_link(message_id: uuid.UUID) -> str | None:
    """Return where the first link of the HTML leads; None without one, or without content."""
    rows = await fetch(
        "SELECT format, body FROM contents WHERE id = "
        "(SELECT content_id FROM spooled_messages WHERE id = {})",
        message_id,
    )
    if not rows or rows[0]["format"] != ContentFormat.PARTS:
        return None
    for token in read_tokens(decode_parts(rows[0]["body"]).html or ""):
        target = token.get("href") if isinstance(token, Tag) and token.name == "a" else None
        if target and target.strip().lower().startswith(("http://", "https://")):
            return target.strip()
    return None
