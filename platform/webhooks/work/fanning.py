"""From events to calls."""

import uuid
from collections.abc import Sequence, Set
from typing import NamedTuple

from ...core import clock
from ...core.database import Tx, fetch, transaction
from ...core.ids import new_id
from ...events.consuming import Start, read_events, take_positions
from ..matching import Match, matches, webhooks_of
from ..rules import CONSUMER

AT_ONCE = 1_000


class Fanned(NamedTuple):
    """How many events were had, how many calls were made, and whose events they were."""

    events: int
    calls: int
    organizations: Set[uuid.UUID]
    uncalled: Set[uuid.UUID]
    """Those of the organizations that have no webhook, not even one that is switched off."""


async def fan_out(*, limit: int = AT_ONCE) -> Fanned:
    """Make a call for each webhook that wants one of the next events.

    Calls and the place of the consumer are one transaction. Of organizations without webhooks
    no event is read.
    """
    async with transaction() as tx:
        positions = await take_positions(tx, CONSUMER, limit=limit, start=Start.NOW)
        webhooks = await webhooks_of(positions) if positions else {}
        wanted = sorted(each for owner in webhooks for each in positions[owner])
        found = await matches(await read_events(wanted), webhooks)
        await make_calls(tx, found)
        uncalled = await _without_any(positions.keys() - webhooks.keys())
    events = sum(map(len, positions.values()))
    return Fanned(events, len(found), positions.keys(), uncalled)


async def _without_any(organizations: Set[uuid.UUID]) -> Set[uuid.UUID]:
    if not organizations:
        return organizations
    rows = await fetch(
        "SELECT DISTINCT organization_id FROM webhooks WHERE organization_id = ANY({}::uuid[])",
        list(organizations),
    )
    return organizations - {row["organization_id"] for row in rows}


async def make_calls(tx: Tx, found: Sequence[Match]) -> int:
    """Make the first call for each event that a webhook wants; return how many were not there."""
    if not found:
        return 0
    now = clock.now()
    made = await fetch(
        "INSERT INTO webhook_calls (id, organization_id, webhook_id, event_id, event_type, "
        "message_id, test, replay, state, attempts, due_at, log, created_at) "
        "SELECT id, organization_id, webhook_id, event_id, event_type, message_id, false, 0, "
        "'pending', 0, {}, '[]', {} "
        "FROM unnest({}::uuid[], {}::uuid[], {}::uuid[], {}::uuid[], {}::text[], {}::uuid[]) "
        "WITH ORDINALITY AS new "
        "(id, organization_id, webhook_id, event_id, event_type, message_id, nth) ORDER BY nth "
        "ON CONFLICT (webhook_id, event_id, replay) DO NOTHING RETURNING id",
        now,
        now,
        [new_id() for _ in found],
        [each.event.organization_id for each in found],
        [each.webhook_id for each in found],
        [each.event.id for each in found],
        [each.event.type for each in found],
        [each.event.message_id for each in found],
    )
    # Also where it changes nothing: who lets go of a webhook waits for this row, and then
    # sees the calls.
    await fetch(
        "UPDATE webhook_progress SET next_due_at = least(next_due_at, {}) "
        "WHERE webhook_id = ANY(ARRAY(SELECT webhook_id FROM webhook_progress "
        "WHERE webhook_id = ANY({}::uuid[]) ORDER BY webhook_id FOR NO KEY UPDATE))",
        now,
        list({each.webhook_id for each in found}),
    )
    return len(made)
