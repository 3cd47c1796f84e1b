"""Settling: what attempts came to, written down in batches."""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ...accounts.queries import languages_of
from ...accounts.work import LOOK_AFTER_SENDING, contacts_of
from ...audit.operations import record_for_platform
from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import Tx, fetch, transaction
from ...core.ids import new_id
from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ...core.languages import speaking
from ...core.settings import settings
from ...core.storable import to_json
from ...notices import operations as notices
from ...notices.rules import Notice
from ..attempts import entry_of
from ..calling import Tried
from ..rules import (
    DURATION_BOUNDS_MS,
    FAILING_FOR,
    CallState,
    DisabledReason,
    Patience,
    duration_class,
    next_step,
)
from .claims import DueCall

CLASSES = len(DURATION_BOUNDS_MS) + 1
REASONS = {
    DisabledReason.FAILING: N_("Every call has failed for five days."),
    DisabledReason.GONE: N_("The receiver answered that it wants no more calls (410 Gone)."),
}


@dataclass(frozen=True, slots=True)
class Settlement:
    """An attempt that was made; *jitter* is between 0 and 1."""

    call: DueCall
    tried: Tried
    jitter: float
    patience: Patience


async def settle(settlements: Sequence[Settlement]) -> Mapping[uuid.UUID, DisabledReason]:
    """Write down what attempts came to; return which webhooks should be switched off, and why.

    An attempt that another worker has overtaken changes nothing.
    """
    now = clock.now()
    steps = {each.call.id: (each, *_step(each, now)) for each in settlements}
    async with transaction() as tx:
        # Before the calls, as whoever fans out or lets go does, and in the order of ids.
        await _lock(tx, {each.call.webhook_id for each in settlements})
        rows = await fetch(
            "UPDATE webhook_calls AS call SET state = new.state, attempts = new.attempt, "
            "due_at = new.due_at, log = call.log || new.entry::jsonb, request = new.request, "
            "delivered_at = CASE WHEN new.state = 'delivered' THEN {}::timestamptz END "
            "FROM unnest({}::uuid[], {}::integer[], {}::text[], {}::timestamptz[], {}::text[], "
            "{}::text[]) AS new (id, attempt, state, due_at, entry, request) "
            "WHERE call.id = new.id AND call.state = 'pending' "
            "AND call.attempts = new.attempt - 1 AND call.id = ANY(ARRAY("
            "SELECT id FROM webhook_calls WHERE id = ANY({}::uuid[]) "
            "ORDER BY id FOR NO KEY UPDATE)) RETURNING call.id",
            now,
            list(steps),
            [each.call.attempt for each, _, _ in steps.values()],
            [state.value for _, state, _ in steps.values()],
            [due_at for _, _, due_at in steps.values()],
            [to_json([entry_of(each.tried)]) for each, _, _ in steps.values()],
            [each.tried.request.decode() for each, _, _ in steps.values()],
            list(steps),
        )
        written = [steps[row["id"]] for row in rows]
        await _count(tx, [(each, state) for each, state, _ in written], now)
        failing = await _note(tx, [each for each, _, _ in written], now)
    gone = {
        each.call.webhook_id
        for each, _, _ in written
        if each.tried.is_gone and each.patience.heeds_answers
    }
    return dict.fromkeys(failing, DisabledReason.FAILING) | dict.fromkeys(gone, DisabledReason.GONE)


def _step(each: Settlement, now: datetime) -> tuple[CallState, datetime | None]:
    if each.tried.is_final:
        return CallState.DEAD, None
    return next_step(
        succeeded=each.tried.succeeded,
        attempts=each.call.attempt,
        now=now,
        jitter=each.jitter,
        retry_after=each.tried.retry_after,
        patience=each.patience,
    )


async def _lock(tx: Tx, webhook_ids: set[uuid.UUID]) -> None:
    await fetch(
        "SELECT FROM webhook_progress WHERE webhook_id = ANY({}::uuid[]) "
        "ORDER BY webhook_id FOR NO KEY UPDATE",
        list(webhook_ids),
    )


class _Tally:
    """What the attempts of one webhook add to its hour."""

    def __init__(self, organization_id: OrganizationId) -> None:
        self.organization_id = organization_id
        self.delivered = self.failed = self.dead = 0
        self.durations = [0] * CLASSES

    def add(self, tried: Tried, state: CallState) -> None:
        """Count one attempt, after which its call is in *state*."""
        self.dead += state is CallState.DEAD
        self.failed += not tried.succeeded
        if tried.succeeded:
            self.delivered += 1
            self.durations[duration_class(tried.duration_ms)] += 1


