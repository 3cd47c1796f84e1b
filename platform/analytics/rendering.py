"""Reports as people read them: a page of HTML with charts, and a PDF.

Both are made of the same facts by templates beside this. Whatever somebody calls a tag or a
domain is data to either template, never code or markup.
"""

import asyncio
import base64
import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from .charts import bars
from .reporting import Report
from .rules import Metric
from .windows import Interval

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = (
    (Metric.ACCEPTED, "Accepted"),
    (Metric.DELIVERED, "Delivered"),
    (Metric.BOUNCED, "Bounced"),
    (Metric.DEFERRED, "Deferred"),
    (Metric.COMPLAINED, "Complaints"),
    (Metric.UNIQUE_OPENS, "Opened"),
    (Metric.UNIQUE_CLICKS, "Clicked"),
    (Metric.DELIVERY_RATE, "Delivery rate"),
    (Metric.BOUNCE_RATE, "Bounce rate"),
    (Metric.OPEN_RATE, "Open rate"),
)
COLUMNS = (Metric.ACCEPTED, Metric.DELIVERED, Metric.BOUNCED, Metric.DELIVERY_RATE)
CHARTS = (
    (Metric.DELIVERED, "Delivered"),
    (Metric.BOUNCE_RATE, "Bounce rate, %"),
    (Metric.UNIQUE_OPENS, "Opened"),
)


def as_html(report: Report) -> str:
    """Return the report as a whole page, which needs nothing from elsewhere."""
    facts = _facts(report)
    # What `charts` makes has escaped the words in it.
    charts = [chart | {"svg": Markup(chart["svg"])} for chart in facts["charts"]]
    return _page().render(facts | {"charts": charts})


async def as_pdf(report: Report) -> str:
    """Return the report as PDF in Base64."""
    made = await asyncio.to_thread(_compile, json.dumps(_facts(report)), report.generated_at)
    return base64.b64encode(made).decode()


def _compile(data: str, at: datetime) -> bytes:
    # Seven megabytes that a process needs seldom.
    import typst

    made = typst.compile(
        TEMPLATES / "report.typ",
        root=TEMPLATES,
        font_paths=[],
        # Fonts of the machine would make the same report another file elsewhere.
        ignore_system_fonts=True,
        format="pdf",
        timestamp=at.replace(microsecond=0),
        sys_inputs={"report": data},
    )
    assert isinstance(made, bytes)
    return made


@lru_cache(maxsize=1)
def _page() -> Template:
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template("report.html")


def _facts(report: Report) -> dict[str, Any]:
    window, metrics = report.asked.window, report.summary.metrics
    zone = window.zone
    form = "%d %b %H:%M" if report.interval in (Interval.HOUR, Interval.MINUTE) else "%d %b %Y"
    labels = [point.at.astimezone(zone).strftime(form) for point in report.series]
    return {
        "title": "Delivery report",
        "organization": report.organization,
        "period": f"{_time(window.start, report)} to {_time(window.end, report)}",
        "zone": zone.key,
        "generated": _time(report.generated_at, report),
        "numbers": [
            {
                "name": name,
                "value": _written(metric, metrics[metric]),
                "before": _written(metric, report.previous[metric]),
            }
            for metric, name in SHOWN
        ],
        "charts": [
            {
                "title": name,
                "svg": bars(name, labels, [point.metrics[metric] for point in report.series]),
            }
            for metric, name in CHARTS
        ],
        "findings": [
            {"severity": each.severity.value, "message": each.message} for each in report.findings
        ],
        "columns": [metric.value.replace("_", " ").capitalize() for metric in COLUMNS],
        "providers": [
            {
                "name": each.name,
                "values": [_written(m, each.metrics[m]) for m in COLUMNS],
                "health": each.health.value,
            }
            for each in report.providers
        ],
        "domains": [
            {"name": part.label, "values": [_written(m, part.metrics[m]) for m in COLUMNS]}
            for part in report.breakdown.parts
        ],
        "reasons": [
            {
                "name": reason.bounce_class.value.replace("_", " "),
                "count": f"{reason.count:,}",
                "percent": _percent(reason.per_cent),
                "said": reason.samples[0].text if reason.samples else "",
                "advice": reason.advice,
            }
            for reason in report.reasons.classes
        ],
    }


def _time(at: datetime, report: Report) -> str:
    return at.astimezone(report.asked.window.zone).strftime("%Y-%m-%d %H:%M")


def _written(metric: Metric, value: float | None) -> str:
    if metric.value.endswith("_rate"):
        return _percent(value)
    return f"{value or 0:,.0f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g} %"
