"""What one worker process sends mail with: ways out, open conversations, limits on memory."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from ..core import clock
from ..delivery.work import LEASE, QueueRoute
from ..mail.outcome import Failure, Outcome
from ..mail.smtp import Envelope, Host, Session, Tls
from .settler import Settler

log = logging.getLogger(__name__)

IDLE_SECONDS = 4.0
"""How long a conversation without a message is kept open for the next."""

MESSAGES_PER_CONNECTION = 100
"""Messages sent over one connection before it is closed; some receivers refuse more."""

UNREACHABLE_SECONDS = 30.0
"""How long a host that did not answer is not asked again, so that a dead one costs little."""


@dataclass(frozen=True, slots=True)
class Way:
    """How to talk to the hosts that take the mail of a queue, best host first."""

    hosts: tuple[Host, ...]
    ehlo: str
    source_address: str | None = None
    tls: Tls = Tls.OPPORTUNISTIC
    implicit_tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def to(self, host: Host) -> "Way":
        """Return the way to one of the hosts; equal ways can share a conversation."""
        return replace(self, hosts=(host,))


class Transport(Protocol):
    """Knows where mail goes."""

    async def find_way(self, queue: QueueRoute) -> Way | Failure:
        """Return how the mail of *queue* leaves, or why it cannot."""


@dataclass(slots=True)
class Conversation:
    """An open session, the way it belongs to and how many messages it has had."""

    way: Way
    session: Session
    message_count: int = 0

    @property
    def is_usable(self) -> bool:
        """Whether another message may follow."""
        return not self.session.closed and self.message_count < MESSAGES_PER_CONNECTION

    async def deliver(self, envelope: Envelope) -> Outcome:
        """Send one message and return what came of it."""
        self.message_count += 1
        return await self.session.deliver(envelope)


class Conversations:
    """Open conversations of this process; one that is free is used before a new one is opened."""

    def __init__(self) -> None:
        self._free: dict[Way, list[tuple[float, Conversation]]] = {}
        self._unreachable: dict[Way, tuple[float, Outcome]] = {}

    async def take(self, way: Way) -> Conversation | Outcome:
        """Return a conversation with the first host that takes one, or why the last did not.

        The hosts are tried in their order within this one attempt; a host that did not
        answer a moment ago is passed over.
        """
        answer: Conversation | Outcome | None = None
        for host in way.hosts:
            answer = self._take_free(way.to(host)) or await self._open(way.to(host))
            if isinstance(answer, Conversation):
                return answer
        assert answer is not None, "a way has at least one host"
        return answer

    async def give_back(self, conversation: Conversation) -> None:
        """Let others use a conversation, unless it has had its share of messages."""
        if conversation.is_usable:
            entry = (time.monotonic(), conversation)
            self._free.setdefault(conversation.way, []).append(entry)
        else:
            await conversation.session.close()

    async def close_idle(self, *, older_than: float = IDLE_SECONDS) -> None:
        """Say goodbye where nothing was sent for *older_than* seconds."""
        now = time.monotonic()
        idle: list[Conversation] = []
        for way, entries in list(self._free.items()):
            kept = [entry for entry in entries if now - entry[0] < older_than]
            idle += [free for since, free in entries if now - since >= older_than]
            if kept:
                self._free[way] = kept
            else:
                del self._free[way]
        for way, (until, _) in list(self._unreachable.items()):
            if until < now:
                del self._unreachable[way]
        await asyncio.gather(*(conversation.session.close() for conversation in idle))

    def _take_free(self, way: Way) -> Conversation | None:
        entries = self._free.get(way, [])
        while entries:
            # The latest first: it is the least likely to have been closed by the host.
            _, conversation = entries.pop()
            if conversation.is_usable:
                return conversation
        return None

    async def _open(self, way: Way) -> Conversation | Outcome:
        known = self._unreachable.get(way)
        if known and known[0] > time.monotonic():
            return replace(known[1], started_at=clock.now(), duration=timedelta())
        answer = await Session.open(
            way.hosts[0],
            ehlo=way.ehlo,
            source_address=way.source_address,
            tls=way.tls,
            implicit_tls=way.implicit_tls,
            username=way.username,
            password=way.password,
        )
        if isinstance(answer, Session):
            return Conversation(way, answer)
        if answer.code is None:
            self._unreachable[way] = (time.monotonic() + UNREACHABLE_SECONDS, answer)
        return answer


class ByteWindow:
    """Limits how many bytes are held at once; whoever wants more waits in line.

    More than the whole window is let in when nothing else is there.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._changed = asyncio.Condition()

    async def acquire(self, size: int) -> None:
        async with self._changed:
            await self._changed.wait_for(
                lambda: self._held == 0 or self._held + size <= self._limit
            )
            self._held += size

    async def release(self, size: int) -> None:
        async with self._changed:
            self._held -= size
            self._changed.notify_all()


@dataclass(slots=True)
class Outbound:
    """Everything that the drains of one process share."""

    transport: Transport
    settler: Settler = field(default_factory=Settler)
    conversations: Conversations = field(default_factory=Conversations)
    lease: timedelta = LEASE
    memory: ByteWindow = field(default_factory=lambda: ByteWindow(192 * 1024 * 1024))
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is to end: nothing new begins, what is on the wire finishes."""

    async def keep_house(self, every: timedelta = timedelta(seconds=1)) -> None:
        """Close idle conversations for as long as the process runs."""
        while True:
            await asyncio.sleep(every.total_seconds())
            with contextlib.suppress(OSError):
                await self.conversations.close_idle()


def pick_family(addresses: Sequence[str], source_address: str | None) -> list[str]:
    """Return the addresses that *source_address* can reach: those of its own family."""
    if source_address is None:
        return list(addresses)
    return [each for each in addresses if (":" in each) == (":" in source_address)]
