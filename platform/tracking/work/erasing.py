"""Letting nothing more be recorded of somebody whose data was erased."""

import asyncio
import logging
import math
import time
from contextvars import Context
from datetime import datetime, timedelta

from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import Tx, fetch
from ...core.ids import new_id
from ..tokens import Mark, all_who_of

log = logging.getLogger(__name__)

FRESH_SECONDS = 20.0
"""How old what is known may be before whoever asks waits for a look."""
EARLY_SECONDS = 10.0
"""How old it is when whoever asks lets it be looked at, and does not wait."""
PATIENCE_SECONDS = 1.0
"""How long one waits: links lead somewhere without the database as well."""
OVERLAP = timedelta(minutes=5)
"""A transaction may commit later than the time that it wrote."""
KEPT = timedelta(days=366)
"""Links live for a year."""


async def forget_recipient(tx: Tx, organization_id: OrganizationId, address: str) -> int:
    """Have nothing more recorded of mail that *address* got until now; return what was dropped."""
    who = all_who_of(organization_id, address)
    await fetch(
        "INSERT INTO erased_recipients (id, organization_id, who, erased_at) "
        "SELECT new.id, {}, new.who, {} FROM unnest({}::uuid[], {}::bytea[]) AS new (id, who) "
        "ON CONFLICT (organization_id, who) DO UPDATE SET erased_at = excluded.erased_at",
        organization_id,
        clock.now(),
        [new_id() for _ in who],
        who,
    )
    await fetch(
        "DELETE FROM tracking_choices WHERE organization_id = {} AND address_key = {}",
        organization_id,
        address.lower(),
    )
    rows = await fetch(
        "DELETE FROM tracking_hits WHERE organization_id = {} AND who = ANY({}::bytea[]) "
        "RETURNING id",
        organization_id,
        who,
    )
    return len(rows)


async def remove_old_marks() -> None:
    """Forget who was erased when no link of theirs works any more."""
    await fetch("DELETE FROM erased_recipients WHERE erased_at < {}", clock.now() - KEPT)


class Erased:
    """Whose mail is not to be answered for, as this process read it a few seconds ago.

    It is read while somebody asks; a process whom nobody asks reads nothing.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, float] = {}
        self._until: datetime | None = None
        self._tried_at = -math.inf
        self._looking: asyncio.Task[None] | None = None

    def covers(self, mark: Mark) -> bool:
        """Say whether the mail with this mark is somebody's who was erased since."""
        erased_at = self._known.get(mark.organization + mark.who)
        return erased_at is not None and mark.made_at <= erased_at

    async def look(self) -> None:
        """Read who was erased since the last look."""
        now = clock.now()
        rows = await fetch(
            "SELECT organization_id, who, erased_at FROM erased_recipients "
            "WHERE {}::timestamptz IS NULL OR erased_at > {}",
            self._until,
            self._until,
        )
        for row in rows:
            key = row["organization_id"].bytes + row["who"]
            self._known[key] = row["erased_at"].timestamp()
        self._until = now - OVERLAP

    async def start(self) -> None:
        """Read everything for the first time, however long it takes; a failure is logged."""
        await self._try()

    async def keep_fresh(self) -> None:
        """Return once what is known is not too old, or cannot be read now."""
        age = time.monotonic() - self._tried_at
        if age < EARLY_SECONDS:
            return
        if self._looking is None or self._looking.done():
            # Of no request, for all of them wait for it.
            self._looking = asyncio.create_task(self._try(), context=Context())
        if age >= FRESH_SECONDS:
            await asyncio.wait([self._looking], timeout=PATIENCE_SECONDS)
            # Who comes later does not wait once more for what does not answer.
            self._tried_at = max(self._tried_at, time.monotonic() - EARLY_SECONDS)

    async def stop(self) -> None:
        """Look no more."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _try(self) -> None:
        started = time.monotonic()
        try:
            await self.look()
        except Exception as error:  # an edge: what was read before still holds
            log.warning("who was erased cannot be read: %r", error)
        self._tried_at = max(self._tried_at, started)


ERASED = Erased()
"""This process's."""
