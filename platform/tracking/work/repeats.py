"""Hits that say nothing new: one pixel or link, asked for again and again from one address.

A picture and a link cost nothing to answer; what is written down of them does. Everybody has
their own, so that a crowd behind one address is no repetition.
"""

from ...core.measuring import Counter
from ..machines import HitKind
from ..tokens import Mark

MOST_A_MINUTE = 60
"""Of one pixel or link from one address, in each process: a message that was passed on in an
office comes nowhere near, and readers of a list in one network are not one reader."""
MOST_KNOWN = 50_000
"""Pixels and links that are counted in one minute; those that come after are all written down."""
REPEATED = Counter("tracking_hits_repeated", "Opens and clicks that repeated others too often.")

_Known = tuple[HitKind, bytes, bytes, int, str]


class Repeats:
    """Counts what one process is asked for in the current minute."""

    def __init__(self, *, most_known: int = MOST_KNOWN) -> None:
        self._most_known = most_known
        self._minute = 0
        self._times: dict[_Known, int] = {}

    def is_one(self, kind: HitKind, mark: Mark, address: str | None, *, now: float) -> bool:
        """Say whether this hit is one too many, and count it; *now* is in Unix seconds.

        Whoever asks from an address that nobody knows is counted with nobody else.
        """
        if address is None:
            return False
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._times = minute, {}
        known = (kind, mark.ids, mark.who, mark.link_index, address)
        times = self._times.get(known, 0) + 1
        if times > MOST_A_MINUTE:
            REPEATED.add()
            return True
        if times > 1 or len(self._times) < self._most_known:
            self._times[known] = times
        return False
