"""Rolling usage up, an hour at a time, once the hour is over."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import Tx, fetch, transaction
from ...events.work import usage_between
from ...security.work import requests_between
from ...webhooks.work import calls_between

HOUR = timedelta(hours=1)
LATE = timedelta(minutes=10)
"""How long after its end an hour may still get events from transactions that were slow."""

AT_ONCE = 24 * 31
"""Hours of one run; a deployment that was down for longer needs several."""

FIRST = timedelta(days=30)
"""How far back events are kept, where nothing has been rolled up yet."""


Bytes = Callable[[datetime, datetime], Awaitable[Mapping[OrganizationId, int]]]
"""Returns the bytes that were delivered for each organization; `messages` knows them."""


async def roll_up(bytes_between: Bytes) -> int:
    """Write down the usage of every hour that is over and not written down; return how many.

    It may run twice at once: whoever comes second waits, and finds nothing to do.
    """
    hours = 0
    while hours < AT_ONCE:
        async with transaction() as tx:
            if not await _roll_up_one(tx, bytes_between):
                break
        hours += 1
    return hours


async def _roll_up_one(tx: Tx, bytes_between: Bytes) -> bool:
    now = clock.now()
    # There is nothing to count before there was anybody.
    await fetch(
        "INSERT INTO usage_marks (id, rolled_up_to) "
        "SELECT 1, date_trunc('hour', greatest(min(created_at), {}), 'UTC') FROM organizations "
        "WHERE NOT EXISTS (SELECT FROM usage_marks) HAVING count(*) > 0 "
        "ON CONFLICT (id) DO NOTHING",
        now - FIRST,
    )
    rows = await fetch("SELECT rolled_up_to FROM usage_marks WHERE id = 1 FOR UPDATE")
    if not rows:
        return False
    start: datetime = rows[0]["rolled_up_to"]
    end = start + HOUR
    if end + LATE > now:
        return False
    mail = {each.organization_id: each for each in await usage_between(start, end)}
    sizes, requests = await bytes_between(start, end), await requests_between(start, end)
    calls = await calls_between(start, end)
    owners = sorted({*mail, *sizes, *requests, *calls})
    await fetch(
        "INSERT INTO usage_hours (id, organization_id, hour, messages, recipients, delivered, "
        "bytes_sent, api_requests, inbound, webhook_deliveries) "
        "SELECT gen_random_uuid(), owner, {}, messages, recipients, delivered, bytes, requests, "
        "0, calls FROM unnest({}::uuid[], {}::bigint[], {}::bigint[], {}::bigint[], {}::bigint[], "
        "{}::bigint[], {}::bigint[]) "
        "AS n (owner, messages, recipients, delivered, bytes, requests, calls) "
        "ON CONFLICT (organization_id, hour) DO NOTHING",
        start,
        owners,
        [mail[owner].messages if owner in mail else 0 for owner in owners],
        [mail[owner].recipients if owner in mail else 0 for owner in owners],
        [mail[owner].delivered if owner in mail else 0 for owner in owners],
        [sizes.get(owner, 0) for owner in owners],
        [requests.get(owner, 0) for owner in owners],
        [calls.get(owner, 0) for owner in owners],
    )
    await fetch("UPDATE usage_marks SET rolled_up_to = {} WHERE id = 1", end)
    return True
