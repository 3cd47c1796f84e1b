"""Settling in groups: the outcomes of all drains of a process share transactions."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

import asyncpg

from ..delivery.work import Settlement, settle_batch

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.025
"""How long outcomes gather before they are written: fifteen at a time while a worker is busy.

What was delivered and is not yet written goes out twice if the process is killed, so this
is short; a transaction for each would cost more than the delivery.
"""

WRITERS = 2
"""Transactions at a time: outcomes need not wait for a commit that has begun."""

LARGEST = 200
MAX_WAITING = 1000
"""Outcomes that may wait while the database does not answer; then sending pauses."""

GIVE_UP_SECONDS = 300.0
FINISH_SECONDS = 5.0
"""How long a process that ends waits for its last outcomes; what is lost goes out twice."""

UNSTORABLE = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    LookupError,
    TypeError,
    ValueError,
)
"""What comes of the outcomes themselves: trying them again changes nothing."""

NO_WORDS = "The reply cannot be kept."


class Settler:
    """Writes outcomes down, again and again while the database is away."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Settlement, asyncio.Future[None]]] = []
        self._unwritten: set[asyncio.Future[None]] = set()
        self._some = asyncio.Event()
        self._room = asyncio.Condition()

    def settle(self, settlement: Settlement) -> "asyncio.Future[None]":
        """Take *settlement*; the future that comes back is done once it is on disk."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((settlement, future))
        self._unwritten.add(future)
        future.add_done_callback(self._unwritten.discard)
        self._some.set()
        return future

    async def wait_for_room(self) -> None:
        """Return once few enough outcomes wait that more mail may be sent."""
        if len(self._waiting) < MAX_WAITING:
            return
        async with self._room:
            await self._room.wait_for(lambda: len(self._waiting) < MAX_WAITING)

    async def finish(self) -> None:
        """Return once everything that was handed over is on disk, or FINISH_SECONDS are over."""
        if self._unwritten:
            await asyncio.wait(self._unwritten, timeout=FINISH_SECONDS)

    async def run(self) -> None:
        """Write for as long as the process runs."""
        await asyncio.gather(*(self._keep_writing() for _ in range(WRITERS)))

    async def _keep_writing(self) -> None:
        while True:
            await self._some.wait()
            if len(self._waiting) < LARGEST:
                await asyncio.sleep(GATHER_SECONDS)
            taken, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
            if not self._waiting:
                self._some.clear()
            await self._write([settlement for settlement, _ in taken])
            for _, future in taken:
                if not future.done():
                    future.set_result(None)
            async with self._room:
                self._room.notify_all()

    async def _write(self, settlements: Sequence[Settlement]) -> None:
        """Write once, or give up after minutes: then the leases end and it is tried again."""
        give_up_at = asyncio.get_running_loop().time() + GIVE_UP_SECONDS
        pause = 0.1
        while True:
            try:
                settled = await settle_batch(settlements)
            except UNSTORABLE as error:
                await self._write_apart(settlements, error)
                return
            except Exception as error:  # an edge: forgetting what was sent would send it twice
                if asyncio.get_running_loop().time() + pause > give_up_at:
                    log.exception("%d outcomes could not be written", len(settlements))
                    return
                log.warning("outcomes could not be written; trying again: %r", error)
                # Putting back takes the attempt back, too. If that was committed after all,
                # others may have begun the same attempt by now, and it would be taken from
                # them; without it the lease just runs out.
                settlements = [each for each in settlements if each.outcome is not None]
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
            else:
                if settled < len(settlements):
                    log.warning(
                        "%d outcomes came too late; others had taken over",
                        len(settlements) - settled,
                    )
                return

    async def _write_apart(self, settlements: Sequence[Settlement], error: Exception) -> None:
        """Write what can be written of a group that was refused as a whole.

        Strangers choose what hosts are called and what they reply. One of them must not keep
        the outcomes of others from being written: their mail would go out again.
        """
        if len(settlements) > 1:
            middle = len(settlements) // 2
            await self._write(settlements[:middle])
            await self._write(settlements[middle:])
            return
        (settlement,) = settlements
        log.error("an outcome cannot be written as it is", exc_info=error)
        bare = _without_words(settlement)
        if bare != settlement:
            await self._write([bare])


def _without_words(settlement: Settlement) -> Settlement:
    """Return what came of an attempt without anything that the other side said or is called."""
    if settlement.outcome is None:
        return settlement
    return replace(
        settlement,
        outcome=replace(
            settlement.outcome,
            text=NO_WORDS,
            enhanced_code=None,
            mx_host=None,
            mx_address=None,
            tls_version=None,
            tls_cipher=None,
            transcript=(),
        ),
    )
