"""PostMTA's greylisting: how it is set, and what came of it."""

from typing import Any

from ....core import clock
from ....core.actor import Permission
from ....graphql.execute import Document
from ...answers import FLAG, INTEGER, NUMBER, TIME, Leaf, Many, Out, Shape
from ...fields import Time
from ...parameters import Param, Params
from ...route import Call, CompatRoute
from ..periods import Period, explicit_window, window_of
from ..shapes import SOURCE

NETWORK = Leaf({"type": "string", "examples": ["198.51.100.0/24"]})
_MOMENT = Leaf({**TIME.type, "examples": ["2026-06-01T12:00:00.000Z"]}, TIME.convert)
PERIOD = Shape(
    "GreylistingPeriod", Out("from", _MOMENT, of="since"), Out("to", _MOMENT, of="until")
)
DEFERRED = Shape("DeferredNetwork", Out("network", NETWORK), Out("deferred", INTEGER))
INBOUND = Shape(
    "InboundGreylisting",
    Out("enabled", FLAG),
    Out("triplets", INTEGER),
    Out("deferred", INTEGER),
    Out("passed", INTEGER),
    Out("expired", INTEGER),
    Out("pending", INTEGER),
    Out("exempted", INTEGER),
    Out("auto_whitelisted_clients", INTEGER, of="autoAllowedClients"),
    Out("pass_rate", NUMBER, maybe=True),
    Out("median_delay_seconds", INTEGER, maybe=True),
)
OUTBOUND = Shape(
    "OutboundGreylisting",
    Out("greylisted", INTEGER),
    Out("delivered_later", INTEGER),
    Out("still_waiting", INTEGER),
    Out("failed", INTEGER),
    Out("median_delay_seconds", INTEGER, maybe=True),
)
TOP = Many(DEFERRED)
STATS = Shape(
    "GreylistingStats",
    Out("period", PERIOD, from_whole=PERIOD.write),
    Out("inbound", INBOUND),
    Out("outbound", OUTBOUND),
    Out(
        "top_deferred_networks",
        TOP,
        from_whole=lambda stats: TOP.write(stats["inbound"]["topDeferredNetworks"]),
    ),
    Out("data_as_of", TIME),
    extra="since until inbound { topDeferredNetworks { network deferred } }",
)
EXEMPT = Shape(
    "GreylistingExemptions",
    Out("authenticated", FLAG),
    Out("spf_or_dkim_pass", FLAG, of="knownSenders"),
    Out("networks", Many(NETWORK)),
    Out("domains", Many(Leaf({"type": "string", "examples": ["example.net"]}))),
)
CONFIG = Shape(
    "GreylistingConfig",
    Out("enabled", FLAG),
    Out("delay_seconds", INTEGER),
    Out("retry_window_seconds", INTEGER),
    Out("max_age_seconds", INTEGER),
    Out("auto_whitelist_after", INTEGER, of="autoAllowAfter"),
    Out("ipv4_prefix", INTEGER),
    Out("ipv6_prefix", INTEGER),
    Out("response_code", INTEGER),
    Out(
        "response_text",
        Leaf({"type": "string", "examples": ["4.7.1 Greylisted, please try again later"]}),
    ),
    Out("exempt", EXEMPT),
    Out("updated_at", TIME, maybe=True, about="Null: the organization has not changed it."),
)


def _window(call: Call) -> dict[str, Any]:
    found = explicit_window(call.query)
    start, end = found or window_of(call.query.get("period", "24h"), clock.now())
    return {"since": start.isoformat(), "until": end.isoformat()}


ROUTES = (
    CompatRoute(
        method="GET",
        path="/api/v1/security/greylisting/stats",
        source=SOURCE,
        summary="Get greylisting statistics",
        permission=Permission.READ_SECURITY,
        query=Params(
            Param("period", Period(), "How far back.", default="24h"),
            Param("from", Time(), "From when on; needs `to`."),
            Param("to", Time(), "Until when; needs `from`."),
        ),
        document=Document(
            "query GreylistingStats($since: DateTime!, $until: DateTime!) { organization "
            f"{{ greylistingStats(since: $since, until: $until) {STATS.selection()} }} }}"
        ),
        variables=_window,
        answer=lambda data, call: STATS.write(data["organization"]["greylistingStats"]),
        shape=STATS,
        differences=("Sums of mail from outside are of whole hours.",),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/security/greylisting/config",
        source=SOURCE,
        summary="Get greylisting configuration",
        permission=Permission.READ_SECURITY,
        document=Document(
            "query GreylistingConfig { organization "
            f"{{ greylistingConfig {CONFIG.selection()} }} }}"
        ),
        variables=lambda call: {},
        answer=lambda data, call: CONFIG.write(data["organization"]["greylistingConfig"]),
        shape=CONFIG,
        differences=(
            "Known senders are told by SPF or by a host name that leads back to them, not by "
            "DKIM: nothing of the message is there yet.",
        ),
    ),
)
