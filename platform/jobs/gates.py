"""The connections of one scope that this worker may hold, and who waits for them.

Organizations take turns, so that the first message of one waits for one message of another
and not for all of them.
"""

import asyncio
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core import clock
from ..core.actor import OrganizationId
from ..delivery.work import ScopeKey

Owner = OrganizationId | None
"""Whose mail it is; None is the platform's own."""


@dataclass(frozen=True, slots=True)
class Patience:
    """For whom somebody waits, and until when."""

    organization_id: Owner
    end_at: float
    """By the monotonic clock."""
    stopped: "asyncio.Future[Any]"
    """Done when the process is to end."""


class Gate:
    """The connections of one scope that this worker may hold.

    *open* counts those in use and those that idle. An idle one is closed, or handed on, when
    somebody waits. While there are *users*, who may open one at any moment, it is not given up.
    """

    def __init__(self, scope: ScopeKey) -> None:
        self.scope = scope
        self.limit = 0
        self.allowed = 0
        self.open = 0
        self.idle = 0
        self.users = 0
        self.leased_at = 0.0
        self.modest_until = 0.0
        self.suspended_until: datetime | None = None
        self.suspended_by: str | None = None
        self._promised = 0
        self._lines: OrderedDict[Owner, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many lanes wait for a connection."""
        return sum(len(line) for line in self._lines.values())

    @property
    def is_suspended(self) -> bool:
        """Whether nothing may be sent, because the receiver said so."""
        return self.suspended_until is not None and self.suspended_until > clock.now()

    @property
    def organizations(self) -> int:
        """How many organizations wait here, and one for those that send."""
        return max(1, len(self._lines))

    def wanted(self, *, is_contested: bool) -> int:
        """Return how many connections are wanted; idle ones only where nobody else waits."""
        used = self.open - self.idle
        if time.monotonic() < self.modest_until:
            return used
        return used + self.waiting if is_contested else max(self.open, used + self.waiting)

    def is_idle(self, now: float, seconds: float) -> bool:
        """Say whether for *seconds* nobody has had a connection, or might have wanted one."""
        is_deserted = self.users == 0 and self.open == 0 and self.waiting == 0
        return is_deserted and now - self.leased_at > seconds

    @property
    def held(self) -> int:
        """How many are open, or promised to lanes that will open them at once."""
        return self.open + max(0, self._promised - self.idle)

    def has_room(self) -> bool:
        """Say whether a connection may be opened, or an idle one taken, out of turn."""
        return not self._lines and self._spare > 0

    def must_yield(self) -> bool:
        """Say whether whoever holds a connection is to let others have it after a message."""
        return bool(self._lines) or self.is_over

    @property
    def is_over(self) -> bool:
        """Whether more is open than this worker may hold, because another's turn has come."""
        return self.open > self.allowed

    async def wait_for_turn(self, patience: "Patience") -> bool:
        """Return when a connection is there, which is to be taken at once, or that none came."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(patience.organization_id, deque()).append(turn)
        self.wake()
        is_there = False
        try:
            await asyncio.wait(
                {turn, patience.stopped},
                timeout=max(patience.end_at - time.monotonic(), 0),
                return_when=asyncio.FIRST_COMPLETED,
            )
            is_there = turn.done()
        finally:
            if turn.done():
                self._promised -= 1
                if not is_there:
                    self.wake()
            else:
                self._leave_line(patience.organization_id, turn)
        return is_there

    def wake(self) -> None:
        """Let those who wait have what is free, one organization after the other."""
        while self._lines and self._spare > 0:
            organization_id, line = self._lines.popitem(last=False)
            turn = line.popleft()
            if line:
                self._lines[organization_id] = line
            if not turn.done():
                self._promised += 1
                turn.set_result(None)

    @property
    def _spare(self) -> int:
        return self.allowed - self.open + self.idle - self._promised

    def _leave_line(self, organization_id: Owner, turn: "asyncio.Future[None]") -> None:
        line = self._lines.get(organization_id)
        if line is not None and turn in line:
            line.remove(turn)
            if not line:
                del self._lines[organization_id]
