"""PostMTA's history of credits: lines of the ledger, or their sums."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ....core import clock
from ....core.actor import Permission
from ....core.errors import Detail, DetailCode
from ....graphql.execute import Document
from ...answers import INTEGER, TIME, UUID, Out, Shape, word
from ...fields import TEXT, JsonSchema, Time, choice
from ...parameters import Param
from ...route import Call, CompatRoute, Fault, Refused
from ...times import read_time, write_time
from ..cursors import invalid_cursor, open_cursor, seal_cursor
from ..lists import USUAL_PAGE, envelope, list_params
from ..periods import Period, explicit_window, window_of
from ..shapes import CREDIT_TYPE, CREDIT_TYPES, SOURCE

SOURCES = (
    "send",
    "batch",
    "smtp",
    "inbound",
    "scan",
    "api",
    "grant",
    "purchase",
    "refund",
    "expiry",
    "adjustment",
)
DIRECTIONS = ("debit", "credit")
NO_GROUPS = "none"
USUAL_PERIOD = "30d"
ENTRY = Shape(
    "CreditEntry",
    Out("id", UUID, of="uuid"),
    Out("type", CREDIT_TYPE),
    Out("direction", word(*DIRECTIONS)),
    Out("amount", INTEGER),
    Out("balance_after", INTEGER, maybe=True, about="Null when unlimited."),
    Out("source", word(*SOURCES)),
    Out("reference", maybe=True),
    Out("description", maybe=True),
    Out("api_key_id", UUID, of="apiKeyUuid", maybe=True),
    Out("user_id", UUID, of="userUuid", maybe=True),
    Out("created_at", TIME),
)
SUM = Shape(
    "CreditUsageSum",
    Out("key"),
    Out("debits", INTEGER),
    Out("credits", INTEGER),
    Out("entries", INTEGER),
)


class _Row(Shape):
    """An entry, or with `group_by` a sum."""

    def definition(self) -> JsonSchema:
        return {"anyOf": [ENTRY.schema(), SUM.schema()]}

    def nested(self) -> list[Shape]:
        return [ENTRY, SUM]


ROW = _Row("CreditUsageRow")
PARAMS = list_params(
    Param("period", Period(), "How far back, up to now; 30 days without it."),
    Param("from", Time(), "Written then or later; with `to`, instead of `period`."),
    Param("to", Time(), "Written before then."),
    Param("type", choice(*CREDIT_TYPES), "Only these credits."),
    Param("source", choice(*SOURCES), "Only those with this cause."),
    Param("direction", choice(*DIRECTIONS), "Only what takes credits, or only what adds some."),
    Param("reference", TEXT, "Only those with exactly this reference."),
    Param(
        "group_by",
        choice(NO_GROUPS, "day", "type", "source"),
        "Sums for each, instead of entries.",
        default=NO_GROUPS,
    ),
    sorts={"-created_at": False, "created_at": True},
    usual="-created_at",
)
PAGE = "pageInfo { hasNextPage endCursor } totalCount(exact: true) @include(if: $total)"
ARGUMENTS = "first: $first, after: $after, filter: $filter, oldestFirst: $order"
USAGE = Document(f"""
    query Usage($first: Int, $after: String, $total: Boolean!, $filter: CreditEntryFilter,
                $order: Boolean!, $by: CreditUsageGroup!, $grouped: Boolean!) {{
      organization {{ credits {{
        entries({ARGUMENTS}) @skip(if: $grouped) {{ nodes {ENTRY.selection()} {PAGE} }}
        usage(groupBy: $by, {ARGUMENTS}) @include(if: $grouped) {{
          nodes {SUM.selection()} {PAGE}
        }}
      }} }}
    }}
""")


def _variables(call: Call) -> dict[str, Any]:
    query = call.query
    by = query.get("groupBy", "NONE")
    grouped = by != "NONE"
    if grouped and "reference" in query:
        message = "Sums are not kept for each reference."
        detail = Detail("reference", DetailCode.MUTUALLY_EXCLUSIVE, message)
        raise Refused(Fault.INVALID_REQUEST, "A query parameter is malformed.", details=[detail])
    after, sealed = None, None
    if "after" in query:
        after, sealed = open_cursor(query["after"])
    start, end = _window(call, sealed)
    filters = ("type", "source", "direction", "reference")
    query["grouped"] = grouped
    return {
        "first": query.get("first", USUAL_PAGE),
        "after": after,
        "total": query.get("total", False),
        "order": query.get("order", False),
        "by": by if grouped else "DAY",
        "grouped": grouped,
        "filter": {name: query[name] for name in filters if name in query}
        | {"createdAfter": write_time(start), "createdBefore": write_time(end)},
    }


def _window(call: Call, sealed: str | None) -> tuple[datetime, datetime]:
    """Return the window asked for; one that ends now is the one its walk began with."""
    window = explicit_window(call.given)
    if window is None:
        period = call.given.get("period", USUAL_PERIOD)
        if sealed is not None:
            window = _unsealed(sealed, period)
        else:
            # A millisecond more, so that what happened just now is there.
            window = window_of(period, clock.now() + timedelta(milliseconds=1))
        call.query["window"] = f"{period} {write_time(window[0])} {write_time(window[1])}"
    call.given["from"], call.given["to"] = write_time(window[0]), write_time(window[1])
    return window


def _unsealed(sealed: str, period: str) -> tuple[datetime, datetime]:
    words = sealed.split(" ")
    times = [read_time(word) for word in words[1:]]
    if words[0] != period or len(times) != 2 or times[0] is None or times[1] is None:
        raise invalid_cursor()
    return times[0], times[1]


def _answer(data: Any, call: Call) -> dict[str, Any]:
    credits: Mapping[str, Any] = data["organization"]["credits"]
    page = credits["usage"] if call.query["grouped"] else credits["entries"]
    shape = SUM if call.query["grouped"] else ENTRY
    items = [shape.write(node) for node in page["nodes"]]
    info, cursor = page["pageInfo"], None
    if info["hasNextPage"]:
        cursor = seal_cursor(info["endCursor"], call.query.get("window"))
    return envelope(items, call, next_cursor=cursor, total=page.get("totalCount"))


HISTORY = CompatRoute(
    method="GET",
    path="/api/v1/credits/usage",
    source=SOURCE,
    summary="Credit usage history",
    permission=Permission.READ_CREDITS,
    query=PARAMS,
    document=USAGE,
    variables=_variables,
    answer=_answer,
    shape=ROW,
    is_list=True,
    differences=(
        "A period ends now, not at the last full minute, so that what was just used is in it.",
        "With `group_by`, sums are of whole days in UTC, and `reference` cannot be given; the "
        "rows have `key`, `debits`, `credits` and `entries`.",
    ),
)
