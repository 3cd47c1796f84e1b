"""PostMTA's lists: limit, cursor, sort and filters in, an envelope out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...graphql.execute import Document
from ..answers import Shape
from ..fields import Choice, Flag, Integer, Text, enum_name
from ..parameters import Param, Params
from ..route import Call

LONGEST_PAGE = 500
USUAL_PAGE = 50


def list_params(*filters: Param, sorts: Mapping[str, Any], usual: str) -> Params:
    """Return the parameters of a list: paging, *sorts* by their name in our schema, filters."""
    return Params(
        Param(
            "limit",
            Integer(1, LONGEST_PAGE),
            "How many items at most.",
            ours="first",
            default=USUAL_PAGE,
            is_filter=False,
        ),
        Param(
            "cursor",
            Text(),
            "`next_cursor` of the page before, with the same filters and sort.",
            ours="after",
            is_filter=False,
        ),
        Param(
            "sort",
            Choice(sorts),
            "The field to sort by; `-` before it is descending.",
            ours="order",
            default=usual,
            is_filter=False,
        ),
        Param(
            "include_total",
            Flag(),
            "Whether `pagination.total` is counted.",
            ours="total",
            default=False,
            is_filter=False,
        ),
        *filters,
    )


def both_ways(*fields: str) -> dict[str, dict[str, Any]]:
    """Return the sorts of a list whose order is an input of a field and a direction."""
    return {
        sign + field: {"field": enum_name(field), "descending": sign == "-"}
        for field in fields
        for sign in ("", "-")
    }


def list_document(field: str, shape: Shape, *, declared: str, passed: str) -> Document:
    """Return the document that asks for one page of a connection of the organization.

    *declared* are the variables beyond paging, *passed* the arguments they become.
    """
    return Document(f"""
        query List($first: Int, $after: String, $total: Boolean!, {declared}) {{
          organization {{
            page: {field}(first: $first, after: $after, {passed}) {{
              nodes {shape.selection()}
              pageInfo {{ hasNextPage endCursor }}
              totalCount(exact: true) @include(if: $total)
            }}
          }}
        }}
    """)


def list_variables(call: Call, *, usual: Any) -> dict[str, Any]:
    """Return the variables of `list_document`; *usual* is our name of the default sort."""
    query = call.query
    return {
        "first": query.get("first", USUAL_PAGE),
        "after": query.get("after"),
        "order": query.get("order", usual),
        "total": query.get("total", False),
        "filter": {name: value for name, value in query.items() if name not in PAGING},
    }


PAGING = frozenset({"first", "after", "order", "total"})
NOT_FILTERS = frozenset({"limit", "cursor", "sort", "include_total"})


def envelope(
    items: Sequence[Any], call: Call, *, next_cursor: str | None = None, total: int | None = None
) -> dict[str, Any]:
    """Return the body of a list."""
    pagination: dict[str, Any] = {
        "limit": call.query.get("first", USUAL_PAGE),
        "next_cursor": next_cursor,
        "has_more": next_cursor is not None,
    }
    if total is not None:
        pagination["total"] = total
    filters = {name: value for name, value in call.given.items() if name not in NOT_FILTERS}
    return {"data": items, "pagination": pagination, "filters": filters}


def page_answer(shape: Shape) -> Callable[[Any, Call], dict[str, Any]]:
    """Return what writes the page that `list_document` asked for."""

    def answer(data: Any, call: Call) -> dict[str, Any]:
        page = data["organization"]["page"]
        info = page["pageInfo"]
        return envelope(
            [shape.write(node) for node in page["nodes"]],
            call,
            next_cursor=info["endCursor"] if info["hasNextPage"] else None,
            total=page.get("totalCount"),
        )

    return answer
