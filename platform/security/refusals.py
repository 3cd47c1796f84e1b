"""What this process has refused, and until when: refusing it again costs no statement.

A flood would otherwise write and lock the one row of its bucket with each request. What is
refused here would be refused by the database as well: other processes can take from a bucket, and
none fills it.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """Of what was refused: since when, and when it is worth asking again."""

    since: datetime
    until: datetime
    full_at: datetime
    """When all of it is there again."""


class Refusals:
    """The last so many refusals. Whose is forgotten is asked about again."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._found: OrderedDict[str, Refusal] = OrderedDict()

    def remember(self, key: str, refusal: Refusal) -> None:
        """Refuse *key* from now on until its time has come."""
        self._found[key] = refusal
        self._found.move_to_end(key)
        if len(self._found) > self._most:
            self._found.popitem(last=False)

    def get(self, key: str, *, now: datetime) -> Refusal | None:
        """Return the refusal of *key* that holds now, None if the database is to be asked."""
        found = self._found.get(key)
        if found is None:
            return None
        # A clock that went back is no reason to refuse longer than was said.
        if not found.since <= now < found.until:
            del self._found[key]
            return None
        self._found.move_to_end(key)
        return found
