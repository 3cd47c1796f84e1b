"""How PostMTA tells numbers of mail: names of metrics, the parameters all share, periods."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...core.errors import Detail, DetailCode, ErrorCode
from ..answers import INTEGER, NUMBER, TIME, Leaf, Out, Shape
from ..fields import TEXT, Choice, Flag, Time, camel_case, choice, enum_name
from ..parameters import Param
from ..route import Call, Refused
from .shapes import ISPS, STREAMS

COUNTS = (
    "accepted",
    "sent",
    "delivered",
    "deferred",
    "bounced",
    "hard_bounced",
    "soft_bounced",
    "blocked",
    "expired",
    "suppressed",
    "cancelled",
    "complained",
    "unsubscribed",
    "opens",
    "unique_opens",
    "clicks",
    "unique_clicks",
)
RATES = (
    "delivery_rate",
    "bounce_rate",
    "complaint_rate",
    "open_rate",
    "click_rate",
    "click_to_open_rate",
    "deferral_rate",
)
METRICS = (*COUNTS, *RATES)
ALL_METRICS = f"{{ {' '.join(camel_case(name) for name in METRICS)} }}"
USUAL = ("accepted", "delivered", "bounced", "deferred", "complained")

TOTALS = Shape("MailTotals", *(Out(name, INTEGER) for name in COUNTS))
MAIL_RATES = Shape("MailRates", *(Out(name, NUMBER, maybe=True) for name in RATES))
CHANGES = Shape("MailChanges", *(Out(name, NUMBER, maybe=True) for name in METRICS))


def said(example: str) -> Leaf:
    """Return a text of which this is a sample."""
    return Leaf({"type": "string", "examples": [example]})


def _time(example: str) -> Leaf:
    return Leaf({**TIME.type, "examples": [example]}, TIME.convert)


PERIOD = Shape(
    "AnalyticsPeriod",
    Out("from", _time("2026-05-25T12:00:00.000Z")),
    Out("to", _time("2026-06-01T12:00:00.000Z")),
    Out("label", said("7d"), maybe=True),
)
FREE_FILTERS = Leaf({"type": "object", "additionalProperties": True})
AS_OF = Out("data_as_of", TIME, maybe=True, about="Null before anything was counted.")

FILTERS = {
    "domain": "domains",
    "recipient_domain": "recipientDomains",
    "isp": "isps",
    "vmta": "vmtas",
    "pool": "pools",
    "tag": "tags",
    "batch_id": "batchIds",
    "stream": "streams",
}
"""The client's names of filters, and ours."""

ASKED = (
    "$period: String!, $from: DateTime, $to: DateTime, $timezone: String!, "
    "$filter: AnalyticsFilter, $includeMachine: Boolean!"
)
PASSED = (
    "period: $period, from: $from, to: $to, timezone: $timezone, filter: $filter, "
    "includeMachine: $includeMachine"
)
HEAD = f"period {PERIOD.selection()} dataAsOf"

_METRIC = Choice({name: enum_name(name) for name in METRICS})
_SORT = Choice(
    {f"{sign}{name}": f"{sign}{enum_name(name)}" for name in METRICS for sign in ("", "-")}
)


