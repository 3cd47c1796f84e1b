"""What an actor has made of counts: reports and files, each of which is logged."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from ..audit import operations as audit
from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch, transaction
from ..core.errors import Detail, DetailCode
from ..core.ids import first_id_at
from ..security import limits
from .errors import ExportTooLarge, RangeTooLarge
from .queries import Asked
from .reporting import LONGEST_DAYS, Report, make_report
from .windows import Window

MOST_ROWS = 1_000_000
"""Of one file."""


async def generate_report(actor: Actor, asked: Asked) -> Report:
    """Make a report and log that it was made; it is not kept.

    Raises:
        RangeTooLarge: it is of more than 92 days.
        TooManyRequests: the organization had ten within an hour.
        ReportTimeout: it takes longer than 30 seconds.
    """
    actor.require(Permission.READ_ANALYTICS)
    if asked.window.length > timedelta(days=LONGEST_DAYS, hours=2):
        message = f"A report is of at most {LONGEST_DAYS} days."
        raise RangeTooLarge(message, details=[Detail("from", DetailCode.TOO_LARGE, message)])
    await limits.count(limits.MAKE_REPORT, str(actor.organization_id))
    report = await make_report(actor, asked)
    async with transaction() as tx:
        await audit.record(
            tx,
            actor,
            action="analytics.report_generated",
            target_type="report",
            target_id=report.id,
            changes=_range(asked.window),
        )
    return report


class Dataset(StrEnum):
    """What a file holds."""

    TIMESERIES = "timeseries"
    BREAKDOWN = "breakdown"
    BOUNCE_REASONS = "bounce_reasons"
    MESSAGES = "messages"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Export:
    """A file that may be written now."""

    dataset: Dataset
    rows: int | None
    """Of messages and events, how many messages; None of sums, of which there are few."""
    window: Window


MESSAGES = (
    "SELECT count(*) AS rows FROM (SELECT FROM messages WHERE organization_id = {} "
    "AND ({}::uuid IS NULL OR project_id = {}) AND id >= {} AND id < {} LIMIT {}) AS counted"
)


async def export_analytics(actor: Actor, asked: Asked, dataset: Dataset) -> Export:
    """Let a file be written, and log it.

    Raises:
        ExportTooLarge: it would have more than a million rows.
        TooManyRequests: the organization had ten within an hour.
    """
    actor.require(Permission.READ_ANALYTICS)
    is_mail = dataset in (Dataset.MESSAGES, Dataset.EVENTS)
    if is_mail:
        actor.require(Permission.READ_MESSAGES)
    await limits.count(limits.EXPORT_ANALYTICS, str(actor.organization_id))
    rows = await _count_messages(actor, asked.window) if is_mail else None
    if rows is not None and rows > MOST_ROWS:
        message = f"A file has at most {MOST_ROWS:,} rows. Ask for less, or start an export."
        raise ExportTooLarge(message, details=[Detail("from", DetailCode.TOO_LARGE, message)])
    async with transaction() as tx:
        await audit.record(
            tx,
            actor,
            action="analytics.exported",
            target_type="analytics",
            target_id=dataset.value,
            changes={**_range(asked.window), "dataset": dataset.value, "rows": rows},
        )
    return Export(dataset, rows, asked.window)


async def _count_messages(actor: Actor, window: Window) -> int:
    """Count no further than it matters."""
    rows = await fetch(
        MESSAGES,
        actor.organization_id,
        actor.project_id,
        actor.project_id,
        first_id_at(window.start),
        first_id_at(min(window.end, clock.now() + timedelta(minutes=1))),
        MOST_ROWS + 1,
    )
    return int(rows[0]["rows"])


def _range(window: Window) -> Mapping[str, str]:
    return {"from": window.start.isoformat(), "to": window.end.isoformat()}
