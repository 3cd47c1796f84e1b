"""What other rows must allow before a domain is written."""

import uuid

from ...accounts.plans import limits_of
from ...accounts.queries import get_plan
from ...core.actor import Actor
from ...core.database import Tx, fetch_of_all
from ...core.errors import DetailCode, InvalidInput
from ...vmtas import queries as vmtas
from ..errors import DomainClaimed, DomainExists, TooManyDomains
from ..queries import count_all
from ..rules import CAN_SEND


async def refuse_beyond_plan(tx: Tx, actor: Actor) -> None:
    """Do nothing if the organization's plan allows another domain.

    Raises:
        TooManyDomains: it does not.
    """
    # Two who set up the last one allowed at the same moment wait for each other here.
    most = limits_of(await get_plan(tx, actor.organization_id)).domains
    if most is not None and await count_all(actor.organization_id) >= most:
        raise TooManyDomains


async def refuse_taken(actor: Actor, name: str) -> None:
    """Do nothing if the organization may set the domain up.

    Raises:
        DomainExists: it has the domain already.
        DomainClaimed: another organization has verified it.
    """
    rows = await fetch_of_all(
        "SELECT organization_id = {} AS own FROM domains "
        "WHERE name = {} AND (organization_id = {} OR status = ANY({}::text[]))",
        actor.organization_id,
        name,
        actor.organization_id,
        [status.value for status in CAN_SEND],
    )
    if any(row["own"] for row in rows):
        raise DomainExists
    if rows:
        raise DomainClaimed


async def refuse_unknown_pool(actor: Actor, pool: str) -> None:
    """Do nothing if the organization has the pool.

    Raises:
        InvalidInput: it has not.
    """
    if not await vmtas.has_pool(actor.organization_id, pool):
        raise InvalidInput.of(
            "defaultPool", DetailCode.NOT_FOUND, "There is no pool with this name."
        )


async def refuse_taken_tracking(
    actor: Actor, name: str | None, *, domain_id: uuid.UUID | None
) -> None:
    """Do nothing if no domain but *domain_id* tracks under *name*.

    Raises:
        InvalidInput: another domain does.
    """
    if name is None:
        return
    # Of others only what is verified counts: a name alone takes nothing from its owner.
    rows = await fetch_of_all(
        "SELECT id FROM domains WHERE tracking_domain = {} AND id IS DISTINCT FROM {}::uuid "
        "AND (organization_id = {} OR status = ANY({}::text[]))",
        name,
        domain_id,
        actor.organization_id,
        [status.value for status in CAN_SEND],
    )
    if rows:
        raise InvalidInput.of(
            "trackingDomain", DetailCode.DUPLICATE, "Another domain tracks under this name."
        )
