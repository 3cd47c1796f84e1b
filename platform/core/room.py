"""Room in memory that is taken if it is there, and that nobody waits for."""

from collections import Counter
from collections.abc import Hashable


class Room:
    """So many bytes, of which each owner has so many at the most."""

    def __init__(self, limit: int, *, each: int | None = None) -> None:
        self._free = limit
        self._each = limit if each is None else each
        self._held: Counter[Hashable] = Counter()

    def take(self, owner: Hashable, size: int) -> bool:
        """Take so many bytes; say whether they were free."""
        if size > self._free or self._held[owner] + size > self._each:
            return False
        self._free -= size
        self._held[owner] += size
        return True

    def give_back(self, owner: Hashable, size: int) -> None:
        """Give back what was taken."""
        self._free += size
        self._held[owner] -= size
        if not self._held[owner]:
            del self._held[owner]
