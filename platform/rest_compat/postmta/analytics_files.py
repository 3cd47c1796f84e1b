"""PostMTA's files of analytics: which documents fill one, and how its lines are written."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...core.actor import Permission
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
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet calculate a cell, or fetch what it names.

Source: OWASP, CSV Injection.
"""

START = Document(
    "mutation Export($input: ExportAnalyticsInput!) { exportAnalytics(input: $input) { rows "
    "period { from to } } }"
)
_PAGED = "pageInfo {{ hasNextPage endCursor }}"
_WALK = (
    "($filter: MessageFilter, $first: Int!, $after: String) {{ organization {{ messages("
    "filter: $filter, first: $first, after: $after) {{ nodes {{ {fields} }} " + _PAGED + " }} }} }}"
)
MESSAGES = Document(
    "query ExportMessages"
    + _WALK.format(
        fields="uuid createdAt completedAt status sender to cc bcc subject batchId tags vmtaName "
        "opens clicks deliveries { code bounceClass }"
    )
)
EVENTS = Document(
    "query ExportEvents"
    + _WALK.format(
        fields="uuid deliveries { uuid address isp } "
        "events { uuid occurredAt type deliveryUuid data }"
    )
)
MESSAGE_COLUMNS = (
    "id created_at completed_at status from to subject batch_id tags vmta smtp_code bounce_class "
    "opens clicks"
).split()
EVENT_COLUMNS = (
    "id timestamp type message_id recipient_id email vmta isp smtp_code bounce_class"
).split()
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


def walk(call: Call) -> tuple[Document, dict[str, Any], Sequence[str]] | None:
    """Return what is read page by page, which, and its columns; None for sums.

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
    document = MESSAGES if dataset == "messages" else EVENTS
    return document, filters, MESSAGE_COLUMNS if dataset == "messages" else EVENT_COLUMNS


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


def lines(call: Call, nodes: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Any]]:
    """Yield the lines that messages make."""
    is_events = call.query.get("dataset") == "EVENTS"
    for node in nodes:
        if is_events:
            yield from _events(node)
        else:
            yield _message(node)


def _message(node: Mapping[str, Any]) -> Sequence[Any]:
    deliveries = node["deliveries"]
    recipients = [*node["to"], *node["cc"], *node["bcc"]]
    codes = [each["code"] for each in deliveries if each["code"] is not None]
    classes = [each["bounceClass"].lower() for each in deliveries if each["bounceClass"]]
    return (
        node["uuid"],
        _time(node["createdAt"]),
        _time(node["completedAt"]),
        node["status"].lower(),
        node["sender"],
        " ".join(recipients),
        node["subject"],
        node["batchId"],
        " ".join(node["tags"]),
        node["vmtaName"],
        codes[0] if codes else None,
        classes[0] if classes else None,
        node["opens"],
        node["clicks"],
    )


def _events(node: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    known = {each["uuid"]: each for each in node["deliveries"]}
    for event in node["events"]:
        delivery = known.get(event["deliveryUuid"], {})
        data = event["data"]
        yield (
            event["uuid"],
            _time(event["occurredAt"]),
            event["type"].lower().replace("_", ".", 1),
            node["uuid"],
            event["deliveryUuid"],
            delivery.get("address"),
            data.get("vmta"),
            (delivery.get("isp") or "").lower(),
            data.get("smtp_code"),
            data.get("bounce_class"),
        )


def _time(value: str | None) -> str | None:
    found: str | None = TIME.write(value) if value else None
    return found


def written(rows: Iterator[Sequence[Any]], delimiter: str) -> bytes:
    """Return lines of CSV, of which no cell is a formula to a spreadsheet.

    Source: RFC 4180.
    """
    text = io.StringIO()
    csv.writer(text, delimiter=DELIMITERS[delimiter]).writerows(
        [_cell(value) for value in row] for row in rows
    )
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    is_number = isinstance(value, int | float)
    return f"'{text}" if text.startswith(FORMULA) and not is_number else text