def common_params(*others: Param, usual_period: str = "7d") -> tuple[Param, ...]:
    """Return the parameters that all of analytics take, and *others* of one endpoint."""
    return (
        Param(
            "period",
            TEXT,
            "How far back, up to the last full minute: 24h, 30d, 4w, 6m, or today, yesterday, "
            "this_month, last_month; at most 2 years.",
            default=usual_period,
            is_filter=False,
        ),
        Param("from", Time(), "From then on; with `to`, instead of `period`.", is_filter=False),
        Param("to", Time(), "Before then.", is_filter=False),
        Param(
            "timezone",
            TEXT,
            "IANA name, by whose days buckets are cut.",
            default="UTC",
            is_filter=False,
        ),
        Param("domain", TEXT, "Sending domain, by name or id.", many=True),
        Param("recipient_domain", TEXT, "Domain of the recipient.", many=True),
        Param("isp", choice(*ISPS), "Who runs the mailbox.", many=True),
        Param("vmta", TEXT, "vMTA, by name or id.", many=True),
        Param("pool", TEXT, "Pool, by name.", many=True),
        Param("tag", TEXT, "Tag.", many=True),
        Param("batch_id", TEXT, "Batch.", many=True),
        Param("stream", choice(*STREAMS), "Kind of mail.", many=True),
        Param(
            "include_machine",
            Flag(),
            "Also count opens and clicks by programs.",
            default=False,
            is_filter=False,
        ),
        *others,
    )


def metrics_param(usual: Sequence[str]) -> Param:
    """Return the parameter that chooses metrics."""
    about = f"Which numbers; without it {', '.join(usual)}."
    return Param("metrics", _METRIC, about, many=True, is_filter=False)


def sort_param() -> Param:
    """Return the parameter that orders by a metric."""
    return Param(
        "sort",
        _SORT,
        "By which metric; `-` for the largest first.",
        default="-accepted",
        is_filter=False,
    )


def common_variables(call: Call, *, usual_period: str = "7d") -> dict[str, Any]:
    """Return the variables of what all of analytics take."""
    query = call.query
    filters = {
        ours: query[camel_case(name)] for name, ours in FILTERS.items() if camel_case(name) in query
    }
    return {
        "period": query.get("period", usual_period),
        "from": query.get("from"),
        "to": query.get("to"),
        "timezone": query.get("timezone", "UTC"),
        "filter": filters or None,
        "includeMachine": query.get("includeMachine", False),
    }


def sort_variables(call: Call) -> dict[str, Any]:
    """Return by which metric a list is ordered, and which way."""
    said: str = call.query.get("sort", "-ACCEPTED")
    return {"sortBy": said.removeprefix("-"), "ascending": not said.startswith("-")}


def chosen(call: Call, usual: Sequence[str]) -> list[str]:
    """Return the metrics that are asked for, by the client's names."""
    return list(call.given.get("metrics", usual))


def one_of(
    call: Call, name: str, words: Iterable[str], code: ErrorCode, *, usual: str | None
) -> str | None:
    """Return our name of a word that has a refusal of its own if there is no such.

    Raises:
        Refused: there is none.
    """
    said = call.given.get(name, usual)
    if said is None:
        return None
    known = list(words)
    if said not in known:
        message = f"Choose one of {', '.join(known)}."
        raise Refused(code, message, details=[Detail(name, DetailCode.NOT_ALLOWED, message)])
    return enum_name(said)


def numbers(found: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return metrics by the client's names."""
    return {
        name: None
        if (value := found[camel_case(name)]) is None
        else INTEGER.write(value)
        if name in COUNTS
        else NUMBER.write(value)
        for name in names
    }


def head(analytics: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an answer begins."""
    return {"period": PERIOD.write(analytics["period"])}


def foot(analytics: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """Return how an answer ends."""
    as_of = analytics["dataAsOf"]
    return {
        "filters": {name: call.given[name] for name in FILTERS if name in call.given},
        "data_as_of": TIME.write(as_of) if as_of else None,
    }


def metric_outs(names: Iterable[str], *, optional: bool = True) -> tuple[Out, ...]:
    """Return the fields of an object that shows metrics."""
    return tuple(
        Out(name, INTEGER if name in COUNTS else NUMBER, maybe=name in RATES, optional=optional)
        for name in names
    )


class Whole(Shape):
    """An answer that is put together by hand: it only says what there is."""

    def __init__(self, name: str, *fields: Out) -> None:
        super().__init__(
            name,
            Out("period", PERIOD),
            *fields,
            Out("filters", FREE_FILTERS),
            AS_OF,
        )
