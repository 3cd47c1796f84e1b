"""Cooling: an address that keeps failing softly gets no mail for a while, found by an index."""

from datetime import datetime, timedelta

import pytest

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.delivery.work import Settlement, claim_batch, settle_batch
from postlane.delivery.work.cooling import COOLING_AFTER, FAILING
from postlane.mail.outcome import outcome_of_reply
from tests.delivery.spool import make_spooled
from tests.factories import make_organization


async def fail(organization: Organization, reply: str, *, at: datetime) -> None:
    """Let mail to one address fail for the last time with *reply*."""
    with clock.frozen(at):
        # A retry would come after its end, so that this failure is final.
        ends = at + timedelta(minutes=4)
        spooled = await make_spooled("ada@dest.example", organization=organization, expires_at=ends)
        code, _, text = reply.partition(" ")
        outcome = outcome_of_reply(int(code), text, started_at=at)
        claims = await claim_batch(spooled.queue_id)
        await settle_batch([Settlement(claim, "default", outcome) for claim in claims])


@pytest.mark.parametrize(
    ("reply", "days", "reasons"),
    [
        ("452 4.2.2 Mailbox full", [0, 1, 2], ["soft_bounce_cooling"]),
        ("452 4.2.2 Mailbox full", [0, 1], []),
        ("452 4.2.2 Mailbox full", [0, 4, 8], []),
        ("554 5.7.1 Service unavailable; client host listed at zen.example", [0, 1, 2], []),
        ("550 5.7.26 Unauthenticated mail is refused", [0, 1, 2], []),
    ],
)
async def test_only_soft_failures_within_a_week_cool_an_address_down(
    database: None, reply: str, days: list[int], reasons: list[str]
) -> None:
    organization = await make_organization()
    start = clock.now() + timedelta(minutes=1)

    for day in days:
        await fail(organization, reply, at=start + timedelta(days=day))

    rows = await fetch(
        "SELECT reason FROM suppressions WHERE organization_id = {}", organization.id
    )
    assert [row["reason"] for row in rows] == reasons


async def test_failures_are_counted_in_an_index_and_no_more_than_matter(database: None) -> None:
    plan = await fetch(
        "EXPLAIN " + FAILING,
        [new_id()],
        ["ada@dest.example"],
        clock.now() - timedelta(days=7),
        COOLING_AFTER,
        COOLING_AFTER,
    )

    text = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "using deliveries_failing" in text or "on deliveries_failing" in text
    assert "Limit" in text
