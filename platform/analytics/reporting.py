"""A report of a stretch of time: everything that is told of it, and what deserves a look."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from ..accounts.queries import get_organization
from ..blocklists.queries import count_listed
from ..core import clock
from ..core.actor import Actor
from ..core.database import fetch
from ..core.ids import new_id
from . import bounces, queries
from .errors import ReportTimeout
from .queries import Asked, Breakdown, Metrics, Point, Provider, Summary
from .rules import Dimension, Health, Metric
from .trends import Assessment, Trend
from .windows import Interval, usual_interval

LONGEST_DAYS = 92
SECONDS = 30.0
ROWS = 20

TREND_METRICS = (
    Metric.DELIVERED,
    Metric.DELIVERY_RATE,
    Metric.BOUNCE_RATE,
    Metric.COMPLAINT_RATE,
    Metric.DEFERRAL_RATE,
    Metric.OPEN_RATE,
)

# Domains whose records were looked at, and which tell receivers to let forgeries pass.
NOT_ENFORCING = """
    SELECT DISTINCT domains.name FROM domains JOIN domain_records AS record
        ON record.domain_id = domains.id
    WHERE domains.organization_id = {} AND record.purpose = 'dmarc'
    AND record.checked_at IS NOT NULL
    AND array_to_string(record.found, ' ') !~* 'p\\s*=\\s*(quarantine|reject)'
    ORDER BY domains.name LIMIT 100
"""


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class ReportFinding:
    """Something that deserves a look, in a sentence."""

    severity: Severity
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is told of a stretch of time."""

    id: UUID
    organization_id: UUID
    organization: str
    asked: Asked
    summary: Summary
    previous: Metrics
    interval: Interval
    series: Sequence[Point]
    providers: Sequence[Provider]
    breakdown: Breakdown
    reasons: bounces.Reasons
    trends: Sequence[Trend]
    domains_not_enforcing: Sequence[str]
    listed_addresses: int
    """Addresses of vMTAs that are on blocklists now."""
    findings: Sequence[ReportFinding]
    generated_at: datetime


async def make_report(actor: Actor, asked: Asked) -> Report:
    """Return the report of what is asked.

    Raises:
        NotPermitted: the actor may not read analytics.
        ReportTimeout: it takes longer than 30 seconds.
    """
    try:
        return await asyncio.wait_for(_make(actor, asked), SECONDS)
    except TimeoutError as error:
        raise ReportTimeout(retry_after_seconds=60) from error


async def _make(actor: Actor, asked: Asked) -> Report:
    organization = await get_organization(actor)
    interval = usual_interval(asked.window)
    summary = await queries.summarize(actor, asked)
    providers = await queries.providers(actor, asked, limit=ROWS)
    trends = await queries.trends(actor, asked, TREND_METRICS, interval)
    rows = await fetch(NOT_ENFORCING, actor.organization_id)
    not_enforcing = [row["name"] for row in rows]
    return Report(
        id=new_id(),
        organization_id=organization.id,
        organization=organization.name,
        asked=asked,
        summary=summary,
        previous=await queries.previous_of(actor, asked),
        interval=interval,
        series=await queries.series(actor, asked, interval),
        providers=providers,
        breakdown=await queries.break_down(actor, asked, Dimension.RECIPIENT_DOMAIN, limit=ROWS),
        reasons=await bounces.bounce_reasons(actor, asked),
        trends=trends,
        domains_not_enforcing=not_enforcing,
        listed_addresses=await count_listed(actor),
        findings=findings_of(summary.metrics, providers, trends, not_enforcing),
        generated_at=clock.now(),
    )


def findings_of(
    metrics: Metrics,
    providers: Sequence[Provider],
    trends: Sequence[Trend],
    not_enforcing: Sequence[str],
) -> list[ReportFinding]:
    """Return what deserves a look, the worst first."""
    found = [*_of_rates(metrics), *_of_providers(providers), *_of_trends(trends)]
    found += [
        ReportFinding(
            Severity.INFO,
            "dmarc_not_enforced",
            f"{name} tells receivers to let forged mail pass: it has no DMARC policy of "
            "quarantine or reject.",
        )
        for name in not_enforcing
    ]
    order = list(reversed(Severity))
    return sorted(found, key=lambda finding: order.index(finding.severity))


_RATES = (
    (Metric.BOUNCE_RATE, 5.0, 10.0, "high_bounce_rate", "of the mail bounced"),
    (Metric.COMPLAINT_RATE, 0.1, 0.3, "high_complaint_rate", "of the recipients complained"),
    (Metric.DEFERRAL_RATE, 15.0, 40.0, "high_deferral_rate", "of the mail was put off at first"),
)
"""Of each rate, from where on it deserves a look, and from where on at once."""


def _of_rates(metrics: Metrics) -> list[ReportFinding]:
    found = []
    for metric, look, at_once, code, words in _RATES:
        value = metrics[metric]
        if value is not None and value > look:
            severity = Severity.CRITICAL if value > at_once else Severity.WARNING
            found.append(ReportFinding(severity, code, f"{value:.4g} % {words}."))
    return found


def _of_providers(providers: Sequence[Provider]) -> list[ReportFinding]:
    severities = {Health.CRITICAL: Severity.CRITICAL, Health.WARNING: Severity.WARNING}
    return [
        ReportFinding(
            severities[each.health],
            "provider_refuses_mail",
            f"{each.name} takes {_rate(each.metrics[Metric.DELIVERY_RATE])} of the mail and puts "
            f"off {_rate(each.metrics[Metric.DEFERRAL_RATE])}.",
        )
        for each in providers
        if each.health in severities
    ]


def _of_trends(trends: Sequence[Trend]) -> list[ReportFinding]:
    found = []
    for trend in trends:
        name = trend.metric.value.replace("_", " ")
        if trend.assessment is Assessment.WORSENING:
            sentence = f"The {name} gets worse: on average {trend.current:g} after "
            sentence += f"{trend.previous:g}."
            found.append(ReportFinding(Severity.INFO, "getting_worse", sentence))
        for anomaly in trend.anomalies:
            sentence = (
                f"The {name} was {anomaly.value:g} on {anomaly.at:%Y-%m-%d}, where "
                f"{anomaly.expected:g} was to be expected."
            )
            found.append(ReportFinding(Severity.INFO, "anomaly", sentence))
    return found


def _rate(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g} %"
