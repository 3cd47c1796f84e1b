"""What PostMTA shows of vMTAs."""

from typing import Any

from ..answers import FLAG, INTEGER, NUMBER, TIME, UUID, Fixed, Leaf, Many, Out, Shape, word
from .shapes import ISPS

STATUSES = ("active", "paused", "blocked")
SCHEDULES = ("standard", "extended", "hourly", "custom")
TLS = ("opportunistic", "required", "disabled")
LARGEST = 2**31 - 1
STATUS = word(*STATUSES)
QUEUE_STATE = word("active", "backoff", "held", "paused")
SCHEDULE = word(*SCHEDULES)
WARMUP_STATUS = word("disabled", "scheduled", "active", "held", "paused", "completed")
DATE = Leaf({"type": "string", "format": "date"})
TEXTS = Many(Leaf({"type": "string"}))

PAUSE = Shape(
    "VmtaPause",
    Out("reason", maybe=True),
    Out("source", Leaf({"type": "string", "enum": ["user", "auto_block"]})),
    Out("by", UUID, maybe=True),
    Out("at", TIME),
    Out("until", TIME, maybe=True),
    Out("reroute", FLAG),
)
LIMITS = Shape(
    "VmtaLimits",
    Out("max_connections", INTEGER),
    Out("max_messages_per_connection", INTEGER, maybe=True),
    Out("max_messages_per_hour", INTEGER, maybe=True),
    Out("max_messages_per_day", INTEGER, maybe=True),
)
_PLACE_LIMITS = (
    Out("max_connections", INTEGER, maybe=True),
    Out("max_messages_per_connection", INTEGER, maybe=True),
    Out("max_messages_per_hour", INTEGER, maybe=True),
)
ISP = word(*ISPS)


class _Place(Shape):
    """Limits of a provider or of a domain: only the one of the two that it has is written."""

    def write(self, data: Any) -> dict[str, Any]:
        written = super().write(data)
        del written["isp" if written["isp"] is None else "domain"]
        return written


