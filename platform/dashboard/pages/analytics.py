"""Analytics: how mail fares over time, at whom, and why it bounces."""

from typing import Any

from ..page import Call, Page, shown
from ..picture import Series, bars

PERIODS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
INTERVALS = {"24h": "HOUR", "7d": "DAY", "30d": "DAY"}
METRICS = "accepted sent delivered bounced complained uniqueOpens uniqueClicks"
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
          points {{ timestamp metrics {{ delivered bounced deferred }} }}
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
    names = (("delivered", "Delivered"), ("bounced", "Bounced"), ("deferred", "Refused for now"))
    series = [Series(word, name, [int(p["metrics"][name]) for p in points]) for name, word in names]
    return {
        "found": found,
        "points": points,
        "chart": bars(series, [point["timestamp"] for point in points]),
        "periods": PERIODS,
        "period": _period(call),
    }


ANALYTICS = Page(
    path="/o/{org:str}/analytics",
    title="Analytics",
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
