"""What one worker process sends mail with: ways out, open conversations, limits on memory."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from ..core import clock
from ..core.actor import OrganizationId
from ..core.turns import Turns
from ..delivery.work import LEASE, QueueRoute
from ..mail.outcome import Failure, Outcome
from ..mail.smtp import Envelope, Host, Session, Tls
from .gates import Gate, Patience
from .limits import Limits
from .memory import ByteWindow
from .reports import Reports
from .settler import Settler

log = logging.getLogger(__name__)

IDLE_SECONDS = 4.0
"""How long a conversation without a message is kept open for the next."""

MESSAGES_PER_CONNECTION = 100
"""Messages sent over one connection before it is closed; some receivers refuse more."""

BUILDERS = 2
"""Threads that build messages at a time.

With more of them the conversations wait for the interpreter: each time that they have something
to do, every thread may have it for five milliseconds first.
"""

ASKING = 6
"""Statements of drains that the database works on at a time, so that some connections are free."""
ASKING_EACH = 2
"""Those of one organization: a drain of another finds the database free whatever they ask."""

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
    ca_file: str | None = None
    """In place of the system's certificate authorities."""
    exchange: "Opener | None" = None
    """Hands mail over by something else than SMTP."""
    site: str = ""
    """All exchangers, which limits hold for; empty where no limits hold."""

    def to(self, host: Host) -> "Way":
        """Return the way to one of the hosts; equal ways can share a conversation."""
        return replace(self, hosts=(host,))


class Exchange(Protocol):
    """What messages can be handed over by, one at a time."""

    @property
    def closed(self) -> bool:
        """Whether nothing more can be handed over."""

    async def deliver(self, envelope: Envelope) -> Outcome:
        """Hand over one message and return what came of it."""

    async def close(self) -> None:
        """End it."""


class Opener(Protocol):
    """Opens exchanges; two that are equal may share them."""

    def open(self, way: Way) -> Exchange:
        """Return an exchange."""

    def __hash__(self) -> int: ...


class Transport(Protocol):
    """Knows where mail goes."""

    async def find_way(self, queue: QueueRoute) -> Way | Failure:
        """Return how the mail of *queue* leaves, or why it cannot."""


@dataclass(slots=True)
class Conversation:
    """An open session, the way it belongs to and how many messages it has had."""

    way: Way
    session: Exchange
    message_count: int = 0
    gate: Gate | None = None
    """What it counts against."""
    most_messages: int = MESSAGES_PER_CONNECTION

    @property
    def is_usable(self) -> bool:
        """Whether another message may follow."""
        return not self.session.closed and self.message_count < self.most_messages

    async def deliver(self, envelope: Envelope) -> Outcome:
        """Send one message and return what came of it."""
        self.message_count += 1
        return await self.session.deliver(envelope)