PLACE = _Place(
    "VmtaIspLimits",
    Out("isp", ISP, maybe=True, optional=True),
    Out("domain", maybe=True, optional=True),
    *_PLACE_LIMITS,
)
WARMUP = Shape(
    "VmtaWarmup",
    Out("enabled", FLAG),
    Out("schedule", SCHEDULE, maybe=True),
    Out("target_daily_volume", INTEGER, maybe=True),
    Out("start_date", DATE, maybe=True),
    Out("status", WARMUP_STATUS),
    Out("day", INTEGER, maybe=True),
)
DNS = Shape(
    "VmtaDns",
    Out("ptr", maybe=True),
    Out("fcrdns", FLAG, of="forwardConfirmed", maybe=True),
    Out("ehlo_matches_ptr", FLAG, maybe=True),
    Out("dnsbl_listed", FLAG, maybe=True),
    Out("checked_at", TIME, maybe=True),
)
STATS = Shape(
    "VmtaStats",
    Out("queue_depth", INTEGER),
    Out("sent_today", INTEGER),
    Out("delivered_24h", INTEGER, of="delivered24h"),
    Out("bounce_rate_24h", NUMBER, of="bounceRate24h", maybe=True),
)
NAMED = (Out("id", UUID, of="uuid"), Out("name"))
VMTA = Shape(
    "Vmta",
    *NAMED,
    Out("description", maybe=True),
    Out("ip_address", maybe=True),
    Out("hostname"),
    Out("pool"),
    Out("weight", INTEGER),
    Out("status", STATUS),
    Out("pause", PAUSE, maybe=True),
    Out("tls"),
    Out("allowed_domains", TEXTS),
    Out("limits", LIMITS),
    Out("isp_limits", Many(PLACE)),
    Out("warmup", WARMUP),
    Out("dns", DNS),
    Out("stats", STATS),
    Out("created_at", TIME),
    Out("updated_at", TIME),
)
SHORT_WARMUP = Shape(
    "VmtaShortWarmup",
    Out("enabled", FLAG),
    Out("schedule", SCHEDULE, maybe=True),
    Out("status", WARMUP_STATUS),
    Out("day", INTEGER, maybe=True),
)
SUMMARY = Shape(
    "VmtaSummary",
    *NAMED,
    Out("ip_address", maybe=True),
    Out("hostname"),
    Out("pool"),
    Out("weight", INTEGER),
    Out("status", STATUS),
    Out("warmup", SHORT_WARMUP),
    Out(
        "queue_depth",
        INTEGER,
        from_whole=lambda vmta: vmta["stats"]["queueDepth"],
    ),
    Out("created_at", TIME),
    extra="stats { queueDepth }",
)
CONTROLLED = Shape(
    "ControlledVmta",
    *NAMED,
    Out("status", STATUS),
    Out("pause", PAUSE, maybe=True),
    Out("updated_at", TIME),
)
_STATE = (*NAMED, Out("status", STATUS), Out("pause", PAUSE, maybe=True))
PAUSED = Shape(
    "PausedVmta",
    *_STATE,
    Out("rerouted", INTEGER),
    Out("waiting", INTEGER),
    Out("in_flight", INTEGER),
    Out("updated_at", TIME),
)
RESUMED = Shape(
    "ResumedVmta",
    *_STATE,
    Out("waiting", INTEGER),
    Out("in_flight", INTEGER),
    Out("updated_at", TIME),
)
DELETED = Shape(
    "DeletedVmta",
    Out("id", UUID, of="deletedUuid"),
    Out("deleted", Fixed(True, {"type": "boolean"})),
    Out("reassigned", INTEGER),
    Out("cancelled", INTEGER),
)
STAGE = Shape(
    "WarmupStage",
    Out("from_day", INTEGER),
    Out("to_day", INTEGER, maybe=True),
    Out("daily_limit", INTEGER, maybe=True),
)
ACTION = word("advance", "repeat_day", "step_back", "pause", "complete")
PROGRESS = Shape(
    "WarmupProgress",
    Out("status", WARMUP_STATUS),
    Out("schedule", SCHEDULE, maybe=True),
    Out("start_date", DATE, maybe=True),
    *(Out(name, INTEGER, maybe=True) for name in ("day", "stage", "stages")),
    Out("progress_percent", NUMBER, maybe=True),
    Out("daily_limit", INTEGER, maybe=True),
    Out("hourly_limit", INTEGER, maybe=True),
    Out("sent_today", INTEGER),
    Out("remaining_today", INTEGER, maybe=True),
    Out("target_daily_volume", INTEGER, maybe=True),
    Out(
        "next_increase",
        Shape(
            "WarmupIncrease",
            Out("day", INTEGER),
            Out("daily_limit", INTEGER, maybe=True),
            Out("expected_at", TIME),
        ),
        maybe=True,
    ),
    Out("expected_completion_at", TIME, maybe=True),
    Out(
        "overflow",
        Shape("WarmupOverflow", Out("rerouted_today", INTEGER), Out("waiting", INTEGER)),
    ),
    Out(
        "health",
        Shape(
            "WarmupHealth",
            Out("delivered_24h", INTEGER, of="delivered24h"),
            Out("hard_bounce_rate", NUMBER),
            Out("block_rate", NUMBER),
            Out("deferral_rate", NUMBER),
            Out("complaint_rate", NUMBER),
            Out("verdict"),
        ),
    ),
    Out("plan", Many(STAGE)),
    Out(
        "adjustments",
        Many(
            Shape(
                "WarmupAdjustment",
                Out("at", TIME),
                Out("action", ACTION),
                Out("reason", maybe=True),
            )
        ),
    ),
    Out(
        "history",
        Many(
            Shape(
                "WarmupDay",
                Out("date", DATE, of="endedOn"),
                Out("day", INTEGER),
                Out("daily_limit", INTEGER, maybe=True),
                Out("sent", INTEGER),
                Out("rerouted", INTEGER),
                Out("action", ACTION),
            )
        ),
        of="history @include(if: $history)",
        optional=True,
    ),
)
OWNER = Shape("WarmupVmta", *NAMED)
WARMUP_ANSWER = Shape("VmtaWarmupProgress", Out("vmta", OWNER), *PROGRESS.fields)
QUEUE = Shape(
    "VmtaQueue",
    Out("id", UUID, of="uuid"),
    Out("domain"),
    Out("isp", ISP),
    Out("state", QUEUE_STATE),
    *(Out(name, INTEGER) for name in ("depth", "ready", "deferred", "in_flight")),
    Out("next_attempt_at", TIME, maybe=True),
)
TOTALS = Shape(
    "VmtaQueueTotals",
    *(
        Out(name, INTEGER)
        for name in ("depth", "ready", "deferred", "in_flight", "held", "connections")
    ),
    Out("oldest_message_at", TIME, maybe=True),
    Out("delivered_last_hour", INTEGER),
)
QUEUE_OWNER = Shape("QueueVmtaState", *NAMED, Out("status", STATUS))
