"""Which rows are new since a reader looked last, when transactions end in any order.

Positions are given out before transactions commit: one with a lower position may appear
after one with a higher position has been read. So a reader remembers what it could see,
PostgreSQL's snapshot, and asks for what was not visible in it. Where to begin looking in the
index follows from the same: a transaction that had not begun at some moment has written
nothing below the highest position of that moment.

Source: https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
"""

from collections import deque
from dataclasses import dataclass
from typing import Self

SLACK = 1_000
"""Positions looked at again below where it should begin: a position is drawn a moment before
its transaction has a number."""


MOST_MARKS = 1_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What could be seen at one moment: *text* as PostgreSQL writes it, and the last position."""

    text: str
    oldest_open: int
    """The first transaction that had not ended."""
    next: int
    """The first transaction that had not begun."""
    position: int

    @classmethod
    def of(cls, text: str, position: int) -> Self:
        """Return the snapshot that PostgreSQL writes as `oldest:next:open,open`."""
        oldest_open, following, _ = text.split(":")
        return cls(text, int(oldest_open), int(following), position)


class Progress:
    """How far a reader is."""

    def __init__(self, first: Snapshot) -> None:
        self.seen = first
        self._marks: deque[Snapshot] = deque([first])

    @property
    def begin(self) -> int:
        """The position behind which everything lies that `seen` could not see."""
        return max(0, self._marks[0].position - SLACK)

    def advance(self, to: Snapshot) -> None:
        """Everything that *to* can see has been read."""
        if to.next < self.seen.next:
            # The database was put back to an earlier time: what was seen there means nothing.
            self._marks.clear()
        self.seen = to
        # While nothing is written the older mark says the same of more transactions.
        if not self._marks or to.position > self._marks[-1].position:
            self._marks.append(to)
        while len(self._marks) > 1 and self._marks[1].next <= to.oldest_open:
            self._marks.popleft()
        if len(self._marks) > MOST_MARKS:
            # A transaction is open for long. With fewer marks more is looked at, not less.
            self._marks = deque([self._marks[0], *list(self._marks)[2::2]])