async def _count(tx: Tx, written: Sequence[tuple[Settlement, CallState]], now: datetime) -> None:
    if not written:
        return
    hours: dict[uuid.UUID, _Tally] = {}
    for each, state in written:
        tally = hours.get(each.call.webhook_id)
        if tally is None:
            tally = hours[each.call.webhook_id] = _Tally(each.call.organization_id)
        tally.add(each.tried, state)
    totals: dict[tuple[OrganizationId, str], int] = defaultdict(int)
    for tally in hours.values():
        totals[tally.organization_id, "delivered"] += tally.delivered
        totals[tally.organization_id, "failed"] += tally.failed
    found = {key: totals[key] for key in sorted(totals) if totals[key]}
    order = sorted(hours)
    await fetch(
        # Durations as text: an array of arrays would come apart altogether.
        "WITH hourly AS (INSERT INTO webhook_hours AS old "
        "(id, organization_id, webhook_id, hour, delivered, failed, dead, durations) "
        "SELECT id, organization_id, webhook_id, {}, delivered, failed, dead, "
        "durations::integer[] FROM unnest({}::uuid[], {}::uuid[], {}::uuid[], {}::integer[], "
        "{}::integer[], {}::integer[], {}::text[]) WITH ORDINALITY AS new "
        "(id, organization_id, webhook_id, delivered, failed, dead, durations, nth) ORDER BY nth "
        "ON CONFLICT (webhook_id, hour) DO UPDATE SET "
        "delivered = old.delivered + excluded.delivered, failed = old.failed + excluded.failed, "
        "dead = old.dead + excluded.dead, durations = ARRAY("
        "SELECT coalesce(a, 0) + coalesce(b, 0) "
        "FROM unnest(old.durations, excluded.durations) WITH ORDINALITY AS added (a, b, nth) "
        "ORDER BY nth)) "
        "INSERT INTO webhook_counts AS old (id, organization_id, result, attempts) "
        "SELECT id, organization_id, result, attempts FROM unnest({}::uuid[], {}::uuid[], "
        "{}::text[], {}::bigint[]) WITH ORDINALITY AS new "
        "(id, organization_id, result, attempts, nth) ORDER BY nth "
        "ON CONFLICT (organization_id, result) "
        "DO UPDATE SET attempts = old.attempts + excluded.attempts",
        now.astimezone(UTC).replace(minute=0, second=0, microsecond=0),
        [new_id() for _ in order],
        [hours[key].organization_id for key in order],
        order,
        [hours[key].delivered for key in order],
        [hours[key].failed for key in order],
        [hours[key].dead for key in order],
        ["{" + ",".join(map(str, hours[key].durations)) + "}" for key in order],
        [new_id() for _ in found],
        [organization_id for organization_id, _ in found],
        [result for _, result in found],
        list(found.values()),
    )


async def _note(tx: Tx, written: Sequence[Settlement], now: datetime) -> list[uuid.UUID]:
    """Note which webhooks answer and which fail; return those that have failed for too long."""
    succeeded = {each.call.webhook_id for each in written if each.tried.succeeded}
    failed = {each.call.webhook_id for each in written} - succeeded
    rows = await fetch(
        "UPDATE webhook_progress SET last_delivered_at = CASE WHEN succeeded THEN {} "
        "ELSE last_delivered_at END, failing_since = CASE WHEN succeeded THEN NULL "
        "ELSE coalesce(failing_since, {}) END "
        "FROM unnest({}::uuid[], {}::boolean[]) AS new (id, succeeded) "
        "WHERE webhook_id = new.id RETURNING webhook_id, failing_since",
        now,
        now,
        [*succeeded, *failed],
        [True] * len(succeeded) + [False] * len(failed),
    )
    return [
        row["webhook_id"]
        for row in rows
        if row["failing_since"] is not None and row["failing_since"] <= now - FAILING_FOR
    ]


async def switch_off(webhook_id: uuid.UUID, reason: DisabledReason) -> None:
    """Call a webhook no more until somebody switches it on, and tell those who look after it.

    What waits goes on waiting. Nothing happens to one that is off.
    """
    async with transaction() as tx:
        rows = await fetch(
            "UPDATE webhooks SET enabled = false, disabled_reason = {}, updated_at = {} "
            "WHERE id = {} AND enabled AND deleted_at IS NULL RETURNING organization_id, url",
            reason.value,
            clock.now(),
            webhook_id,
        )
        if not rows:
            return
        owner = OrganizationId(rows[0]["organization_id"])
        await fetch(
            "UPDATE webhook_progress SET next_due_at = NULL WHERE webhook_id = {}", webhook_id
        )
        await record_for_platform(
            tx,
            organization_id=owner,
            action="webhook.disabled",
            target_type="webhook",
            target_id=webhook_id,
            changes={"enabled": {"from": True, "to": False}, "disabled_reason": reason.value},
        )
        contacts = (await contacts_of([owner], roles=LOOK_AFTER_SENDING))[owner]
        languages = await languages_of(contacts.addresses)
        for address in contacts.addresses:
            with speaking(languages[address]):
                await notices.send(
                    tx,
                    to=address,
                    notice=Notice.WEBHOOK_DISABLED,
                    values={
                        "organization": contacts.name,
                        "url": rows[0]["url"],
                        "reason": _(REASONS[reason]),
                        "link": f"{settings().public_url}/webhooks",
                    },
                    organization_id=owner,
                )
