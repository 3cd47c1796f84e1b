"""Keyset paging: a page is found by where it starts, never by counting to it."""

import base64
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, NewType, TypeVar

from piccolo.columns.combination import WhereRaw
from piccolo.query import Objects
from piccolo.query.mixins import OrderByRaw
from piccolo.table import Table

from .errors import Detail, DetailCode, ErrorCode, InvalidInput

Cursor = NewType("Cursor", str)
T = TypeVar("T")
Row = TypeVar("Row", bound=Table)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for: *first* rows after a cursor, or *last* rows before one."""

    first: int | None = None
    after: Cursor | None = None
    last: int | None = None
    before: Cursor | None = None
    maximum: int = 100
    default: int = 50

    @property
    def backwards(self) -> bool:
        return self.last is not None

    @property
    def size(self) -> int:
        """Return how many rows are asked for.

        Raises:
            InvalidInput: out of range, or both directions at once.
        """
        if self.first is not None and self.last is not None:
            raise InvalidInput.of(
                "last", DetailCode.MUTUALLY_EXCLUSIVE, "Ask for first or for last, not both."
            )
        name = "last" if self.backwards else "first"
        asked = self.last if self.backwards else self.first
        size = self.default if asked is None else asked
        if size < 1:
            raise InvalidInput.of(name, DetailCode.TOO_SMALL, f"{name} must be at least 1.")
        if size > self.maximum:
            raise InvalidInput.of(
                name, DetailCode.TOO_LARGE, f"{name} must be at most {self.maximum}."
            )
        return size


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows in the order asked for, a cursor for each, and whether there are more."""

    items: Sequence[T]
    cursors: Sequence[Cursor]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True, slots=True)
class Order:
    """An order that a list can have: one SQL expression, then the id.

    *expression* never holds anything from a request. *value* returns what the expression
    yields for a row, so that a cursor can hold it.
    """

    name: str
    expression: str
    value: Callable[[Any], Any]
    descending: bool = False
    unique: bool = False
    """The expression is the id itself, so that no second column is needed."""
    owner: uuid.UUID | None = None
    """The organization whose rows are listed, if the order is to say it; see `owned_by`."""

    @property
    def reversed(self) -> "Order":
        """Return the same order, the other way round."""
        return replace(self, descending=not self.descending)

    def owned_by(self, organization_id: uuid.UUID) -> "Order":
        """Return this order of ids for one organization's part of an index.

        The query need not ask for the organization then. If it did, the planner would know
        the organization to be one and the same, and could as well walk the primary key,
        past every newer row of everybody else.
        """
        return replace(self, owner=organization_id)


def by_id(*, descending: bool = True) -> Order:
    """Return the order of creation: ids are time-ordered."""
    return Order("created_at", "id", lambda row: row.id, descending, unique=True)


def encode_cursor(order: Order, row: Any, *, scope: str = "") -> Cursor:
    """Return an opaque cursor that points at *row*; *scope* ties it to a list's filters."""
    value = None if order.unique else _to_json(order.value(row))
    body = json.dumps([_named(order), scope, value, str(row.id)], separators=(",", ":"))
    return Cursor(base64.urlsafe_b64encode(body.encode()).decode().rstrip("="))


def decode_cursor(cursor: Cursor, order: Order, *, scope: str = "") -> tuple[Any, uuid.UUID]:
    """Return the value and id a cursor points at.

    Raises:
        InvalidInput: it is not a cursor, or one of another list, order or filter.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        body = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        name, found_scope, value, row_id = body
        found = name, found_scope, _from_json(value), uuid.UUID(row_id)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _invalid_cursor() from error
    if found[:2] != (_named(order), scope):
        raise _invalid_cursor()
    return found[2], found[3]


def _named(order: Order) -> str:
    return ("-" if order.descending else "") + order.name


def _invalid_cursor() -> InvalidInput:
    message = "The cursor is not one of this list with these filters and this order."
    return InvalidInput(
        message,
        code=ErrorCode.INVALID_CURSOR,
        details=(Detail("cursor", DetailCode.INVALID_FORMAT, message),),
    )


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": value.isoformat()}
    if isinstance(value, uuid.UUID):
        return {"u": str(value)}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if "t" in value:
            return datetime.fromisoformat(value["t"])
        return uuid.UUID(value["u"])
    if value is not None and not isinstance(value, str | int | float):
        raise ValueError("not a cursor's value")
    return value


async def fetch_page(
    query: "Objects[Row]", request: PageRequest, order: Order, *, scope: str = ""
) -> Page[Row]:
    """Return one page of *query* in *order*; it reads one row more than the page holds."""
    walking = order.reversed if request.backwards else order
    start = request.before if request.backwards else request.after
    if start is not None:
        query = query.where(_beyond(walking, *decode_cursor(start, order, scope=scope)))
    if walking.owner is not None:
        query = query.where(WhereRaw(_OWNED, walking.owner, walking.owner))
    columns = ["organization_id"] if walking.owner is not None else []
    columns += [walking.expression] if walking.unique else [walking.expression, "id"]
    query = query.order_by(
        *(OrderByRaw(column) for column in columns), ascending=not walking.descending
    ).limit(request.size + 1)
    rows = list(await query)
    more = len(rows) > request.size
    rows = rows[: request.size]
    if request.backwards:
        rows.reverse()
    return Page(
        items=rows,
        cursors=[encode_cursor(order, row, scope=scope) for row in rows],
        has_next=start is not None if request.backwards else more,
        has_previous=more if request.backwards else start is not None,
    )


def start_of(
    request: PageRequest, order: Order, *, scope: str = ""
) -> tuple[bool, uuid.UUID | None]:
    """Return whether rows are walked downwards, and the id that they lie beyond, if there is one.

    For who looks for the rows of a page in an index of ids before `fetch_page` reads them.

    Raises:
        InvalidInput: the cursor is not one of this list.
    """
    walking = order.reversed if request.backwards else order
    start = request.before if request.backwards else request.after
    return walking.descending, None if start is None else decode_cursor(start, order, scope=scope)[
        1
    ]


_OWNED = "organization_id >= {} AND organization_id <= {}"


def _beyond(order: Order, value: Any, row_id: uuid.UUID) -> WhereRaw:
    sign = "<" if order.descending else ">"
    if order.owner is not None:
        return WhereRaw(f"(organization_id, id) {sign} ({{}}, {{}})", order.owner, row_id)
    if order.unique:
        return WhereRaw(f"id {sign} {{}}", row_id)
    return WhereRaw(f"({order.expression}, id) {sign} ({{}}, {{}})", value, row_id)
