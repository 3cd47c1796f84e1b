"""What a bulk action has set aside: messages of domains that are kept from it for a while.

Nothing is kept of each message. As messages are walked newest first and everything of a domain is
set aside from its first one on, that one is where to come back to.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace

import msgspec

from ..core.paging import Cursor, Page, by_id, encode_cursor
from ..messages.queries import FoundMessage, MessageFilter


@dataclass(frozen=True, slots=True)
class Aside:
    """Messages of one domain that are left to be done."""

    newest: uuid.UUID
    """The first that was set aside."""
    count: int
    why: str
    place: Cursor | None = None
    """Behind what was done of them since."""

    def begins_at(self, wanted: MessageFilter) -> Cursor:
        """Return the cursor behind which they are, in the list of *wanted*."""
        before = SimpleNamespace(id=uuid.UUID(int=self.newest.int + 1))
        return self.place or encode_cursor(by_id(), before, scope=wanted.scope)

    def after(self, page: Page[FoundMessage]) -> "Aside":
        """Return what is left behind a page of them."""
        done = len(page.items)
        # One that somebody erased meanwhile is on no page.
        return replace(self, count=max(1, self.count - done), place=page.cursors[-1])


Asides = Mapping[str, Aside]
"""By sending domain."""


def read_asides(stored: str) -> dict[str, Aside]:
    """Return what the row of a bulk action says is set aside."""
    return msgspec.json.decode(stored, type=dict[str, Aside])


def written(asides: Asides) -> str:
    """Return what the row is to say."""
    return msgspec.json.encode(asides).decode()


def total(asides: Asides) -> int:
    """Return how many messages are set aside."""
    return sum(each.count for each in asides.values())


def reason(asides: Asides) -> str | None:
    """Return why: what keeps the first of the domains, for all of them would be too long."""
    return next((each.why for each in asides.values()), None)
