"""Settling: what became of attempts, written down for a whole batch at once."""

import json
import random
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from ...core import clock
from ...core.database import Tx, fetch, transaction
from ...core.ids import new_id
from ...credits.lots import Refund, refund_all
from ...events.operations import append
from ...mail.outcome import Verdict
from ..rules import BACKOFF, FINAL, OPEN, DeliveryState, next_step
from .activity import AttemptEnd, note_activity
from .cooling import suppress
from .greylisted import note_greylisted
from .settlements import Settled, Settlement, Step
from .telling import events_of, milliseconds, value_of

JITTER = 0.1
"""The largest share of a wait that is added to it, so that what failed together parts."""


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
        await append(tx, [event for each in settled for event in events_of(each, now)])
        await refund_all(tx, _refunds(settled))
        real = [each for each in settled if not each.step.claim.simulated]
        await suppress(tx, real, now)
        await note_greylisted(tx, real)
        await _slow_down(real, now)
        await note_activity(_attempt_ends(real))
    return len(settled)


def _attempt_ends(settled: Sequence[Settled]) -> Iterable[AttemptEnd]:
    for each in settled:
        claim, outcome = each.step.claim, each.step.settlement.outcome
        if outcome is not None and not outcome.is_local:
            yield AttemptEnd(claim.organization_id, claim.vmta_id, each.state, outcome.bounce_type)


def _step(settlement: Settlement, now: datetime) -> Step:
    claim, outcome = settlement.claim, settlement.outcome
    if outcome is None:
        if claim.expires_at <= now:
            return Step(settlement, DeliveryState.EXPIRED, None)
        before = DeliveryState.QUEUED if claim.is_untried else DeliveryState.DEFERRED
        return Step(settlement, before, now)
    state, due_at = next_step(
        outcome.verdict, attempts=claim.attempt, now=now, expires_at=claim.expires_at
    )
    if due_at is not None:
        due_at += (due_at - now) * random.uniform(0, JITTER)
    return Step(settlement, state, due_at)


async def _lock_messages(steps: Iterable[Step]) -> None:
    # Ordered by id so that two workers with deliveries of the same messages never deadlock.
    # Whoever changes a message's deliveries holds its row first.
    await fetch(
        "SELECT FROM spooled_messages WHERE id = ANY({}::uuid[]) ORDER BY id FOR NO KEY UPDATE",
        list({step.claim.message_id for step in steps}),
    )


async def _write_deliveries(steps: Mapping[uuid.UUID, Step], now: datetime) -> list[Settled]:
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
        [outcome and value_of(outcome.bounce_class) for outcome in outcomes],
        [outcome and outcome.started_at for outcome in outcomes],
        list(steps),
    )
    return [
        Settled(
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


def _refunds(settled: Sequence[Settled]) -> list[Refund]:
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


async def _write_attempts(settled: Sequence[Settled]) -> None:
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
        [value_of(outcome.bounce_class) for outcome in outcomes],
        [outcome.mx_host for outcome in outcomes],
        [outcome.mx_address for outcome in outcomes],
        [settlement.source_address for settlement in made],
        [outcome.tls_version for outcome in outcomes],
        [outcome.tls_cipher for outcome in outcomes],
        [outcome.tls_verified for outcome in outcomes],
        [outcome.tls_policy and outcome.tls_policy.value for outcome in outcomes],
        [json.dumps(outcome.transcript) for outcome in outcomes],
        [outcome.started_at for outcome in outcomes],
        [milliseconds(outcome) for outcome in outcomes],
    )


async def _slow_down(settled: Sequence[Settled], now: datetime) -> None:
    """Put throttled queues into back-off, and keep those there that go on failing."""
    settlements = [each.step.settlement for each in settled]
    throttled = {each.claim.queue_id for each in settlements if each.is_throttling}
    failed = throttled | {
        each.claim.queue_id
        for each in settlements
        if each.outcome and each.outcome.verdict is Verdict.DEFERRED and not each.outcome.is_local
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
