"""The ledger: never below zero, first ended first spent, nothing lost between lots."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import OrganizationId
from postlane.core.database import fetch, transaction
from postlane.credits.errors import InsufficientCredits
from postlane.credits.lots import refund
from postlane.credits.rules import LotSource, spread, take_in_order
from postlane.graphql.context import Context
from postlane.graphql.execute import Document, execute
from tests.factories import make_actor, make_organization

from .books import give, left, sums, take

BALANCES = Document("""
    { organization { credits {
        balances { type balance unlimited usedThisPeriod lots { granted remaining source } }
        entries(first: 10) { nodes { type amount fromAccount toAccount balanceAfter source } }
    } } }
""")


@pytest.fixture
async def owner(database: None) -> OrganizationId:
    """An organization whose credits are counted."""
    return OrganizationId((await make_organization(plan="trial")).id)


async def test_parallel_debits_spend_exactly_what_is_there(owner: OrganizationId) -> None:
    lot = await give(owner, 100)

    results = await asyncio.gather(*(take(owner, 7) for _ in range(20)), return_exceptions=True)

    taken = [result for result in results if not isinstance(result, BaseException)]
    refused = [result for result in results if isinstance(result, InsufficientCredits)]
    assert (len(taken), len(refused)) == (14, 6)
    assert await left(owner) == {lot: 2}


async def test_included_credits_go_first_and_then_those_that_end_first(
    owner: OrganizationId,
) -> None:
    forever = await give(owner, 10)
    soon = await give(owner, 10, expires_at=clock.now() + timedelta(days=1))
    included = await give(
        owner, 10, source=LotSource.INCLUDED, expires_at=clock.now() + timedelta(days=9)
    )

    await take(owner, 15)

    assert await left(owner) == {included: 0, soon: 5, forever: 10}


async def test_credits_that_have_ended_are_not_spent(owner: OrganizationId) -> None:
    ended = await give(owner, 10, expires_at=clock.now() - timedelta(seconds=1))

    with pytest.raises(InsufficientCredits) as refusal:
        await take(owner, 1)

    assert refusal.value.sentence == "This needs 1 email credit and 0 are left."
    assert await left(owner) == {ended: 10}


async def test_a_refund_goes_back_to_the_lots_it_came_from(owner: OrganizationId) -> None:
    first = await give(owner, 10, expires_at=clock.now() + timedelta(days=1))
    second = await give(owner, 10)
    taken = await take(owner, 14)

    async with transaction() as tx:
        await refund(tx, taken.entry_id, amount=6)

    assert await left(owner) == {first: 2, second: 10}
    async with transaction() as tx:
        await refund(tx, taken.entry_id, amount=8)
    assert await left(owner) == {first: 10, second: 10}


async def test_the_ledger_and_the_balances_agree(owner: OrganizationId) -> None:
    await give(owner, 50)
    taken = await take(owner, 20)
    async with transaction() as tx:
        await refund(tx, taken.entry_id, amount=5)

    rows = await fetch(
        "SELECT sum(CASE WHEN to_account = 'balance' THEN amount ELSE -amount END)::int AS sum "
        "FROM credit_entries WHERE organization_id = {}",
        owner,
    )
    assert rows == [{"sum": 35}]
    assert sum((await left(owner)).values()) == 35
    assert await sums(owner) == {
        "purchase": (1, 50, 50, 0),
        "send": (1, 20, 20, 20),
        "refund": (1, 5, 5, -5),
    }


async def test_refunds_and_debits_over_many_lots_do_not_deadlock(owner: OrganizationId) -> None:
    for _ in range(3):
        await give(owner, 1000)
    entries = [(await take(owner, 1500)).entry_id for _ in range(2)]

    async def give_back(entry_id: Any) -> None:
        for _ in range(30):
            async with transaction() as tx:
                await refund(tx, entry_id, amount=10)

    async def spend() -> None:
        for _ in range(30):
            with suppress(InsufficientCredits):
                await take(owner, 15)

    await asyncio.gather(*map(give_back, entries), spend(), spend())


async def test_a_refused_debit_leaves_no_line_in_the_ledger(owner: OrganizationId) -> None:
    with pytest.raises(InsufficientCredits):
        await take(owner, 1)

    assert await fetch("SELECT id FROM credit_entries WHERE organization_id = {}", owner) == []


async def test_balances_and_ledger_are_shown_to_members_only(database: None) -> None:
    organization = await make_organization(plan="trial")
    actor = await make_actor(organization)
    stranger = await make_actor()
    await give(OrganizationId(organization.id), 40, source=LotSource.INCLUDED)
    await take(OrganizationId(organization.id), 4)

    own = await execute(BALANCES, {}, Context(actor=actor))
    other = await execute(BALANCES, {}, Context(actor=stranger))

    assert own.data is not None
    credits = own.data["organization"]["credits"]
    assert credits["balances"][0] == {
        "type": "EMAIL",
        "balance": 36,
        "unlimited": False,
        "usedThisPeriod": 4,
        "lots": [{"granted": 40, "remaining": 36, "source": "INCLUDED"}],
    }
    assert [
        (e["amount"], e["fromAccount"], e["toAccount"]) for e in credits["entries"]["nodes"]
    ] == [
        (4, "BALANCE", "USED"),
        (40, "GRANTED", "BALANCE"),
    ]
    assert other.data is not None
    assert other.data["organization"]["credits"]["balances"][0]["balance"] is None
    assert other.data["organization"]["credits"]["entries"]["nodes"] == []


def test_a_lot_is_spread_without_remainder() -> None:
    assert spread(19, 8) == [3, 3, 3, 2, 2, 2, 2, 2]
    assert take_in_order([3, 0, 5], 6) == [3, 0, 3]
