"""Which rows are new since a reader looked last, when transactions end in any order.

Positions are given out before transactions commit: one with a lower position may appear
after one with a higher position has been read. So a reader remembers what it could see,
PostgreSQL's snapshot, and asks for what was not visible in it. Where to begin looking in the
index follows from numbers of transactions: one that had none yet at some moment has written
nothing below the highest position of that moment.

A snapshot does not say which number is the next to be given out. Its *xmax* is one past the
last that has ended, and of those from there on some may have begun, and drawn positions, long
before. `age` of a number does say, for it counts from the next one; and it gives out none.

Source: https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT,
`GetStableLatestTransactionId` in src/backend/access/transam/varsup.c of PostgreSQL
"""

from collections import deque
from dataclasses import dataclass
from typing import Self

SLACK = 1_000
"""Positions looked at again below where it should begin: a position is drawn a moment before
its transaction has a number."""


MOST_MARKS = 1_000

FIRST_NUMBER = 3
"""The first that PostgreSQL gives to a transaction."""

SEE = (
    f"SELECT pg_current_snapshot()::text AS text, age('{FIRST_NUMBER}'::xid) AS age, "
    "coalesce((SELECT max(position) FROM events), 0) AS position"
)
"""What a snapshot is made of; the first statement of a transaction that repeats its reads."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What could be seen at one moment: *text* as PostgreSQL writes it, and the last position."""

    text: str
    oldest_open: int
    """The first transaction that had not ended."""
    next: int
    """The first number that no transaction had yet."""
    position: int

    @classmethod
    def of(cls, text: str, *, age: int, position: int) -> Self:
        """Return the snapshot that PostgreSQL writes as `oldest:ended:open,open`.

        *age* is that of the first number, of which 32 bits are told; *ended* is beside it.
        """
        oldest_open, ended = (int(part) for part in text.split(":")[:2])
        return cls(text, oldest_open, ended + (FIRST_NUMBER + age - ended) % 2**32, position)


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
