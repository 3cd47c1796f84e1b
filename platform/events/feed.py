"""New events for whoever waits for them in this process, from all processes.

One connection listens and reads, however many subscribers there are, and only while there
are any. A notification says that it is worth looking; it looks every second anyway, so that
one that was lost delays events and loses none.
"""

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

import asyncpg

from ..core.database import DB
from ..core.errors import ErrorCode, LimitReached, Unavailable
from .announcing import CHANNEL, named
from .snapshots import SEE, Progress, Snapshot
from .tables import Event

log = logging.getLogger(__name__)

NAME = "postlane feed"
"""What the database calls its connection."""
LOOK_SECONDS = 1.0
"""It looks this often without being told."""
PAUSE_SECONDS = 0.02
"""Between two looks, so that many notifications cost one."""
RETRY_SECONDS = 1.0
START_SECONDS = 5.0
"""How long a first subscriber waits for the database."""
BUFFER = 1_000
"""Events that wait for one subscriber; one more and it has lost its place."""
READ_AT_ONCE = 500

# xmin has 32 bits; beside the snapshot's next transaction it is known which 64 they stand for.
# The columns by name: a process of one release reads while the next one's migrations run.
NEW = f"""
SELECT {", ".join(column._meta.db_column_name for column in Event._meta.columns)}
FROM events WHERE position > $1 AND organization_id = ANY($2::uuid[])
AND NOT pg_visible_in_snapshot(
    ($3::bigint + ((xmin::text::bigint - $3::bigint + 2147483648) & 4294967295) - 2147483648)
    ::text::xid8, $4::text::pg_snapshot)
ORDER BY position
"""


class FellBehind(LimitReached):
    """A subscriber took its events too slowly, and some would be missing."""

    code = ErrorCode.SUBSCRIPTION_OVERFLOW
    message = (
        f"More than {BUFFER} events waited to be taken. Subscribe again, and read what is missing."
    )


class FeedClosed(Exception):
    """This process ends: whoever waits should come back to another one."""


class Subscriber:
    """Waits for the events of one organization that it wants."""

    def __init__(
        self, organization_id: uuid.UUID, wants: Callable[[Event], bool], *, room: int = BUFFER
    ) -> None:
        self.organization_id = organization_id
        self._wants = wants
        self._room = room
        self._waiting: deque[Event] = deque()
        self._some = asyncio.Event()
        self._ended: Exception | None = None

    async def take(self, most: int) -> list[Event]:
        """Return the next events, at least one and at most *most*, as soon as there are any.

        Raises:
            FellBehind: more waited than are kept.
            FeedClosed: the process ends.
        """
        await self._some.wait()
        if self._ended is not None:
            raise self._ended
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        if not self._waiting:
            self._some.clear()
        return taken

    def offer(self, event: Event) -> None:
        """Keep *event* until it is taken, if it is wanted."""
        if self._ended is not None:
            return
        try:
            is_wanted = self._wants(event)
        except Exception as error:  # an edge: its fault is not that of the others
            log.exception("a subscriber could not say whether it wants an event")
            self.end(error)
            return
        if not is_wanted:
            return
        if len(self._waiting) >= self._room:
            self.end(FellBehind())
            return
        self._waiting.append(event)
        self._some.set()

    def end(self, reason: Exception) -> None:
        """Let nothing more be taken, and say why."""
        if self._ended is None:
            self._ended = reason
            self._waiting.clear()
            self._some.set()


class Feed:
    """Reads new events for the subscribers of one process."""

    def __init__(self) -> None:
        self._subscribers: dict[uuid.UUID, set[Subscriber]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._progress: Progress | None = None
        self._offered: set[int] = set()
        """Positions of the look that is going on, or broke off: it is done again then."""
        self._ready = asyncio.Event()
        self._told = asyncio.Event()

    async def subscribe(
        self,
        organization_id: uuid.UUID,
        wants: Callable[[Event], bool],
        *,
        room: int = BUFFER,
    ) -> Subscriber:
        """Return a subscriber to everything that is committed from now on; `leave` ends it.

        Raises:
            Unavailable: the database cannot be asked.
        """
        subscriber = Subscriber(organization_id, wants, room=room)
        self._subscribers.setdefault(organization_id, set()).add(subscriber)
        if self._reader is None:
            self._ready = asyncio.Event()
            self._progress = None
            self._offered.clear()
            self._reader = asyncio.create_task(self._run(), context=Context())
        try:
            await asyncio.wait_for(self._ready.wait(), START_SECONDS)
        except BaseException as error:
            self.leave(subscriber)
            if isinstance(error, TimeoutError):
                raise Unavailable(retry_after_seconds=5) from error
            raise
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Let *subscriber* get nothing more; the last one lets go of the database."""
        group = self._subscribers.get(subscriber.organization_id, set())
        group.discard(subscriber)
        if not group:
            self._subscribers.pop(subscriber.organization_id, None)
        if not self._subscribers:
            self._stop()

    async def close(self) -> None:
        """End every subscriber, and leave the database."""
        for subscriber in [each for group in self._subscribers.values() for each in group]:
            subscriber.end(FeedClosed())
        reader = self._reader
        self._stop()
        if reader is not None:
            await asyncio.gather(reader, return_exceptions=True)

    def _stop(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    async def _run(self) -> None:
        while True:
            try:
                connection = await asyncpg.connect(
                    DB.config["dsn"],
                    command_timeout=30,
                    server_settings={"jit": "off", "application_name": NAME},
                )
                try:
                    await self._read(connection)
                finally:
                    # Closing politely would wait for a statement that hangs.
                    connection.terminate()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("new events cannot be read: %r", error)
            except Exception:  # an edge: a reader that ends would leave everybody waiting
                log.exception("new events could not be read")
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self, connection: asyncpg.Connection) -> None:
        await connection.add_listener(CHANNEL, self._hear)
        while True:
            self._told.clear()
            began = time.monotonic()
            await self._look(connection)
            # While a transaction is open for long, each look reads all that came since it
            # began: then half of the time is enough for the database.
            took = time.monotonic() - began
            await asyncio.sleep(min(max(PAUSE_SECONDS, took), LOOK_SECONDS))
            try:
                await asyncio.wait_for(self._told.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    def _hear(self, connection: Any, pid: int, channel: str, text: str) -> None:
        organizations = named(text)
        if organizations is None or not organizations.isdisjoint(self._subscribers):
            self._told.set()

    async def _look(self, connection: asyncpg.Connection) -> None:
        """Offer what was not visible at the last look to those who want it."""
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            row = await connection.fetchrow(SEE)
            now = Snapshot.of(**row)
            if self._progress is None:
                self._progress = Progress(now)
                self._ready.set()
                return
            seen = self._progress.seen
            if now.text != seen.text:
                rows = connection.cursor(
                    NEW,
                    self._progress.begin,
                    list(self._subscribers),
                    seen.next,
                    seen.text,
                    prefetch=READ_AT_ONCE,
                )
                async for found in rows:
                    if found["position"] not in self._offered:
                        self._offer(Event(_exists_in_db=True, **found))
                        self._offered.add(found["position"])
        self._progress.advance(now)
        self._offered.clear()

    def _offer(self, event: Event) -> None:
        for subscriber in tuple(self._subscribers.get(event.organization_id, ())):
            subscriber.offer(event)


FEED = Feed()
"""This process's."""
