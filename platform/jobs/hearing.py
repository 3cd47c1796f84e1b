"""What the loops beside the jobs wait for: being told of events, or one look for all of them.

Being told is a hint, for some of it is lost. While nothing happens one statement every few
seconds asks for all of them whether there is something to do.
"""

import asyncio
import contextlib
import logging
import math
import time
import uuid
from dataclasses import dataclass, field

import asyncpg

from ..analytics.work import CONSUMER as COUNTING
from ..core import clock
from ..core.database import DB, fetch
from ..delivery.work import ANY_WAITING, waiting_at
from ..events.announcing import CHANNEL, named
from ..events.consuming import HAS_MORE
from ..ingress.work import ANY_DUE as ANY_INGRESS
from ..ingress.work import CHANNEL as INGRESS
from ..tracking.work.settling import ANY_RIPE, ripe_before
from ..webhooks.rules import CONSUMER as CALLING
from ..webhooks.telling import CHANNEL as WEBHOOKS
from ..webhooks.work import ANY_DUE, ANY_REPLAYING

log = logging.getLogger(__name__)

NAME = "postlane hearing"
"""What the database calls the connection."""
RETRY_SECONDS = 1.0
LOOK_SECONDS = 3.0
"""Between two looks: what nobody told of waits this long at the most."""

SELDOM_SECONDS = 1.0
"""How long events may wait of organizations that had no webhooks when they were last looked for:
nobody waits for them."""

LOOK = (
    f"SELECT {ANY_WAITING} AS mail, "
    f"{HAS_MORE} AS events_to_call, {HAS_MORE} AS events_to_count, "
    f"{ANY_DUE} OR {ANY_REPLAYING} AS calls, {ANY_RIPE} AS hits, "
    f"{ANY_INGRESS} AS ingress"
)


@dataclass(slots=True)
class Signs:
    """Each is set when there may be something to do, and cleared by whoever does it."""

    mail: asyncio.Event = field(default_factory=asyncio.Event)
    """Something that a sweep is for."""
    calls: asyncio.Event = field(default_factory=asyncio.Event)
    """Events that webhooks may want, or calls whose time has come."""
    counts: asyncio.Event = field(default_factory=asyncio.Event)
    """Events that analytics has not had."""
    hits: asyncio.Event = field(default_factory=asyncio.Event)
    """Opens and clicks that can be made events."""
    ingress: asyncio.Event = field(default_factory=asyncio.Event)
    """Mail that came in to be posted, or mailboxes to look into."""
    uncalled: set[uuid.UUID] = field(default_factory=set)
    """Organizations that had none when events of theirs were last had."""
    looked_at: float = -math.inf
    """When a look last went well, on the monotonic clock."""

    _soon: asyncio.TimerHandle | None = None

    def hear(self, organizations: frozenset[uuid.UUID] | None) -> None:
        """Set what new events of *organizations* are for; None may be any."""
        self.counts.set()
        if organizations is None or not organizations <= self.uncalled:
            self.calls.set()
        elif self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(SELDOM_SECONDS, self._call)

    def hear_of_webhooks(self) -> None:
        """Look at webhooks at once: there is a new one, or one whose calls are due."""
        self.uncalled.clear()
        self.calls.set()

    def _call(self) -> None:
        self._soon = None
        self.calls.set()

    @property
    def is_quiet(self) -> bool:
        """Whether the last look has just found that there is nothing a sweep is for."""
        is_recent = time.monotonic() - self.looked_at < 2 * LOOK_SECONDS
        return is_recent and not self.mail.is_set()

    async def look(self) -> None:
        """Ask the database, and set those that have something to do."""
        started, now = time.monotonic(), clock.now()
        gaps = (CALLING, COUNTING, now, now, ripe_before(now), now, now, now)
        (row,) = await fetch(LOOK, *waiting_at(now), *gaps)
        self.looked_at = started
        if row["mail"]:
            self.mail.set()
        if row["events_to_call"] or row["calls"]:
            self.calls.set()
        if row["events_to_count"]:
            self.counts.set()
        if row["hits"]:
            self.hits.set()
        if row["ingress"]:
            self.ingress.set()

    async def try_to_look(self) -> None:
        """Look, if the database answers; otherwise the next look sees it."""
        try:
            await self.look()
        except Exception as error:  # an edge, as said
            log.debug("what there is to do cannot be seen: %r", error)


async def keep_looking(signs: Signs) -> None:
    """Look every few seconds for as long as this runs."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await signs.try_to_look()


async def wait_for(
    sign: asyncio.Event, stopping: asyncio.Event, *, seconds: float | None = None
) -> None:
    """Return when *sign* is set, when the process is to end, or after so many seconds."""
    waiting = [asyncio.ensure_future(each.wait()) for each in (sign, stopping)]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*waiting, return_exceptions=True)


async def keep_hearing(signs: Signs) -> None:
    """Set what events are for whenever some process announces them, for as long as this runs."""
    while True:
        try:
            await _listen(signs)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.debug("announcements of events cannot be heard: %r", error)
        await asyncio.sleep(RETRY_SECONDS)


async def _listen(signs: Signs) -> None:
    def tell(*given: object) -> None:
        signs.hear(named(str(given[-1])))

    lost = asyncio.Event()
    connection = await asyncpg.connect(
        DB.config["dsn"], command_timeout=30, server_settings={"application_name": NAME}
    )
    try:
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, tell)
        await connection.add_listener(WEBHOOKS, lambda *_: signs.hear_of_webhooks())
        await connection.add_listener(INGRESS, lambda *_: signs.ingress.set())
        # Whatever was written while nobody listened.
        signs.hear(None)
        signs.uncalled.clear()
        signs.ingress.set()
        await lost.wait()
    finally:
        connection.terminate()
