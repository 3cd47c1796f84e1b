"""Pages of rows as Relay connections: keyset cursors, no offsets."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Annotated, Generic, TypeAlias, TypeVar

import strawberry

from ..core.counting import Total
from ..core.paging import Cursor, Page, PageRequest

T = TypeVar("T")
Row = TypeVar("Row")
Count: TypeAlias = Callable[[], Awaitable[int]]
TotalOf: TypeAlias = Callable[[bool], Awaitable[Total]]
"""Says how many items there are, exactly if it is asked to."""

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
    total: strawberry.Private[TotalOf | None] = None
    known: strawberry.Private[dict[bool, asyncio.Future[Total]]] = field(default_factory=dict)

    @strawberry.field(description="The items without their cursors.")
    def nodes(self) -> list[T]:
        return [edge.node for edge in self.edges]

    @strawberry.field(
        description="How many items the whole list has; looked up only when asked for. Of a list "
        "that would take long to count it is an estimate. Null where lists grow too long for that."
    )
    async def total_count(
        self,
        exact: Annotated[
            bool, strawberry.argument(description="Count, however long that takes.")
        ] = False,
    ) -> int | None:
        found = await self._find_total(exact)
        return None if found is None else max(found.count, len(self.edges))

    @strawberry.field(
        description="Whether `totalCount` is an estimate unless it is asked to be exact."
    )
    async def total_count_is_estimate(self) -> bool:
        found = await self._find_total(False)
        return found is not None and found.is_estimate

    async def _find_total(self, exact: bool) -> Total | None:
        if self.total is None:
            return None
        # Two fields ask, and one look is enough.
        if exact not in self.known:
            self.known[exact] = asyncio.ensure_future(self.total(exact))
        return await self.known[exact]


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
    page: Page[Row],
    convert: Callable[[Row], T],
    *,
    count: Count | None = None,
    total: TotalOf | None = None,
) -> Connection[T]:
    """Return *page* with every row converted.

    *count*, or *total* of lists that may be long, is called only if it is asked for.
    """
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
        total=total or (_exactly(count) if count else None),
    )


def _exactly(count: Count) -> TotalOf:
    async def total(exact: bool) -> Total:
        return Total(await count())

    return total
