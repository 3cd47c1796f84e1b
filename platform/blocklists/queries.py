"""Reading lists, their tests, and listings."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from piccolo.columns.combination import Or, Where

from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch
from ..core.paging import Page, PageRequest, by_id, fetch_page
from .catalogue import enabled_lists, known_lists
from .rules import Blocklist, Fault
from .tables import Listing

NEWEST_FIRST = by_id()


@dataclass(frozen=True, slots=True)
class KnownList:
    """A list, whether it is asked, and how its last test ended."""

    blocklist: Blocklist
    is_enabled: bool
    fault: Fault | None = None
    tested_at: datetime | None = None
    passed_at: datetime | None = None

    @property
    def is_healthy(self) -> bool | None:
        """Whether it passes its tests; None: it was not tested."""
        return None if self.tested_at is None else self.fault is None


async def list_blocklists(actor: Actor, *, enabled: bool | None = None) -> Sequence[KnownList]:
    """Return the lists that are known, those that are asked first."""
    actor.require(Permission.READ_SECURITY)
    asked = enabled_lists()
    rows = await fetch("SELECT zone, fault, tested_at, passed_at FROM blocklist_tests")
    tests = {row["zone"]: row for row in rows}
    found = [*asked.values(), *(each for z, each in known_lists().items() if z not in asked)]
    return [
        _known(each, each.zone in asked, tests)
        for each in found
        if enabled is None or enabled is (each.zone in asked)
    ]


def _known(
    blocklist: Blocklist, is_enabled: bool, tests: Mapping[str, Mapping[str, Any]]
) -> KnownList:
    test = tests.get(blocklist.zone)
    if test is None or not is_enabled:
        return KnownList(blocklist, is_enabled)
    fault = Fault(test["fault"]) if test["fault"] else None
    return KnownList(blocklist, is_enabled, fault, test["tested_at"], test["passed_at"])


async def list_listings(actor: Actor, *, page: PageRequest) -> Page[Listing]:
    """Return which addresses of vMTAs are on lists, newest first; shared vMTAs count."""
    actor.require(Permission.READ_SECURITY)
    return await fetch_page(Listing.objects().where(_visible(actor)), page, NEWEST_FIRST)


async def find_listings(actor: Actor, ids: Collection[uuid.UUID]) -> Sequence[Listing]:
    """Return those of the listings that the actor may see."""
    actor.require(Permission.READ_SECURITY)
    return await Listing.objects().where(_visible(actor)).where(Listing.id.is_in(list(ids)))


async def count_listed(actor: Actor) -> int:
    """Return how many addresses of vMTAs are on lists, for a report; which ones says the above."""
    actor.require(Permission.READ_ANALYTICS)
    rows = await fetch(
        "SELECT count(DISTINCT ip_address) AS listed FROM blocklist_listings "
        "WHERE organization_id = {} OR organization_id IS NULL",
        actor.organization_id,
    )
    return int(rows[0]["listed"])


def _visible(actor: Actor) -> Or:
    own: Where = Listing.organization_id == actor.organization_id
    return own | Listing.organization_id.is_null()


@dataclass(frozen=True, slots=True)
class Overview:
    """How it goes with lists, for one organization."""

    lists: int
    unhealthy: int
    kept_answers: int
    listed_addresses: int
    last_checked_at: datetime | None

    @property
    def is_healthy(self) -> bool:
        """Whether any of the lists is believed; without lists there is nothing to be ill."""
        return not self.lists or self.unhealthy < self.lists


async def get_overview(actor: Actor) -> Overview:
    """Return how many lists are asked, how many fail, and what is listed."""
    actor.require(Permission.READ_SECURITY)
    asked = enabled_lists()
    rows = await fetch(
        "SELECT (SELECT count(*) FROM blocklist_tests WHERE zone = ANY({}::text[]) "
        "AND fault IS NOT NULL) AS unhealthy, "
        "(SELECT count(*) FROM blocklist_answers WHERE organization_id = {} "
        "AND expires_at > {}) AS kept, "
        "(SELECT count(DISTINCT ip_address) FROM blocklist_listings "
        "WHERE organization_id = {} OR organization_id IS NULL) AS listed, "
        "(SELECT max(watch.checked_at) FROM blocklist_watches AS watch "
        "JOIN vmtas ON vmtas.id = watch.id WHERE vmtas.organization_id = {} "
        "OR vmtas.organization_id IS NULL) AS checked_at",
        list(asked),
        actor.organization_id,
        clock.now(),
        actor.organization_id,
        actor.organization_id,
    )
    row = rows[0]
    return Overview(len(asked), row["unhealthy"], row["kept"], row["listed"], row["checked_at"])
