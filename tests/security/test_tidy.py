"""What is over is forgotten, and nothing else."""

from datetime import UTC, datetime, timedelta

from postlane.core import clock
from postlane.core.actor import OrganizationId
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id
from postlane.security import attempts, idempotency, limits, work
from tests.factories import make_api_key, make_organization

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


async def test_only_what_is_over_goes(database: None) -> None:
    organization = OrganizationId(new_id())
    key = await make_api_key(await make_organization())
    for at in (NOON - timedelta(days=3), NOON):
        with clock.frozen(at):
            async with transaction() as tx:
                await idempotency.claim(tx, organization, "send", f"{at:%d}", b"x" * 32)
            await limits.take_from(f"{organization}{at:%d}", per_minute=60)
            await attempts.begin(f"{organization}{at:%d}")
            await fetch("INSERT INTO api_key_uses VALUES ({}, {}, {}, 1)", new_id(), key.row.id, at)

    with clock.frozen(NOON + timedelta(minutes=1)):
        await work.tidy()
        await work.tidy()

    kept = await fetch(
        "SELECT (SELECT count(*) FROM idempotency_records WHERE organization_id = {}) AS answers,"
        " (SELECT count(*) FROM rate_buckets WHERE key LIKE {}) AS buckets,"
        " (SELECT count(*) FROM api_key_uses WHERE api_key_id = {}) AS uses",
        organization,
        f"{organization}%",
        key.row.id,
    )
    assert kept == [{"answers": 1, "buckets": 1, "uses": 1}]
