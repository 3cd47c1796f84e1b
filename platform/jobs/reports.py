"""What a worker says of its queues now and then: connections, the last reply, the site."""

import asyncio
import logging
import uuid
from collections import Counter

from ..delivery.isps import isp_of
from ..delivery.work import QueueNote, note_queues
from ..mail.outcome import Outcome

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
REPEAT_EVERY = 5
"""Rounds after which connections are said again, although nothing has changed."""


class Reports:
    """Gathers what is worth saying of each queue; once a second one statement says it."""

    def __init__(self) -> None:
        self._seen: dict[uuid.UUID, tuple[str, str, Outcome]] = {}
        self._connections: Counter[uuid.UUID] = Counter()
        self._changed: set[uuid.UUID] = set()

    def opened(self, queue_id: uuid.UUID) -> None:
        """A connection is used for a queue."""
        self._connections[queue_id] += 1
        self._changed.add(queue_id)

    def closed(self, queue_id: uuid.UUID) -> None:
        """A connection is used for it no more."""
        self._connections[queue_id] -= 1
        self._changed.add(queue_id)

    def saw(self, queue_id: uuid.UUID, domain: str, site: str, outcome: Outcome) -> None:
        """A receiver replied, or did not."""
        self._seen[queue_id] = domain, site, outcome

    async def keep(self, worker_id: uuid.UUID) -> None:
        """Say what there is to say for as long as the process runs."""
        rounds = 0
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            rounds += 1
            if rounds % REPEAT_EVERY == 0:
                self._changed |= self._connections.keys()
            try:
                await self.say(worker_id)
            except Exception as error:  # an edge: it is said again with the next change
                log.debug("queues could not be reported: %r", error)

    async def say(self, worker_id: uuid.UUID) -> None:
        """Write down what was gathered."""
        seen, self._seen = self._seen, {}
        changed, self._changed = self._changed, set()
        open_ = {queue_id: self._connections[queue_id] for queue_id in changed}
        for queue_id, count in open_.items():
            if count == 0:
                del self._connections[queue_id]
        if seen or open_:
            notes = [_note(queue_id, *each) for queue_id, each in seen.items()]
            await note_queues(worker_id, notes, open_)


def _note(queue_id: uuid.UUID, domain: str, site: str, outcome: Outcome) -> QueueNote:
    first = site.partition(",")[0][:253] or None
    return QueueNote(
        queue_id=queue_id,
        site=first,
        isp=isp_of(domain, first or outcome.mx_host).value,
        code=outcome.code,
        enhanced_code=outcome.enhanced_code,
        reply=outcome.text,
        at=outcome.started_at + outcome.duration,
    )
