"""PostMTA's files of analytics: which documents fill one, and how its lines are written."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...core.actor import Permission
from ...core.csv_lines import csv_lines
from ...core.errors import Detail, DetailCode
from ...graphql.execute import Document
from ..answers import TIME
from ..fields import Integer, choice
from ..parameters import Param, Params
from ..route import Call, CompatRoute, Fault, Refused
from .analytics_answers import BREAKDOWN_USUAL
from .analytics_shapes import (
    FILTERS,
    USUAL,
    Whole,
    chosen,
    common_params,
    common_variables,
    metrics_param,
    numbers,
    sort_param,
)
from .routes import analytics
from .shapes import SOURCE

PAGE = 500
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}
DATASETS = ("timeseries", "breakdown", "bounce_reasons", "messages", "events")

START = Document(
    "mutation Export($input: ExportAnalyticsInput!) { exportAnalytics(input: $input) { rows "
    "period { from to } } }"
)
REASON_COLUMNS = ("class", "type", "count", "percent")

MAIL_FILTERS = {
    "domain": "domain",
    "recipient_domain": "recipientDomain",
    "isp": "isp",
    "vmta": "vmta",
    "pool": "pool",
    "tag": "tag",
    "batch_id": "batchId",
    "stream": "stream",
}
"""The client's names of filters, and those of lists of messages."""

EXPORT = CompatRoute(
    method="GET",
    path="/api/v1/analytics/export",
    source=SOURCE,
    summary="Export analytics as CSV",
    permission=Permission.READ_ANALYTICS,
    query=Params(
        *common_params(
            Param(
                "dataset",
                choice(*DATASETS),
                "What it holds.",
                default="timeseries",
                is_filter=False,
            ),
            Param("interval", about="As of a time series.", is_filter=False),
            Param("dimension", about="As of a breakdown.", is_filter=False),
            metrics_param(USUAL),
            Param("limit", Integer(1, 500), "Of a breakdown.", default=500, is_filter=False),
            sort_param(),
            Param(
                "delimiter", choice(*DELIMITERS), "Between cells.", default="comma", is_filter=False
            ),
        )
    ),
    document=START,
    variables=lambda call: {
        "input": common_variables(call) | {"dataset": call.query.get("dataset", "TIMESERIES")}
    },
    answer=lambda data, call: data,
    shape=Whole("AnalyticsFile"),
)
"""It is served by `server`, which streams it."""

_SUMS = {route.path.rpartition("/")[2]: route for route in analytics.ROUTES}
SUMS = {
    "timeseries": _SUMS["timeseries"],
    "breakdown": _SUMS["breakdown"],
    "bounce_reasons": _SUMS["bounce-reasons"],
}
"""The endpoints whose answers a file of sums holds."""


def walk(call: Call) -> dict[str, Any] | None:
    """Return which messages are read page by page; None for a file of sums.

    Raises:
        Refused: a filter has several values, which lists of messages do not take.
    """
    dataset = call.query.get("dataset", "TIMESERIES").lower()
    if dataset not in ("messages", "events"):
        return None
    filters: dict[str, Any] = {}
    for name, ours in MAIL_FILTERS.items():
        values = common_variables(call)["filter"] or {}
        found = values.get(FILTERS[name])
        if found:
            if len(found) > 1:
                message = "Of messages and events, one value can be asked for."
                detail = Detail(name, DetailCode.TOO_MANY, message)
                raise Refused(
                    Fault.INVALID_REQUEST, "A query parameter is malformed.", details=[detail]
                )
            filters[ours] = found[0]
    return filters


def sums(call: Call, data: Any) -> Iterator[Sequence[Any]]:
    """Yield the lines of a file of sums, made of what its endpoint's document answered."""
    analytics_data = data["organization"]["analytics"]
    dataset = call.query.get("dataset", "TIMESERIES")
    if dataset == "TIMESERIES":
        names = chosen(call, USUAL)
        yield ("timestamp", *names)
        for point in analytics_data["series"]["points"]:
            yield (TIME.write(point["timestamp"]), *numbers(point["metrics"], names).values())
    elif dataset == "BREAKDOWN":
        names = chosen(call, BREAKDOWN_USUAL)
        yield ("key", "label", *names)
        for part in analytics_data["breakdown"]["parts"]:
            yield (part["key"], part["label"], *numbers(part["metrics"], names).values())
    else:
        yield REASON_COLUMNS
        for each in analytics_data["bounceReasons"]["classes"]:
            words = each["class"].lower(), each["type"].lower()
            yield (*words, each["count"], each["percent"])


def written(rows: Iterable[Sequence[Any]], delimiter: str) -> bytes:
    """Return lines of CSV, of which no cell is a formula to a spreadsheet."""
    return csv_lines(rows, delimiter=DELIMITERS[delimiter])
