"""Credits given and taken as the product does, and what the tables then say."""

import uuid
from typing import Any

from postlane.core.actor import OrganizationId
from postlane.core.database import fetch, transaction
from postlane.credits.lots import grant
from postlane.credits.operations import Charge, Debit, debit
from postlane.credits.rules import EntrySource, LotSource


def charge(organization_id: OrganizationId, amount: int, **values: Any) -> Charge:
    """Return what a message costs an organization whose credits are counted."""
    return Charge(
        **{
            "organization_id": organization_id,
            "plan": "trial",
            "amount": amount,
            "source": EntrySource.SEND,
        }
        | values
    )


async def take(organization_id: OrganizationId, amount: int, **values: Any) -> Debit:
    """Spend credits."""
    async with transaction() as tx:
        return await debit(tx, charge(organization_id, amount, **values))


async def give(organization_id: OrganizationId, amount: int, **values: Any) -> uuid.UUID:
    """Give a lot that was bought."""
    async with transaction() as tx:
        return await grant(
            tx, organization_id, amount=amount, **{"source": LotSource.PURCHASE} | values
        )


async def left(organization_id: OrganizationId) -> dict[uuid.UUID, int]:
    """Return what each lot has left, ended ones included."""
    rows = await fetch(
        "SELECT lot_id, sum(remaining)::int AS left FROM credit_shares "
        "WHERE organization_id = {} GROUP BY lot_id",
        organization_id,
    )
    return {row["lot_id"]: row["left"] for row in rows}


async def ledger(organization_id: OrganizationId) -> list[tuple[str, str, str, int]]:
    """Return what moved from where to where and why, in order."""
    rows = await fetch(
        "SELECT from_account, to_account, source, amount FROM credit_entries "
        "WHERE organization_id = {} ORDER BY id",
        organization_id,
    )
    return [(r["from_account"], r["to_account"], r["source"], r["amount"]) for r in rows]


async def sums(organization_id: OrganizationId) -> dict[str, tuple[int, int, int, int]]:
    """Return how many entries of each source there are, and what they moved, counted and used."""
    rows = await fetch(
        "SELECT source, sum(entries)::int AS entries, sum(amount)::int AS amount, "
        "sum(counted)::int AS counted, sum(used)::int AS used FROM credit_usage "
        "WHERE organization_id = {} GROUP BY source",
        organization_id,
    )
    return {r["source"]: (r["entries"], r["amount"], r["counted"], r["used"]) for r in rows}
