"""The history of usage: sums of the ledger, read from sums that are kept."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import LiteralString

from ..core.actor import Actor, Permission
from ..core.database import fetch
from ..core.errors import DetailCode, ErrorCode, InvalidInput
from ..core.paging import Cursor, Page, PageRequest
from .queries import EntryFilter, short_scope
from .rules import GAINS, Direction


class UsageGroup(StrEnum):
    """What sums of the ledger are made for."""

    DAY = "day"
    TYPE = "type"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class UsageSum:
    """The ledger of one day, one type or one source summed up."""

    key: str
    """The day as `2026-06-01`, in UTC, or the name of the type or the source."""
    debits: int
    """Whole credits that were taken from the balance, or used where none is counted."""
    credits: int
    """Whole credits that were added to it."""
    entries: int


_KEYS: dict[UsageGroup, LiteralString] = {
    UsageGroup.DAY: "to_char(day, 'YYYY-MM-DD')",
    UsageGroup.TYPE: "type",
    UsageGroup.SOURCE: "source",
}


async def list_usage(
    actor: Actor,
    page: PageRequest,
    *,
    by: UsageGroup,
    where: EntryFilter,
    oldest_first: bool = False,
) -> Page[UsageSum]:
    """Return sums of the ledger for every whole day in UTC that the filter touches.

    They are read from sums that are kept, so it costs the same however long the ledger is.

    Raises:
        InvalidInput: those sums know no references, and one is asked for.
    """
    sums = await _sums(actor, by, where)
    found = sums if oldest_first else sums[::-1]
    return _page_of(found, page, scope=short_scope(f"{by}{oldest_first}{where}"))


async def count_usage(actor: Actor, *, by: UsageGroup, where: EntryFilter) -> int:
    """Return how many days, types or sources there are."""
    return len(await _sums(actor, by, where))


async def _sums(actor: Actor, by: UsageGroup, where: EntryFilter) -> list[UsageSum]:
    actor.require(Permission.READ_CREDITS)
    if where.reference is not None:
        raise InvalidInput.of(
            "filter.reference",
            DetailCode.MUTUALLY_EXCLUSIVE,
            "Sums are not kept for each reference; list the entries instead.",
        )
    rows = await fetch(
        "SELECT "
        + _KEYS[by]
        + " AS key, coalesce(sum(amount) FILTER (WHERE NOT source = ANY({}::text[])), 0)::bigint "
        "AS debits, coalesce(sum(amount) FILTER (WHERE source = ANY({}::text[])), 0)::bigint "
        "AS credits, sum(entries)::bigint AS entries FROM credit_usage "
        "WHERE organization_id = {} AND ({}::text IS NULL OR type = {}) "
        "AND ({}::text IS NULL OR source = {}) "
        "AND ({}::boolean IS NULL OR (source = ANY({}::text[])) = {}) "
        "AND ({}::date IS NULL OR day >= {}) AND ({}::date IS NULL OR day <= {}) "
        "GROUP BY 1 ORDER BY 1",
        gains := [source.value for source in GAINS],
        gains,
        actor.organization_id,
        *[where.type and where.type.value] * 2,
        *[where.source and where.source.value] * 2,
        gaining := None if where.direction is None else where.direction is Direction.CREDIT,
        gains,
        gaining,
        *[where.start and where.start.astimezone(UTC).date()] * 2,
        *[where.end and _last_day_before(where.end)] * 2,
    )
    return [UsageSum(**row) for row in rows]


def _last_day_before(end: datetime) -> date:
    day = end.astimezone(UTC)
    return (day - timedelta(microseconds=1)).date() if day.year > 1 else day.date()


def _page_of(sums: Sequence[UsageSum], page: PageRequest, *, scope: str) -> Page[UsageSum]:
    """Return a page of sums, which are few."""
    keys = [each.key for each in sums]
    start = page.before if page.backwards else page.after
    at = None if start is None else _position(keys, _read_key(start, scope))
    if page.backwards:
        end = len(sums) if at is None else at
        first = max(0, end - page.size)
    else:
        first = 0 if at is None else at + 1
        end = min(len(sums), first + page.size)
    items = sums[first:end]
    return Page(
        items=items,
        cursors=[_key_cursor(each.key, scope) for each in items],
        has_next=end < len(sums),
        has_previous=first > 0,
    )


def _position(keys: Sequence[str], key: str) -> int:
    if key not in keys:
        raise InvalidInput("The cursor is not one of this list.", code=ErrorCode.INVALID_CURSOR)
    return keys.index(key)


def _key_cursor(key: str, scope: str) -> Cursor:
    return Cursor(base64.urlsafe_b64encode(f"{scope}/{key}".encode()).decode().rstrip("="))


def _read_key(cursor: Cursor, scope: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        text = ""
    found, _, key = text.partition("/")
    return key if found == scope else ""
