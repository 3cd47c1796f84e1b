"""Reports of mail, and leave to write what was counted into files."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..analytics import operations
from ..analytics.operations import Dataset
from ..analytics.rendering import as_html, as_pdf
from ..analytics.reporting import Report, Severity
from ..analytics.rules import Dimension, Metric
from .analytics import AnalyticsFilter, asked_of
from .analytics_answers import (
    breakdown_type,
    period_type,
    provider_type,
    reasons_type,
    series_type,
    summary_type,
    trend_type,
)
from .analytics_types import (
    AnalyticsBreakdown,
    AnalyticsPeriod,
    AnalyticsProvider,
    AnalyticsSeries,
    AnalyticsSummary,
    AnalyticsTrend,
    BounceReasons,
)
from .context import Info, actor_of
from .enums import describe_enum
from .scalars import BigInt

PDF_COST = 50

describe_enum(
    Severity,
    "How much a finding matters.",
    {
        "INFO": "Good to know.",
        "WARNING": "It deserves a look.",
        "CRITICAL": "It deserves one at once.",
    },
    name="FindingSeverity",
)
describe_enum(
    Dataset,
    "What a file holds.",
    {
        "TIMESERIES": "Numbers by bucket.",
        "BREAKDOWN": "Numbers by one dimension.",
        "BOUNCE_REASONS": "Failures by class.",
        "MESSAGES": "A line for each message.",
        "EVENTS": "A line for each event of messages.",
    },
    name="AnalyticsDataset",
)


@strawberry.type(description="Something that deserves a look.")
class AnalyticsFinding:
    severity: Severity = strawberry.field(description="How much it matters.")
    code: str = strawberry.field(description="What it is, for programs.")
    message: str = strawberry.field(description="What it is, for people.")


@strawberry.type(description="How receivers may think of the organization.")
class AnalyticsReputation:
    complaint_rate: float | None = strawberry.field(
        description="Complained of delivered, in per cent."
    )
    domains_not_enforcing_dmarc: list[str] = strawberry.field(
        description="Sending domains without a DMARC policy of quarantine or reject, at most 100."
    )
    listed_addresses: int = strawberry.field(
        description="Addresses of vMTAs that are on a blocklist now; shared vMTAs count."
    )


@strawberry.type(description="Everything that is told of a stretch of time; it is not kept.")
class AnalyticsReport:
    report: strawberry.Private[Report]

    @strawberry.field(description="UUID of the report, as the audit log has it.")
    def uuid(self) -> UUID:
        return self.report.id

    @strawberry.field(description="UUID of the organization.")
    def organization_uuid(self) -> UUID:
        return self.report.organization_id

    @strawberry.field(description="Name of the organization.")
    def organization_name(self) -> str:
        return self.report.organization

    @strawberry.field(description="The stretch of time.")
    def period(self) -> AnalyticsPeriod:
        return period_type(self.report.asked.window)

    @strawberry.field(description="What mail came to altogether.")
    def summary(self) -> AnalyticsSummary:
        return summary_type(self.report.summary, self.report.previous)

    @strawberry.field(description="What it came to, bucket by bucket.")
    def series(self) -> AnalyticsSeries:
        return series_type(self.report.series, self.report.interval)

    @strawberry.field(description="How mail went to each provider, the largest 20.")
    def providers(self) -> list[AnalyticsProvider]:
        return [provider_type(each) for each in self.report.providers]

    @strawberry.field(description="Mail by domain of its recipients, the largest 20.")
    def breakdown(self) -> AnalyticsBreakdown:
        return breakdown_type(self.report.breakdown, Dimension.RECIPIENT_DOMAIN)

    @strawberry.field(description="Why mail failed.")
    def bounce_reasons(self) -> BounceReasons:
        return reasons_type(self.report.reasons)

    @strawberry.field(description="How the usual metrics developed.")
    def trends(self) -> list[AnalyticsTrend]:
        return [trend_type(each) for each in self.report.trends]

    @strawberry.field(description="How receivers may think of the organization.")
    def reputation(self) -> AnalyticsReputation:
        return AnalyticsReputation(
            complaint_rate=self.report.summary.metrics[Metric.COMPLAINT_RATE],
            domains_not_enforcing_dmarc=list(self.report.domains_not_enforcing),
            listed_addresses=self.report.listed_addresses,
        )

    @strawberry.field(description="What deserves a look, the worst first.")
    def findings(self) -> list[AnalyticsFinding]:
        return [
            AnalyticsFinding(severity=each.severity, code=each.code, message=each.message)
            for each in self.report.findings
        ]

    @strawberry.field(description="When it was made.")
    def generated_at(self) -> datetime:
        return self.report.generated_at

    @strawberry.field(description="The report as a page of HTML with charts.")
    def html(self) -> str:
        return as_html(self.report)

    @strawberry.field(description="The report as PDF, in Base64.", metadata={"cost": PDF_COST})
    async def pdf(self) -> str:
        return await as_pdf(self.report)


@strawberry.input(description="Which mail, of which time.")
class GenerateAnalyticsReportInput:
    period: str = strawberry.field(
        default="7d", description="How far back, as `analytics` takes it; at most 92 days."
    )
    start: datetime | None = strawberry.field(
        name="from", default=None, description="From then on; with `to`, instead of `period`."
    )
    end: datetime | None = strawberry.field(name="to", default=None, description="Before then.")
    timezone: str = strawberry.field(default="UTC", description="IANA name.")
    filter: AnalyticsFilter | None = strawberry.field(
        default=None, description="Only some of the mail."
    )
    include_machine: bool = strawberry.field(
        default=False, description="Also count opens and clicks by programs."
    )


@strawberry.input(description="What to write into a file.")
class ExportAnalyticsInput(GenerateAnalyticsReportInput):
    dataset: Dataset = strawberry.field(default=Dataset.TIMESERIES, description="What it holds.")


@strawberry.type(description="A report that was made.")
class GenerateAnalyticsReportPayload:
    report: AnalyticsReport = strawberry.field(description="The report.")


@strawberry.type(description="A file that may be written now; its use was logged.")
class ExportAnalyticsPayload:
    dataset: Dataset = strawberry.field(description="What it holds.")
    period: AnalyticsPeriod = strawberry.field(description="Of which time.")
    rows: BigInt | None = strawberry.field(
        description="Messages that it is about; null of sums, which are few."
    )


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Make a report; at most ten an hour for an organization. Needs "
        "`analytics:read`."
    )
    async def generate_analytics_report(
        self,
        info: Info,
        input: Annotated[GenerateAnalyticsReportInput, strawberry.argument(description="Of what.")],
    ) -> GenerateAnalyticsReportPayload:
        actor = actor_of(info)
        asked = await asked_of(
            actor,
            period=input.period,
            start=input.start,
            end=input.end,
            timezone=input.timezone,
            filter=input.filter,
            include_machine=input.include_machine,
        )
        report = await operations.generate_report(actor, asked)
        return GenerateAnalyticsReportPayload(report=AnalyticsReport(report=report))

    @strawberry.mutation(
        description="Log that counts, messages or events are written into a file, and say whether "
        "they may be: at most ten files an hour, of a million messages. `/analytics.csv` writes "
        "them. Needs `analytics:read`, and of messages and events `messages:read`."
    )
    async def export_analytics(
        self,
        info: Info,
        input: Annotated[ExportAnalyticsInput, strawberry.argument(description="Of what.")],
    ) -> ExportAnalyticsPayload:
        actor = actor_of(info)
        asked = await asked_of(
            actor,
            period=input.period,
            start=input.start,
            end=input.end,
            timezone=input.timezone,
            filter=input.filter,
            include_machine=input.include_machine,
        )
        found = await operations.export_analytics(actor, asked, input.dataset)
        return ExportAnalyticsPayload(
            dataset=found.dataset,
            period=period_type(found.window),
            rows=None if found.rows is None else BigInt(found.rows),
        )
