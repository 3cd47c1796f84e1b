"""Spending and giving back of several organizations at once: nobody waits for one another."""

import asyncio
import uuid

from postlane.core.actor import OrganizationId
from postlane.core.database import transaction
from postlane.credits.lots import Refund, refund_all
from postlane.credits.operations import debit_all
from tests.factories import make_organization
from tests.security.test_races import held, until_waiting

from .books import charge, give, left, take

LAST_SHARES = (
    "SELECT FROM credit_shares WHERE organization_id = $1::text::uuid ORDER BY id FOR UPDATE"
)


async def test_refunds_and_debits_of_the_same_organizations_never_deadlock(
    database: None, database_url: str
) -> None:
    pair = [OrganizationId((await make_organization(plan="trial")).id) for _ in range(2)]
    former, latter = sorted(pair)
    # The shares of the organization that comes last are the older ones.
    lots = {owner: await give(owner, 100) for owner in (latter, former)}
    spent = [await take(owner, 60) for owner in (former, latter)]

    for _ in range(3):
        async with held(database_url, LAST_SHARES, str(latter)):
            spending = asyncio.create_task(_spend(former, latter))
            await until_waiting(1)
            refunding = asyncio.create_task(
                _give_back([each.entry_id for each in spent if each.entry_id])
            )
            await until_waiting(2)
        await asyncio.gather(spending, refunding)

    assert await left(former) == {lots[former]: 100 - 60 - 3 * 5 + 3}
    assert await left(latter) == {lots[latter]: 100 - 60 - 3 * 5 + 3}


async def _spend(*owners: OrganizationId) -> None:
    async with transaction() as tx:
        await debit_all(tx, [charge(owner, 5) for owner in owners])


async def _give_back(entries: list[uuid.UUID]) -> None:
    async with transaction() as tx:
        await refund_all(tx, [Refund(entry, 1) for entry in entries])
