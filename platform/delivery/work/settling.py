"""Settling: what became of attempts, written down for a whole batch at once."""

import json
import random
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import Tx, fetch, transaction
from ...core.ids import new_id
from ...credits.lots import Refund, refund_all
from ...events.operations import NewEvent, append
from ...events.rules import NO_WEBHOOKS, EventType
from ...mail.outcome import BounceClass, BounceType, Outcome, Verdict
from ...suppressions.rules import SuppressionReason
from ...suppressions.work import NewSuppression, add
from ..classify import Action
from ..isps import isp_of
from ..rules import BACKOFF, FINAL, OPEN, DeliveryState, next_step
from .activity import AttemptEnd, note_activity
from .claims import Claim

JITTER = 0.1
"""The largest share of a wait that is added to it, so that what failed together parts."""

COOLING_AFTER = 3
"""Final soft failures of one address within COOLING_WINDOW that stop mail to it."""

COOLING_WINDOW = timedelta(days=7)
COOLING_FOR = timedelta(hours=72)

SOFT_CLASSES = tuple(
    each.value for each in BounceClass if each.type_for(Verdict.DEFERRED) is BounceType.SOFT
)

# The classes are written out, for the index holds these failures and no others; and of an
# address no more are looked at than matter.
FAILING = (
    "SELECT asked.nth FROM unnest({}::uuid[], {}::text[]) WITH ORDINALITY "
    "AS asked (organization_id, address_key, nth) CROSS JOIN LATERAL ("
    "SELECT count(*) AS failures FROM (SELECT FROM deliveries "
    "WHERE organization_id = asked.organization_id AND address_key = asked.address_key "
    "AND settled_at > {} AND state IN ('bounced', 'expired') AND NOT simulated "
    f"AND bounce_class IN ({', '.join(map(repr, SOFT_CLASSES))}) LIMIT {{}}) AS found"
    ") AS counted WHERE counted.failures >= {}"
)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one claim.

    Without an *outcome* nothing was attempted: the delivery expires if its time is up and
    is due again at once if not, and the attempt does not count.
    """

    claim: Claim
    vmta: str
    outcome: Outcome | None
    source_address: str | None = None
    """Our address, where the vMTA has one of its own."""
    action: Action | None = None
    """What follows beyond this delivery; None is what its bounce class says."""

    @property
    def is_throttling(self) -> bool:
        """Whether the receiver asked for less of what this queue sends."""
        if self.action is not None:
            return self.action is Action.BACK_OFF
        return self.outcome is not None and self.outcome.bounce_class is BounceClass.RATE_LIMITED


@dataclass(frozen=True, slots=True)
class _Step:
    settlement: Settlement
    state: DeliveryState
    due_at: datetime | None

    @property
    def claim(self) -> Claim:
        return self.settlement.claim


@dataclass(frozen=True, slots=True)
class _Settled:
    """A step as it was written: a cancellation may have changed it, and what it said before."""

    step: _Step
    state: DeliveryState
    due_at: datetime | None
    attempts: int
    code: int | None
    reply: str | None
    bounce_class: str | None
    cancelled_by: uuid.UUID | None
    refund_entry_id: uuid.UUID | None


async def settle_batch(settlements: Sequence[Settlement]) -> int:
    """Write down what became of claims and return how many were still ours to settle.

    A claim whose lease ran out and that another worker has taken changes nothing at all. A
    delivery whose cancellation was asked for meanwhile is cancelled unless this attempt
    ended it. Settling an outcome twice does nothing the second time, so a caller that does
    not know whether it was committed may call again; putting back is not so, for the same
    attempt may have been begun again.
    """
    if not settlements:
        return 0
    async with transaction() as tx:
        return await settle_in(tx, settlements)


async def settle_in(tx: Tx, settlements: Sequence[Settlement]) -> int:
    """Do what `settle_batch` does, as a part of the open transaction.

    What a simulated claim came to is written down like any other and stays without
    consequences: it stops no mail to the address and slows no queue down.
    """
    now = clock.now()
    steps = {item.claim.delivery_id: _step(item, now) for item in settlements}
    await _lock_messages(steps.values())
    settled = await _write_deliveries(steps, now)
    if settled:
        await write_messages({each.step.claim.message_id for each in settled}, now)
        await _write_attempts(settled)
        await append(tx, [event for each in settled for event in _events(each, now)])
        await refund_all(tx, _refunds(settled))
        real = [each for each in settled if not each.step.claim.simulated]
        await _suppress(tx, real, now)
        await _slow_down(real, now)
        await note_activity(_attempt_ends(real))
    return len(settled)


def _attempt_ends(settled: Sequence[_Settled]) -> Iterable[AttemptEnd]:
    for each in settled:
        claim, outcome = each.step.claim, each.step.settlement.outcome
        if outcome is not None:
            yield AttemptEnd(claim.organization_id, claim.vmta_id, each.state, outcome.bounce_type)


def _step(settlement: Settlement, now: datetime) -> _Step:
    claim, outcome = settlement.claim, settlement.outcome
    if outcome is None:
        if claim.expires_at <= now:
            return _Step(settlement, DeliveryState.EXPIRED, None)
        before = DeliveryState.DEFERRED if claim.attempt > 1 else DeliveryState.QUEUED
        return _Step(settlement, before, now)
    state, due_at = next_step(
        outcome.verdict, attempts=claim.attempt, now=now, expires_at=claim.expires_at
    )
    if due_at is not None:
        due_at += (due_at - now) * random.uniform(0, JITTER)
    return _Step(settlement, state, due_at)


async def _lock_messages(steps: Iterable[_Step]) -> None:
    # Ordered by id so that two workers with deliveries of the same messages never deadlock.
    # Whoever changes a message's deliveries holds its row first.
    await fetch(
        "SELECT FROM spooled_messages WHERE id = ANY({}::uuid[]) ORDER BY id FOR NO KEY UPDATE",
        list({step.claim.message_id for step in steps}),
    )


async def _write_deliveries(steps: Mapping[uuid.UUID, _Step], now: datetime) -> list[_Settled]:
    """Change each delivery that is still at the attempt of its claim.

    They are locked in the order of ids, as renewing does, so that the two never deadlock.
    """
    outcomes = [step.settlement.outcome for step in steps.values()]
    rows = await fetch(
        """
        UPDATE deliveries AS old SET
            state = CASE WHEN old.cancel_requested AND new.state = ANY({}::text[])
                THEN 'cancelled' ELSE new.state END,
            due_at = CASE WHEN old.cancel_requested THEN NULL ELSE new.due_at END,
            attempts = old.attempts - CASE WHEN new.attempted THEN 0 ELSE 1 END,
            code = CASE WHEN new.attempted THEN new.code ELSE old.code END,
            enhanced_code =
                CASE WHEN new.attempted THEN new.enhanced_code ELSE old.enhanced_code END,
            reply = CASE WHEN new.attempted THEN new.reply ELSE old.reply END,
            mx_host = CASE WHEN new.attempted THEN new.mx_host ELSE old.mx_host END,
            bounce_class =
                CASE WHEN new.attempted THEN new.bounce_class ELSE old.bounce_class END,
            last_attempt_at = coalesce(new.started_at, old.last_attempt_at),
            delivered_at = CASE WHEN new.state = 'delivered' THEN {}::timestamptz END,
            settled_at = CASE WHEN new.is_final OR old.cancel_requested
                THEN {}::timestamptz END
        FROM unnest({}::uuid[], {}::integer[], {}::text[], {}::timestamptz[], {}::boolean[],
            {}::boolean[], {}::integer[], {}::text[], {}::text[], {}::text[], {}::text[],
            {}::timestamptz[])
            AS new (id, attempt, state, due_at, is_final, attempted, code, enhanced_code, reply,
            mx_host, bounce_class, started_at)
        WHERE old.id = new.id AND old.attempts = new.attempt AND old.state = 'sending'
        AND old.id = ANY(ARRAY(SELECT id FROM deliveries WHERE id = ANY({}::uuid[])
            ORDER BY id FOR NO KEY UPDATE))
        RETURNING old.id, old.state, old.attempts, old.code, old.reply,
            old.bounce_class, old.cancelled_by, old.refund_entry_id
        """,
        [state.value for state in DeliveryState if state in OPEN or state == "expired"],
        now,
        now,
        list(steps),
        [step.claim.attempt for step in steps.values()],
        [step.state.value for step in steps.values()],
        # What is simulated is never due: no worker may come for it.
        [None if step.claim.simulated else step.due_at for step in steps.values()],
        [step.due_at is None for step in steps.values()],
        [outcome is not None for outcome in outcomes],
        [outcome and outcome.code for outcome in outcomes],
        [outcome and outcome.enhanced_code for outcome in outcomes],
        [outcome and outcome.text for outcome in outcomes],
        [outcome and outcome.mx_host for outcome in outcomes],
        [outcome and _value(outcome.bounce_class) for outcome in outcomes],
        [outcome and outcome.started_at for outcome in outcomes],
        list(steps),
    )
    return [
        _Settled(
            step=steps[row["id"]],
            state=DeliveryState(row["state"]),
            due_at=None if row["state"] in FINAL else steps[row["id"]].due_at,
            attempts=row["attempts"],
            code=row["code"],
            reply=row["reply"],
            bounce_class=row["bounce_class"],
            cancelled_by=row["cancelled_by"],
            refund_entry_id=row["refund_entry_id"],
        )
        for row in rows
    ]


def _refunds(settled: Sequence[_Settled]) -> list[Refund]:
    """Return what is paid back: recipients that were cancelled before an attempt was made."""
    counts: dict[tuple[uuid.UUID, uuid.UUID], int] = {}
    for each in settled:
        if each.state is DeliveryState.CANCELLED and not each.attempts and each.refund_entry_id:
            key = each.refund_entry_id, each.step.claim.message_id
            counts[key] = counts.get(key, 0) + 1
    return [
        Refund(entry_id, amount, reference=str(message_id))
        for (entry_id, message_id), amount in counts.items()
    ]


async def write_messages(message_ids: Collection[uuid.UUID], now: datetime) -> None:
    """Sum up the messages; the same rule as `rules.message_status`, for many at once."""
    await fetch(
        """
        UPDATE spooled_messages AS message SET
            open_count = sums.open_count, status = sums.status,
            completed_at = CASE WHEN sums.open_count = 0
                THEN coalesce(message.completed_at, {}::timestamptz) END
        FROM (
            SELECT message_id,
                count(*) FILTER (WHERE state = ANY({}::text[])) AS open_count,
                CASE WHEN bool_or(state = 'sending') THEN 'sending'
                    WHEN bool_or(state = 'deferred') THEN 'deferred'
                    WHEN bool_or(state = 'queued') THEN 'queued'
                    WHEN bool_or(state = 'scheduled') THEN 'scheduled'
                    WHEN min(state) = max(state) THEN min(state)
                    ELSE 'partial' END AS status
            FROM deliveries WHERE message_id = ANY({}::uuid[]) GROUP BY message_id
        ) AS sums
        WHERE message.id = sums.message_id
        """,
        now,
        [state.value for state in OPEN],
        list(message_ids),
    )


async def _write_attempts(settled: Sequence[_Settled]) -> None:
    made = [each.step.settlement for each in settled if each.step.settlement.outcome]
    outcomes = [settlement.outcome for settlement in made if settlement.outcome]
    if not made:
        return
    await fetch(
        "INSERT INTO attempts (id, organization_id, delivery_id, number, verdict, code, "
        "enhanced_code, reply, bounce_class, mx_host, mx_address, source_address, tls_version, "
        "tls_cipher, tls_verified, tls_policy, transcript, started_at, duration_ms) "
        "SELECT id, organization_id, delivery_id, number, verdict, code, enhanced_code, reply, "
        "bounce_class, mx_host, mx_address, source_address, tls_version, tls_cipher, "
        "tls_verified, tls_policy, transcript::jsonb, started_at, duration_ms "
        "FROM unnest({}::uuid[], {}::uuid[], {}::uuid[], {}::integer[], {}::text[], "
        "{}::integer[], {}::text[], {}::text[], {}::text[], {}::text[], {}::text[], {}::text[], "
        "{}::text[], {}::text[], {}::boolean[], {}::text[], {}::text[], {}::timestamptz[], "
        "{}::integer[]) "
        "AS new (id, organization_id, delivery_id, number, verdict, code, enhanced_code, reply, "
        "bounce_class, mx_host, mx_address, source_address, tls_version, tls_cipher, "
        "tls_verified, tls_policy, transcript, started_at, duration_ms)",
        [new_id() for _ in made],
        [settlement.claim.organization_id for settlement in made],
        [settlement.claim.delivery_id for settlement in made],
        [settlement.claim.attempt for settlement in made],
        [outcome.verdict.value for outcome in outcomes],
        [outcome.code for outcome in outcomes],
        [outcome.enhanced_code for outcome in outcomes],
        [outcome.text for outcome in outcomes],
        [_value(outcome.bounce_class) for outcome in outcomes],
        [outcome.mx_host for outcome in outcomes],
        [outcome.mx_address for outcome in outcomes],
        [settlement.source_address for settlement in made],
        [outcome.tls_version for outcome in outcomes],
        [outcome.tls_cipher for outcome in outcomes],
        [outcome.tls_verified for outcome in outcomes],
        [outcome.tls_policy and outcome.tls_policy.value for outcome in outcomes],
        [json.dumps(outcome.transcript) for outcome in outcomes],
        [outcome.started_at for outcome in outcomes],
        [_milliseconds(outcome) for outcome in outcomes],
    )


def _events(settled: _Settled, now: datetime) -> list[NewEvent]:
    """Return what this attempt says about its delivery, in order."""
    claim, outcome = settled.step.claim, settled.step.settlement.outcome
    events: list[NewEvent] = []
    if outcome is not None and claim.attempt == 1:
        data: dict[str, Any] = {"vmta": settled.step.settlement.vmta, "mx_host": outcome.mx_host}
        events.append(_event(claim, EventType.MESSAGE_SENT, data, outcome.started_at))
    said = _result(settled)
    if said is not None:
        events.append(_event(claim, *said, now, ends_attempt=outcome is not None))
    return events


def _result(settled: _Settled) -> tuple[EventType, dict[str, Any]] | None:
    """Return the event of the new state; None for a delivery that was only put back."""
    if settled.state is DeliveryState.CANCELLED:
        by = settled.cancelled_by
        return EventType.MESSAGE_CANCELLED, {"cancelled_by": by and str(by)}
    if settled.state is DeliveryState.EXPIRED:
        return EventType.MESSAGE_EXPIRED, {
            "bounce_class": settled.bounce_class,
            "smtp_response": _response(settled.code, settled.reply),
        }
    outcome = settled.step.settlement.outcome
    if outcome is None:
        return None
    data: dict[str, Any] = {
        "vmta": settled.step.settlement.vmta,
        "mx_host": outcome.mx_host,
        "smtp_code": outcome.code,
        "smtp_response": _response(outcome.code, outcome.text),
        "tls": outcome.tls_version,
        "attempt": settled.step.claim.attempt,
        "duration_ms": _milliseconds(outcome),
    }
    if settled.state is DeliveryState.DELIVERED:
        return EventType.MESSAGE_DELIVERED, data
    data["bounce_class"] = _value(outcome.bounce_class)
    if settled.state is DeliveryState.BOUNCED:
        data["bounce_type"] = _value(outcome.bounce_type)
        data["enhanced_code"] = outcome.enhanced_code
        data["source"] = "session"
        return EventType.MESSAGE_BOUNCED, data
    data["next_attempt_at"] = settled.due_at and _rfc3339(settled.due_at)
    return EventType.MESSAGE_DEFERRED, data


def _event(
    claim: Claim,
    type: EventType,
    data: Mapping[str, Any],
    occurred_at: datetime,
    *,
    ends_attempt: bool = False,
) -> NewEvent:
    return NewEvent(
        organization_id=claim.organization_id,
        project_id=claim.project_id,
        message_id=claim.message_id,
        delivery_id=claim.delivery_id,
        type=type,
        data=data if claim.calls_webhooks else {**data, **NO_WEBHOOKS},
        occurred_at=occurred_at,
        simulated=claim.simulated,
        vmta_id=claim.vmta_id,
        ends_attempt=ends_attempt,
        isp=isp_of(claim.address.rpartition("@")[2], data.get("mx_host")) if ends_attempt else "",
    )


async def _suppress(tx: Tx, settled: Sequence[_Settled], now: datetime) -> None:
    """Stop mail to addresses that failed for good, and for a while to those that keep failing."""
    hard, soft = [], []
    for each in settled:
        outcome = each.step.settlement.outcome
        if outcome is None or each.state not in FINAL:
            continue
        if each.state is DeliveryState.BOUNCED and outcome.bounce_type is BounceType.HARD:
            hard.append(_suppression(each.step, SuppressionReason.HARD_BOUNCE, None))
        elif outcome.bounce_type is BounceType.SOFT and each.state is not DeliveryState.CANCELLED:
            soft.append(each.step)
    cooling = [
        _suppression(step, SuppressionReason.SOFT_BOUNCE_COOLING, now + COOLING_FOR)
        for step in await _keep_failing(soft, now)
    ]
    await add(tx, hard + cooling)


async def _slow_down(settled: Sequence[_Settled], now: datetime) -> None:
    """Put throttled queues into back-off, and keep those there that go on failing."""
    settlements = [each.step.settlement for each in settled]
    throttled = {each.claim.queue_id for each in settlements if each.is_throttling}
    failed = throttled | {
        each.claim.queue_id
        for each in settlements
        if each.outcome and each.outcome.verdict is Verdict.DEFERRED
    }
    if failed:
        # In id order, like every row that two workers may want at once.
        await fetch(
            "UPDATE queues SET backoff_until = {} WHERE id = ANY(ARRAY("
            "SELECT id FROM queues WHERE id = ANY({}::uuid[]) "
            "AND (id = ANY({}::uuid[]) OR backoff_until > {}) ORDER BY id FOR NO KEY UPDATE))",
            now + BACKOFF,
            list(failed),
            list(throttled),
            now,
        )


def _suppression(
    step: _Step, reason: SuppressionReason, expires_at: datetime | None
) -> NewSuppression:
    outcome = step.settlement.outcome
    return NewSuppression(
        organization_id=step.claim.organization_id,
        project_id=None,
        address=step.claim.address,
        reason=reason,
        description=_response(outcome.code, outcome.text) if outcome else None,
        expires_at=expires_at,
    )


async def _keep_failing(steps: Sequence[_Step], now: datetime) -> list[_Step]:
    addresses = [(step.claim.organization_id, step.claim.address.lower()) for step in steps]
    return [steps[nth] for nth in await keep_failing(addresses, now)]


async def keep_failing(addresses: Sequence[tuple[OrganizationId, str]], now: datetime) -> list[int]:
    """Return which of *addresses* have failed so often lately that mail to them has to pause."""
    if not addresses:
        return []
    rows = await fetch(
        FAILING,
        [organization_id for organization_id, _ in addresses],
        [address_key for _, address_key in addresses],
        now - COOLING_WINDOW,
        COOLING_AFTER,
        COOLING_AFTER,
    )
    return [row["nth"] - 1 for row in rows]


def _response(code: int | None, text: str | None) -> str | None:
    return f"{code} {text}" if code is not None else text


def _milliseconds(outcome: Outcome) -> int:
    return round(outcome.duration.total_seconds() * 1000)


def _rfc3339(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _value(member: BounceClass | BounceType | None) -> str | None:
    return member.value if member else None
