"""PostMTA's analytics: sums, series, breakdowns, providers, trends, reasons of failures."""

from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import INTEGER, TIME
from ...fields import Flag, Integer, choice
from ...parameters import Param, Params
from ...route import Call, CompatRoute
from ..analytics_answers import (
    BOUNCE_TYPES,
    BREAKDOWN,
    BREAKDOWN_USUAL,
    BY_TYPE,
    DIMENSIONS,
    INTERVALS,
    LATENCY,
    PROVIDER,
    PROVIDERS,
    REASON,
    REASONS,
    REFUSALS,
    SERIES,
    SUMMARY,
    TREND,
    TREND_USUAL,
    TRENDS,
)
from ..analytics_shapes import (
    ALL_METRICS,
    ASKED,
    CHANGES,
    COUNTS,
    HEAD,
    PASSED,
    RATES,
    USUAL,
    chosen,
    common_params,
    common_variables,
    foot,
    head,
    metrics_param,
    numbers,
    one_of,
    sort_param,
    sort_variables,
)
from ..shapes import BOUNCE_CLASSES, SOURCE


def _summary_answer(data: Any, call: Call) -> dict[str, Any]:
    analytics = data["organization"]["analytics"]
    found = analytics["summary"]
    body = {
        **head(analytics),
        "totals": numbers(found["metrics"], COUNTS),
        "rates": numbers(found["metrics"], RATES),
        "latency": LATENCY.write(found["latency"]),
    }
    if found["previous"] is not None:
        body["previous"] = {
            "totals": numbers(found["previous"], COUNTS),
            "rates": numbers(found["previous"], RATES),
        }
        body["change"] = CHANGES.write(found["change"])
    return body | foot(analytics, call)


def _series_variables(call: Call) -> dict[str, Any]:
    code = ErrorCode.INVALID_INTERVAL
    interval = one_of(call, "interval", INTERVALS, code, usual=None)
    return common_variables(call) | {"interval": interval}


def _series_answer(data: Any, call: Call) -> dict[str, Any]:
    analytics = data["organization"]["analytics"]
    found, names = analytics["series"], chosen(call, USUAL)
    return {
        **head(analytics),
        "interval": found["interval"].lower(),
        "timezone": analytics["timezone"],
        "metrics": names,
        "data": [
            {"timestamp": TIME.write(point["timestamp"]), **numbers(point["metrics"], names)}
            for point in found["points"]
        ],
        **foot(analytics, call),
    }


def _breakdown_variables(call: Call) -> dict[str, Any]:
    code = ErrorCode.INVALID_DIMENSION
    dimension = one_of(call, "dimension", DIMENSIONS, code, usual="recipient_domain")
    more = {"dimension": dimension, "first": call.query.get("limit", 50)}
    return common_variables(call) | sort_variables(call) | more


def _breakdown_answer(data: Any, call: Call) -> dict[str, Any]:
    analytics = data["organization"]["analytics"]
    found, names = analytics["breakdown"], chosen(call, BREAKDOWN_USUAL)
    other = found["other"]
    return {
        **head(analytics),
        "dimension": found["dimension"].lower(),
        "data": [
            {
                "key": part["key"],
                "label": part["label"],
                **numbers(part["metrics"], names),
                "share": part["share"],
            }
            for part in found["parts"]
        ],
        "other": {
            "keys": other["keys"],
            **numbers(other["metrics"], [name for name in names if name in COUNTS]),
        },
        **foot(analytics, call),
    }


def _providers_answer(data: Any, call: Call) -> dict[str, Any]:
    analytics = data["organization"]["analytics"]
    return {
        **head(analytics),
        "data": [
            PROVIDER.write({**provider, **provider["metrics"]})
            for provider in analytics["providers"]
        ],
        **foot(analytics, call),
    }


def _trend_variables(call: Call) -> dict[str, Any]:
    code = ErrorCode.INVALID_INTERVAL
    interval = one_of(call, "interval", ("hour", "day", "week"), code, usual="day")
    more = {"interval": interval, "metrics": call.query.get("metrics")}
    return common_variables(call, usual_period="30d") | more


def _trend_answer(data: Any, call: Call) -> dict[str, Any]:
    analytics = data["organization"]["analytics"]
    return {
        **head(analytics),
        "interval": call.given.get("interval", "day"),
        "data": [TREND.write(trend) for trend in analytics["trends"]],
        **foot(analytics, call),
    }


def _reasons_variables(call: Call) -> dict[str, Any]:
    query = call.query
    return common_variables(call) | {
        "type": query.get("type"),
        "class": query.get("class"),
        "includeDeferrals": query.get("includeDeferrals", False),
        "samples": query.get("limit", 3),
    }


def _reasons_answer(data: Any, call: Call) -> dict[str, Any]:
    analytics = data["organization"]["analytics"]
    found = analytics["bounceReasons"]
    return {
        **head(analytics),
        "total": INTEGER.write(found["total"]),
        "by_type": BY_TYPE.write(found),
        "data": [REASON.write(reason) for reason in found["classes"]],
        **foot(analytics, call),
    }


def _document(name: str, field: str, *, declared: str = "") -> Document:
    return Document(
        f"query {name}({ASKED}{declared and f', {declared}'}) {{ organization {{ "
        f"analytics({PASSED}) {{ {HEAD} {field} }} }} }}"
    )


_ISP_FIELDS = (
    f"isp name medianLatencySeconds topBounceClass queuesInBackoff health metrics {ALL_METRICS}"
)
_SORTED = "$sortBy: MailMetric!, $ascending: Boolean!, $first: Int!"
_SORTING = "first: $first, sortBy: $sortBy, ascending: $ascending"

