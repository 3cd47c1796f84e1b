"""Pages of rows as Relay connections: keyset cursors, no offsets."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Generic, TypeAlias, TypeVar

import strawberry

from ..core.paging import Cursor, Page, PageRequest

T = TypeVar("T")
Row = TypeVar("Row")
Count: TypeAlias = Callable[[], Awaitable[int]]

First = Annotated[
    int | None,
    strawberry.argument(description="How many items from the start, or after the cursor."),
]
After = Annotated[str | None, strawberry.argument(description="Only items behind this cursor.")]
Last = Annotated[
    int | None,
    strawberry.argument(description="How many items from the end, or before the cursor."),
]
Before = Annotated[str | None, strawberry.argument(description="Only items ahead of this cursor.")]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether items follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether items come before this page.")
    start_cursor: str | None = strawberry.field(
        description="The cursor of the first item; null on an empty page."
    )
    end_cursor: str | None = strawberry.field(
        description="The cursor of the last item; null on an empty page."
    )


@strawberry.type(description="One item of a list, and where it stands in it.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(
        description="Points at this item in a list with the same filter and order."
    )
    node: T = strawberry.field(description="The item.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="The items with their cursors.")
    page_info: PageInfo = strawberry.field(description="Where this page stands.")
    count: strawberry.Private[Count | None] = None

    @strawberry.field(description="The items without their cursors.")
    def nodes(self) -> list[T]:
        return [edge.node for edge in self.edges]

    @strawberry.field(
        description="How many items the whole list has; counted only when asked for. Null "
        "where lists grow too long to count."
    )
    async def total_count(self) -> int | None:
        return await self.count() if self.count else None


def page_request(
    first: int | None,
    after: str | None,
    last: int | None = None,
    before: str | None = None,
    *,
    maximum: int = 100,
) -> PageRequest:
    """Return the page that the four arguments of a connection ask for."""
    return PageRequest(
        first=first,
        after=Cursor(after) if after is not None else None,
        last=last,
        before=Cursor(before) if before is not None else None,
        maximum=maximum,
    )


def to_connection(
    page: Page[Row], convert: Callable[[Row], T], *, count: Count | None = None
) -> Connection[T]:
    """Return *page* with every row converted; *count* is called only if it is asked for."""
    edges = [
        Edge(cursor=cursor, node=convert(row))
        for row, cursor in zip(page.items, page.cursors, strict=True)
    ]
    return Connection(
        edges=edges,
        page_info=PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
        count=count,
    )
