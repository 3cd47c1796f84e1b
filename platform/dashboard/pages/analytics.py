"""Analytics: how mail fares over time, at whom, and why it bounces."""

from datetime import timedelta
from typing import Any

from ...core import clock
from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ..format import moment
from ..page import Call, Page, shown
from ..picture import Series, bars

PERIODS = {"24h": N_("24 hours"), "7d": N_("7 days"), "30d": N_("30 days")}
INTERVALS = {"24h": "HOUR", "7d": "DAY", "30d": "DAY"}
METRICS = "accepted sent delivered bounced complained uniqueOpens uniqueClicks"
LATE = timedelta(minutes=10)
"""Counts that are older are said to be."""
RATES = "deliveryRate bounceRate complaintRate openRate clickRate"

DOCUMENT = shown(
    f"""
    query Analytics($period: String!, $interval: AnalyticsInterval!, $timezone: String!) {{
      ...Shell
      organization {{ analytics(period: $period, timezone: $timezone) {{
        dataAsOf
        summary(compare: true) {{
          metrics {{ {METRICS} {RATES} }} change {{ {METRICS} {RATES} }}
          latency {{ medianSeconds p95Seconds }}
        }}
        series(interval: $interval) {{
          points {{ timestamp metrics {{
            accepted delivered bounced deferred suppressed cancelled
          }} }}
        }}
        providers(first: 10, sortBy: SENT, ascending: false) {{
          name metrics {{ sent delivered bounced deliveryRate bounceRate openRate }} health
        }}
        bounceReasons(includeDeferrals: false, samples: 1) {{
          total classes {{ class type count percent advice samples {{ text }} }}
        }}
      }} }}
    }}
    """
)


def _period(call: Call) -> str:
    asked = call.query.get("period", "")
    return asked if asked in PERIODS else "7d"


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]["analytics"]
    points = found["series"]["points"]
    names = (
        ("delivered", _("Delivered")),
        ("bounced", _("Bounced")),
        ("deferred", _("Refused for now")),
    )
    series = [Series(word, name, [int(p["metrics"][name]) for p in points]) for name, word in names]
    counted_at = moment(found["dataAsOf"])
    waiting = [_waiting(point["metrics"]) for point in points]
    labels = [point["timestamp"] for point in points]
    return {
        "found": found,
        "is_late": counted_at is not None and counted_at < clock.now() - LATE,
        "points": points,
        "chart": bars(series, labels),
        "waiting": list(zip(labels, waiting, strict=True)),
        "waiting_chart": bars([Series(_("Waiting"), "waiting", waiting)], labels),
        "periods": PERIODS,
        "period": _period(call),
    }


def _waiting(metrics: dict[str, Any]) -> int:
    """Return how many of the recipients accepted at a time are neither there nor given up."""
    final = ("delivered", "bounced", "suppressed", "cancelled")
    return max(0, int(metrics["accepted"]) - sum(int(metrics[name]) for name in final))


ANALYTICS = Page(
    path="/o/{org:str}/analytics",
    title=N_("Analytics"),
    template="analytics/index.html",
    document=DOCUMENT,
    variables=lambda call: {
        "period": _period(call),
        "interval": INTERVALS[_period(call)],
        "timezone": "UTC",
    },
    view=_view,
)
PAGES = (ANALYTICS,)
