"""The ledger is kept for two years, and still adds up when its oldest lines are forgotten."""

import uuid
from datetime import timedelta

import pytest

from postlane.core import clock
from postlane.core.actor import OrganizationId
from postlane.core.database import fetch, transaction
from postlane.core.ids import first_id_at
from postlane.credits.lots import refund
from postlane.credits.work import end_lots, forget_entries
from tests.billing.setup import settings_with
from tests.factories import make_organization

from .books import give, ledger, left, sums, take
from .test_lots import own, pass_by


@pytest.fixture
async def owner(database: None) -> OrganizationId:
    """An organization whose credits are counted."""
    return OrganizationId((await make_organization(plan="trial")).id)


async def age(owner: OrganizationId, *, days: int) -> None:
    """Let every line of the ledger until now be as old as that."""
    at = first_id_at(clock.now() - timedelta(days=days))
    rows = await fetch(
        "SELECT id FROM credit_entries WHERE organization_id = {} ORDER BY id", owner
    )
    for nth, row in enumerate(rows):
        made = uuid.UUID(int=at.int + (uuid.uuid4().int >> 64) + (nth << 64))
        await fetch(
            "UPDATE credit_entries SET id = {}, created_at = {} WHERE id = {}",
            made,
            clock.now() - timedelta(days=days),
            row["id"],
        )


async def test_a_ledger_without_its_oldest_lines_still_adds_up(owner: OrganizationId) -> None:
    ending = await give(owner, 100, expires_at=clock.now() + timedelta(days=1))
    lasting = await give(owner, 50)
    spent = await take(owner, 30)
    assert spent.entry_id is not None
    async with transaction() as tx:
        await refund(tx, spent.entry_id, amount=10)
    await take(owner, 7, plan="enterprise")
    await pass_by(ending)
    await end_lots()
    await age(owner, days=731)
    await take(owner, 5)
    before = await sums(owner)

    forgotten = await forget_entries()
    again = await forget_entries()

    assert (forgotten, again) == (6, 0)
    assert await ledger(owner) == [("balance", "used", "send", 5)]
    assert await left(owner) == {ending: 0, lasting: 45}
    assert await sums(owner) == before
    assert await own(owner) == []


async def test_what_is_carried_forward_is_added_to(owner: OrganizationId) -> None:
    await give(owner, 100)
    for _ in range(2):
        await take(owner, 10)
        await age(owner, days=800)
        await forget_entries()

    rows = await fetch(
        "SELECT source, entries, amount, change FROM credit_carried WHERE organization_id = {} "
        "ORDER BY source",
        owner,
    )
    assert [tuple(row.values()) for row in rows] == [
        ("purchase", 1, 100, 100),
        ("send", 2, 20, -20),
    ]
    assert await own(owner) == []


async def test_two_years_are_kept(owner: OrganizationId) -> None:
    await give(owner, 100)
    await age(owner, days=729)

    await forget_entries()

    assert await ledger(owner) == [("granted", "balance", "purchase", 100)]


async def test_a_setting_says_how_long_the_ledger_is_kept(
    owner: OrganizationId,
) -> None:
    await give(owner, 100)
    await age(owner, days=729)

    with settings_with(ledger_days="728"):
        await forget_entries()

    assert await ledger(owner) == []
    assert await own(owner) == []


async def test_what_somebody_else_deletes_is_still_found(owner: OrganizationId) -> None:
    await give(owner, 100)
    await take(owner, 10)
    await age(owner, days=731)
    await forget_entries()

    await fetch("DELETE FROM credit_carried WHERE organization_id = {} AND source = 'send'", owner)

    found = {(each.subject, each.expected, each.found) for each in await own(owner)}
    await fetch("DELETE FROM organizations WHERE id = {}", owner)
    await fetch("DELETE FROM credit_carried WHERE organization_id = {}", owner)
    await fetch("DELETE FROM credit_usage WHERE organization_id = {}", owner)
    assert found == {("balance", 100, 90), ("sum of send", 0, 10)}
