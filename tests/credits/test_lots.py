"""Lots end: what is left of them cannot be spent, leaves the balance, and the ledger says so."""

from datetime import timedelta
from uuid import UUID

import pytest

from postlane.core import clock
from postlane.core.actor import OrganizationId
from postlane.core.database import fetch, transaction
from postlane.credits.errors import InsufficientCredits
from postlane.credits.lots import refund
from postlane.credits.work import Disagreement, end_lots, reconcile
from postlane.jobs.credits import close_books
from postlane.server import database_checks
from postlane.server.findings import Verdict
from tests.client import Client
from tests.factories import make_actor, make_organization

from .books import give, ledger, left, sums, take

LOTS = """
    query ($ended: Boolean) { organization { credits { lots(ended: $ended) {
      nodes { uuid type source granted remaining expired expiresAt } } } } }
"""


@pytest.fixture
async def owner(database: None) -> OrganizationId:
    """An organization whose credits are counted."""
    return OrganizationId((await make_organization(plan="trial")).id)


async def pass_by(lot: UUID) -> None:
    """Let the end of a lot have come."""
    await fetch(
        "UPDATE credit_lots SET expires_at = {} WHERE id = {}",
        clock.now() - timedelta(seconds=1),
        lot,
    )


async def own(owner: OrganizationId) -> list[Disagreement]:
    """Return what disagrees of one organization; other tests have theirs."""
    return [each for each in await reconcile() if each.organization_id == owner]


async def test_what_is_left_of_an_ended_lot_is_not_spendable_before_the_night(
    owner: OrganizationId,
) -> None:
    lot = await give(owner, 10, expires_at=clock.now() + timedelta(days=1))
    await take(owner, 4)
    await pass_by(lot)

    with pytest.raises(InsufficientCredits) as refusal:
        await take(owner, 1)

    assert refusal.value.sentence == "This needs 1 email credit and 0 are left."
    assert await left(owner) == {lot: 6}


async def test_ending_lots_takes_what_is_left_once(owner: OrganizationId) -> None:
    ending = await give(owner, 10, expires_at=clock.now() + timedelta(days=1))
    lasting = await give(owner, 5)
    await take(owner, 4)
    await pass_by(ending)

    await end_lots()
    await end_lots()

    assert await left(owner) == {ending: 0, lasting: 5}
    assert (await ledger(owner))[-1] == ("balance", "expired", "expiry", 6)
    assert len(await ledger(owner)) == 4
    assert await sums(owner) == {
        "purchase": (2, 15, 15, 0),
        "send": (1, 4, 4, 4),
        "expiry": (1, 6, 6, 0),
    }
    assert await own(owner) == []


async def test_what_is_refunded_to_an_ended_lot_ends_with_it(owner: OrganizationId) -> None:
    lot = await give(owner, 10, expires_at=clock.now() + timedelta(days=1))
    taken = await take(owner, 4)
    await pass_by(lot)
    await end_lots()

    assert taken.entry_id is not None
    async with transaction() as tx:
        await refund(tx, taken.entry_id, amount=4)
    await end_lots()

    assert await left(owner) == {lot: 0}
    assert [line[2:] for line in await ledger(owner)] == [
        ("purchase", 10),
        ("send", 4),
        ("expiry", 6),
        ("refund", 4),
        ("expiry", 4),
    ]
    assert await own(owner) == []


async def test_the_books_agree_after_all_that_can_happen(owner: OrganizationId) -> None:
    await give(owner, 100, expires_at=clock.now() + timedelta(days=1))
    await give(owner, 50)
    taken = await take(owner, 120)
    await take(owner, 7, plan="self_hosted")
    assert taken.entry_id is not None
    async with transaction() as tx:
        await refund(tx, taken.entry_id, amount=30)

    assert await own(owner) == []


@pytest.mark.parametrize(
    ("statement", "subject", "expected", "found"),
    [
        ("UPDATE credit_shares SET remaining = remaining + 1 WHERE slot = 0", "balance", 6, 7),
        ("UPDATE credit_lots SET granted = granted + 3", "lot", 9, 6),
        ("UPDATE credit_usage SET amount = amount - 1 WHERE source = 'send'", "sum of send", 4, 3),
        ("DELETE FROM credit_entries WHERE source = 'send'", "balance", 10, 6),
    ],
)
async def test_the_doctor_and_the_nightly_job_find_what_disagrees(
    owner: OrganizationId,
    caplog: pytest.LogCaptureFixture,
    statement: str,
    subject: str,
    expected: int,
    found: int,
) -> None:
    await give(owner, 10)
    await take(owner, 4)
    glue = " AND " if "WHERE" in statement else " WHERE "
    await fetch(statement + glue + "organization_id = {}", owner)  # type: ignore[arg-type]

    try:
        disagreements = await own(owner)
        [finding] = await database_checks.credits()
        await close_books({})
    finally:
        await fetch("DELETE FROM organizations WHERE id = {}", owner)
        for table in ("credit_entries", "credit_usage"):
            await fetch(f"DELETE FROM {table} WHERE organization_id = {{}}", owner)  # type: ignore[arg-type]

    first = next(each for each in disagreements if each.subject == subject)
    assert (first.expected, first.found) == (expected, found)
    assert finding.verdict is Verdict.FAULT
    assert str(owner) in finding.sentence
    assert "grantCredits" in finding.remedy
    logged = [vars(each) for each in caplog.records if "disagree" in each.message]
    ours = [each for each in logged if each.get("organization_id") == str(owner)]
    assert (expected, found) in [(each["expected"], each["found"]) for each in ours]
    assert {each["levelname"] for each in ours} == {"ERROR"}


async def test_lots_are_listed_with_what_became_of_them(client: Client) -> None:
    actor, stranger = await make_actor(await make_organization(plan="trial")), await make_actor()
    ending = await give(actor.organization_id, 10, expires_at=clock.now() + timedelta(days=1))
    lasting = await give(actor.organization_id, 5)
    await take(actor.organization_id, 4)
    await pass_by(ending)
    await end_lots()

    listed = {}
    for ended in (None, True, False):
        data = await client.data(LOTS, {"ended": ended}, actor=actor)
        listed[ended] = [
            (node["uuid"], node["granted"], node["remaining"], node["expired"])
            for node in data["organization"]["credits"]["lots"]["nodes"]
        ]
    hidden = await client.data(LOTS, {}, actor=stranger)

    assert listed == {
        None: [(str(lasting), 5, 5, 0), (str(ending), 10, 0, 6)],
        True: [(str(ending), 10, 0, 6)],
        False: [(str(lasting), 5, 5, 0)],
    }
    assert hidden["organization"]["credits"]["lots"]["nodes"] == []