ROUTES = (
    CompatRoute(
        method="GET",
        path="/api/v1/analytics/summary",
        source=SOURCE,
        summary="Delivery summary statistics",
        permission=Permission.READ_ANALYTICS,
        query=Params(
            *common_params(
                Param(
                    "compare",
                    Flag(),
                    "Also tell of the range of equal length before.",
                    default=True,
                    is_filter=False,
                )
            )
        ),
        document=_document(
            "Summary",
            f"summary(compare: $compare) {{ metrics {ALL_METRICS} previous {ALL_METRICS} "
            f"latency {LATENCY.selection()} change {CHANGES.selection()} }}",
            declared="$compare: Boolean!",
        ),
        variables=lambda call: (
            common_variables(call) | {"compare": call.query.get("compare", True)}
        ),
        answer=_summary_answer,
        shape=SUMMARY,
        refusals=REFUSALS,
        differences=("A latency is told within a fifth or so: deliveries are counted by bounds.",),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/analytics/timeseries",
        source=SOURCE,
        summary="Time-series delivery data",
        permission=Permission.READ_ANALYTICS,
        query=Params(
            *common_params(
                Param(
                    "interval",
                    about="minute (up to 6 h), hour (up to 31 d), day, week or month; by the "
                    "range without it.",
                    is_filter=False,
                ),
                metrics_param(USUAL),
            )
        ),
        document=_document(
            "Series",
            f"timezone series(interval: $interval) {{ interval points {{ timestamp "
            f"metrics {ALL_METRICS} }} }}",
            declared="$interval: AnalyticsInterval",
        ),
        variables=_series_variables,
        answer=_series_answer,
        shape=SERIES,
        refusals=(*REFUSALS, ErrorCode.INVALID_INTERVAL),
        differences=(
            "With filters, days in other time zones than UTC go back 90 days; beyond that the "
            "range is refused.",
        ),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/analytics/breakdown",
        source=SOURCE,
        summary="Delivery breakdown by dimension",
        permission=Permission.READ_ANALYTICS,
        query=Params(
            *common_params(
                Param("dimension", about=f"One of {', '.join(DIMENSIONS)}.", is_filter=False),
                metrics_param(BREAKDOWN_USUAL),
                Param("limit", Integer(1, 500), "How many.", default=50, is_filter=False),
                sort_param(),
            )
        ),
        document=_document(
            "Breakdown",
            f"breakdown(dimension: $dimension, {_SORTING}) {{ dimension "
            f"parts {{ key label share metrics {ALL_METRICS} }} "
            f"other {{ keys metrics {ALL_METRICS} }} }}",
            declared=f"$dimension: MailDimension!, {_SORTED}",
        ),
        variables=_breakdown_variables,
        answer=_breakdown_answer,
        shape=BREAKDOWN,
        refusals=(*REFUSALS, ErrorCode.INVALID_DIMENSION),
        differences=("Mail without a value, such as without a tag, is not told.",),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/analytics/isp",
        source=SOURCE,
        summary="ISP-level delivery analytics",
        permission=Permission.READ_ANALYTICS,
        query=Params(
            *common_params(
                Param("limit", Integer(1, 100), "How many.", default=20, is_filter=False),
                sort_param(),
            )
        ),
        document=_document("Isps", f"providers({_SORTING}) {{ {_ISP_FIELDS} }}", declared=_SORTED),
        variables=lambda call: (
            common_variables(call) | sort_variables(call) | {"first": call.query.get("limit", 20)}
        ),
        answer=_providers_answer,
        shape=PROVIDERS,
        refusals=REFUSALS,
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/analytics/trend",
        source=SOURCE,
        summary="Delivery trend analysis",
        permission=Permission.READ_ANALYTICS,
        query=Params(
            *common_params(
                metrics_param(TREND_USUAL),
                Param("interval", about="hour, day or week; day without it.", is_filter=False),
                usual_period="30d",
            )
        ),
        document=_document(
            "Trend",
            f"trends(metrics: $metrics, interval: $interval) {TREND.selection()}",
            declared="$metrics: [MailMetric!], $interval: AnalyticsInterval!",
        ),
        variables=_trend_variables,
        answer=_trend_answer,
        shape=TRENDS,
        refusals=(*REFUSALS, ErrorCode.INVALID_INTERVAL),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/analytics/bounce-reasons",
        source=SOURCE,
        summary="Bounce reason categorization",
        permission=Permission.READ_ANALYTICS,
        query=Params(
            *common_params(
                Param("type", choice(*BOUNCE_TYPES), "Only such.", is_filter=False),
                Param("class", choice(*BOUNCE_CLASSES), "Only this class.", is_filter=False),
                Param(
                    "include_deferrals",
                    Flag(),
                    "Also count temporary failures.",
                    default=False,
                    is_filter=False,
                ),
                Param("limit", Integer(0, 20), "Samples of each.", default=3, is_filter=False),
            )
        ),
        document=_document(
            "Reasons",
            "bounceReasons(type: $type, class: $class, includeDeferrals: $includeDeferrals, "
            f"samples: $samples) {{ total hard soft block classes {REASON.selection()} }}",
            declared="$type: BounceType, $class: BounceClass, $includeDeferrals: Boolean!, "
            "$samples: Int!",
        ),
        variables=_reasons_variables,
        answer=_reasons_answer,
        shape=REASONS,
        refusals=REFUSALS,
        differences=(
            "Samples are of the last 2,000 failures of the range, and so are their counts.",
        ),
    ),
)