class Conversations:
    """Open conversations of this process; one that is free is used before a new one is opened."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._free: dict[Way, list[tuple[float, Conversation]]] = {}
        self._unreachable: dict[Way, tuple[float, Outcome]] = {}

    async def take(
        self,
        way: Way,
        *,
        gate: Gate | None = None,
        patience: Patience | None = None,
        most_messages: int = MESSAGES_PER_CONNECTION,
    ) -> Conversation | Outcome | None:
        """Return a conversation with the first host that takes one, or why the last did not.

        The hosts are tried in their order within this one attempt; a host that did not
        answer a moment ago is passed over. Behind a *gate* it waits for its turn, and returns
        None if none came in time.
        """
        if gate is not None and not await self._get_in(gate, patience):
            return None
        free = self._take_free(way)
        if free is not None:
            if free.gate is None and gate is not None:
                # One that a notice was sent over, which goes through no gate.
                free.gate, free.most_messages = gate, most_messages
                gate.open += 1
            return free
        if gate is not None:
            await self._make_room(gate)
        answer: Conversation | Outcome | None = None
        try:
            for host in way.hosts:
                answer = await self._open(way.to(host))
                if isinstance(answer, Conversation):
                    answer.gate, answer.most_messages = gate, most_messages
                    return answer
        finally:
            if not isinstance(answer, Conversation):
                _leave(gate)
        assert answer is not None, "a way has at least one host"
        return answer

    async def give_back(self, conversation: Conversation) -> None:
        """Let others use a conversation, unless it has had its share of messages."""
        gate = conversation.gate
        if gate is not None and gate.is_over:
            await self.close(conversation)
            self._limits.closed(gate)
        elif conversation.is_usable:
            entry = (time.monotonic(), conversation)
            self._free.setdefault(conversation.way, []).append(entry)
            if gate is not None:
                gate.idle += 1
                gate.wake()
        else:
            await self.close(conversation)

    async def close(self, conversation: Conversation) -> None:
        """End a conversation that is in use."""
        gate, conversation.gate = conversation.gate, None
        try:
            await conversation.session.close()
        finally:
            _leave(gate)

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
        for conversation in idle:
            _stir(conversation)
        await asyncio.gather(*(self.close(conversation) for conversation in idle))

    async def _get_in(self, gate: Gate, patience: Patience | None) -> bool:
        """Wait until a connection of the gate is free, or say that none came."""
        if not gate.has_room():
            await self._limits.ask_for_more(gate)
        if gate.has_room():
            return True
        assert patience is not None, "whoever goes through a gate says how long it may wait"
        return await gate.wait_for_turn(patience)

    async def _make_room(self, gate: Gate) -> None:
        """Count one more connection, in place of an idle one if all are open."""
        gate.open += 1
        if gate.open > gate.allowed and gate.idle:
            for entries in self._free.values():
                for entry in entries:
                    if entry[1].gate is gate:
                        entries.remove(entry)
                        _stir(entry[1])
                        await self.close(entry[1])
                        return

    def _take_free(self, way: Way) -> Conversation | None:
        for host in way.hosts:
            entries = self._free.get(way.to(host), [])
            while entries:
                # The latest first: it is the least likely to have been closed by the host.
                _, conversation = entries.pop()
                _stir(conversation)
                if conversation.is_usable:
                    return conversation
                _leave(conversation.gate)
        return None

    async def _open(self, way: Way) -> Conversation | Outcome:
        if way.exchange is not None:
            return Conversation(way, way.exchange.open(way))
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
            ca_file=way.ca_file,
        )
        if isinstance(answer, Session):
            return Conversation(way, answer)
        if answer.code is None:
            self._unreachable[way] = (time.monotonic() + UNREACHABLE_SECONDS, answer)
        return answer


def _stir(conversation: Conversation) -> None:
    if conversation.gate is not None:
        conversation.gate.idle -= 1


def _leave(gate: Gate | None) -> None:
    if gate is not None:
        gate.open -= 1
        gate.wake()


@dataclass(slots=True)
class Outbound:
    """Everything that the drains of one process share."""

    transport: Transport
    settler: Settler = field(default_factory=Settler)
    limits: Limits = field(default_factory=Limits)
    reports: Reports = field(default_factory=Reports)
    lease: timedelta = LEASE
    memory: ByteWindow = field(default_factory=lambda: ByteWindow(96 * 1024 * 1024))
    building: ByteWindow = field(default_factory=lambda: ByteWindow(96 * 1024 * 1024))
    """What building messages takes beside what is built."""
    filled: ByteWindow = field(default_factory=lambda: ByteWindow(48 * 1024 * 1024))
    """What it takes to build those that recipients' own values were put into."""
    builders: Turns = field(default_factory=lambda: Turns(BUILDERS))
    asking: Turns = field(default_factory=lambda: Turns(ASKING, each=ASKING_EACH))
    """Who may claim, or read what is to be built."""
    drains: set[asyncio.Task[None]] = field(default_factory=set)
    """They end by themselves, also when the job that began them is given up."""
    at_work: Counter[OrganizationId | None] = field(default_factory=Counter)
    """Drains by organization."""
    places: int = 150
    """Drains of one organization at a time: the rest of the worker's is for others."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is to end: nothing new begins, what is on the wire finishes."""
    conversations: Conversations = field(init=False)

    def __post_init__(self) -> None:
        self.conversations = Conversations(self.limits)

    def begin(self, drain: "asyncio.Task[None]", organization_id: OrganizationId | None) -> None:
        """Know of a drain until it ends."""

        def ended(task: "asyncio.Task[None]") -> None:
            self.drains.discard(task)
            self.at_work[organization_id] -= 1
            if not self.at_work[organization_id]:
                del self.at_work[organization_id]

        self.drains.add(drain)
        self.at_work[organization_id] += 1
        drain.add_done_callback(ended)

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
