"""PostMTA's report: one document put together of everything that analytics tell."""

from collections.abc import Mapping
from typing import Any

from ....core.actor import Permission
from ....core.errors import Detail, DetailCode, ErrorCode
from ....graphql.execute import Document
from ...answers import FREE, INTEGER, NUMBER, TIME, UUID, Many, Out, Shape, word
from ...parameters import Param, Params
from ...route import Call, CompatRoute, Fault, Refused
from ..analytics_answers import BREAKDOWN_USUAL, BY_TYPE, LATENCY, PROVIDER, REASON, TREND
from ..analytics_shapes import (
    ALL_METRICS,
    CHANGES,
    COUNTS,
    PERIOD,
    RATES,
    common_params,
    common_variables,
    numbers,
    said,
)
from ..shapes import SOURCE

SECTIONS = (
    "summary",
    "timeseries",
    "isp",
    "breakdown",
    "bounce_reasons",
    "trend",
    "reputation",
)
ORGANIZATION = Shape(
    "ReportOrganization",
    Out("id", UUID, of="organizationUuid"),
    Out("name", said("Example Ltd"), of="organizationName"),
)
FINDING = Shape(
    "ReportFinding",
    Out("severity", word("info", "warning", "critical")),
    Out("code", said("high_bounce_rate")),
    Out("message", said("7.5 % of the mail bounced.")),
)
REPORT = Shape(
    "AnalyticsReport",
    Out("id", UUID, of="uuid"),
    Out("title", said("Delivery report")),
    Out("organization", ORGANIZATION),
    Out("period", PERIOD),
    Out("sections", FREE, about="What was asked for, as the endpoints of each answer it."),
    Out("findings", Many(FINDING)),
    Out("generated_at", TIME),
)

_PARTS = {
    "summary": f"summary {{ metrics {ALL_METRICS} latency {LATENCY.selection()} "
    f"previous {ALL_METRICS} change {CHANGES.selection()} }}",
    "timeseries": f"series {{ interval points {{ timestamp metrics {ALL_METRICS} }} }}",
    "isp": "providers { isp name medianLatencySeconds topBounceClass queuesInBackoff health "
    f"metrics {ALL_METRICS} }}",
    "breakdown": f"breakdown {{ parts {{ key label share metrics {ALL_METRICS} }} }}",
    "bounce_reasons": f"bounceReasons {{ total hard soft block classes {REASON.selection()} }}",
    "trend": f"trends {TREND.selection()}",
    "reputation": "reputation { listedAddresses complaintRate domainsNotEnforcingDmarc }",
}


def _selected() -> str:
    """Return every section's fields, each left out unless it is asked for."""
    found = []
    for section, selection in _PARTS.items():
        field, rest = selection.split(" ", 1)
        found.append(f"{field} @include(if: ${section}) {rest}")
    return " ".join(found)


_DECLARED = ", ".join(f"${section}: Boolean!" for section in SECTIONS)
MAKE = Document(
    f"mutation Report($input: GenerateAnalyticsReportInput!, {_DECLARED}) {{ "
    "generateAnalyticsReport(input: $input) { report { uuid organizationUuid organizationName "
    f"period {PERIOD.selection()} findings {FINDING.selection()} generatedAt {_selected()} "
    "} } }"
)


def _variables(call: Call) -> dict[str, Any]:
    asked = call.given.get("sections", list(SECTIONS))
    if unknown := [name for name in asked if name not in SECTIONS]:
        message = f"{unknown[0][:40]!r} is no section; these are: {', '.join(SECTIONS)}."
        detail = Detail("sections", DetailCode.NOT_ALLOWED, message)
        raise Refused(Fault.INVALID_REQUEST, "A query parameter is malformed.", details=[detail])
    return {"input": common_variables(call), **{name: name in asked for name in SECTIONS}}


def _summary(found: Mapping[str, Any]) -> dict[str, Any]:
    summary = found["summary"]
    return {
        "totals": numbers(summary["metrics"], COUNTS),
        "rates": numbers(summary["metrics"], RATES),
        "latency": LATENCY.write(summary["latency"]),
        "previous": {
            "totals": numbers(summary["previous"], COUNTS),
            "rates": numbers(summary["previous"], RATES),
        },
        "change": CHANGES.write(summary["change"]),
    }


def _timeseries(found: Mapping[str, Any]) -> dict[str, Any]:
    series = found["series"]
    return {
        "interval": series["interval"].lower(),
        "data": [
            {
                "timestamp": TIME.write(point["timestamp"]),
                **numbers(point["metrics"], (*COUNTS, *RATES)),
            }
            for point in series["points"]
        ],
    }


def _breakdown(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": part["key"], "label": part["label"]}
        | numbers(part["metrics"], BREAKDOWN_USUAL)
        | {"share": part["share"]}
        for part in found["breakdown"]["parts"]
    ]


def _sections(found: Mapping[str, Any]) -> dict[str, Any]:
    sections: dict[str, Any] = {}
    if "summary" in found:
        sections["summary"] = _summary(found)
    if "series" in found:
        sections["timeseries"] = _timeseries(found)
    if "providers" in found:
        sections["isp"] = [PROVIDER.write({**p, **p["metrics"]}) for p in found["providers"]]
    if "breakdown" in found:
        sections["breakdown"] = _breakdown(found)
    if "bounceReasons" in found:
        reasons = found["bounceReasons"]
        sections["bounce_reasons"] = [REASON.write(reason) for reason in reasons["classes"]]
        sections["bounces_by_type"] = BY_TYPE.write(reasons)
    if "trends" in found:
        sections["trend"] = [TREND.write(trend) for trend in found["trends"]]
    if "reputation" in found:
        rate = found["reputation"]["complaintRate"]
        names = found["reputation"]["domainsNotEnforcingDmarc"]
        sections["reputation"] = {
            "listed_ips": INTEGER.write(found["reputation"]["listedAddresses"]),
            "complaint_rate": None if rate is None else NUMBER.write(rate),
            "domains_not_enforcing_dmarc": INTEGER.write(len(names)),
        }
    return sections


def _answer(data: Any, call: Call) -> dict[str, Any]:
    report = data["generateAnalyticsReport"]["report"]
    return {
        "id": report["uuid"],
        "title": "Delivery report",
        "organization": ORGANIZATION.write(report),
        "period": PERIOD.write(report["period"]),
        "sections": _sections(report),
        "findings": [FINDING.write(finding) for finding in report["findings"]],
        "generated_at": TIME.write(report["generatedAt"]),
    }


GENERATE = CompatRoute(
    method="GET",
    path="/api/v1/analytics/report",
    source=SOURCE,
    summary="Generate a delivery report",
    permission=Permission.READ_ANALYTICS,
    query=Params(
        *common_params(
            Param(
                "sections",
                about=f"Which parts: {', '.join(SECTIONS)}; all without it.",
                many=True,
                is_filter=False,
            )
        )
    ),
    document=MAKE,
    variables=_variables,
    answer=_answer,
    shape=REPORT,
    refusals=(
        ErrorCode.INVALID_PERIOD,
        ErrorCode.RANGE_TOO_LARGE,
        ErrorCode.REPORT_TIMEOUT,
    ),
    differences=("GraphQL has the report as HTML and as PDF, too.",),
)
