"""What PostMTA's clients may say of vMTAs."""

from typing import Any

from ..fields import TEXT, Date, Field, Fields, Flag, Integer, ListOf, Object, Text, choice
from .shapes import ISPS
from .vmta_shapes import LARGEST, SCHEDULES, TLS

_LIMIT = Integer(1, LARGEST)
_PLACE_LIMIT = Integer(0, LARGEST)


_WARMUP = Fields(
    Field("enabled", Flag(), "Whether there is a plan.", default=False),
    Field("schedule", choice(*SCHEDULES), "How its limit grows.", default="standard"),
    Field("target_daily_volume", Integer(100, 10_000_000), "Where it ends.", default=100_000),
    Field("start_date", Date(), "In UTC; today without it."),
    Field(
        "custom",
        ListOf(
            Object(
                Fields(
                    Field("day", Integer(1, 3650), "From 1, increasing.", required=True),
                    Field("daily_limit", Integer(1, 10_000_000), "Not falling.", required=True),
                )
            ),
            most=365,
        ),
        "The days of the schedule `custom`.",
    ),
    Field("restart", Flag(), "Begin again at day 1."),
)


def _fields(*, is_new: bool) -> Fields:
    """Return the fields of E37, or of E40, where all may be left out."""

    def at_first(value: Any) -> Any:
        return value if is_new else None

    clearable = not is_new
    return Fields(
        Field(
            "name",
            Text(longest=63, pattern="^[a-z0-9][a-z0-9-]{0,62}$"),
            "Unique in the organization.",
            required=is_new,
            example="tx-1",
        ),
        Field(
            "ip_address",
            TEXT,
            "An address of the deployment that no other vMTA uses.",
            required=is_new,
            example="203.0.113.10",
        ),
        Field(
            "hostname",
            Text(longest=253),
            "EHLO name; should have forward-confirmed reverse DNS.",
            required=is_new,
            example="mta1.example.com",
        ),
        Field(
            "pool",
            Text(longest=63),
            "Label; a new one makes a new pool.",
            default=at_first("default"),
            clearable=clearable,
        ),
        Field(
            "weight",
            Integer(0, 1000),
            "Share within the pool; 0 is only when asked for by name.",
            default=at_first(100),
            clearable=clearable,
        ),
        Field("description", Text(longest=200), "What it is for.", clearable=clearable),
        *_limits(clearable=clearable),
        Field("warmup", Object(_WARMUP), "Plan of daily limits.", clearable=clearable),
        Field(
            "tls",
            choice(*TLS),
            "Policies of the receiver always win.",
            default=at_first("opportunistic"),
            clearable=clearable,
        ),
        Field(
            "allowed_domains",
            ListOf(TEXT, most=1000),
            "Sending domains that may use it; none is any.",
            clearable=clearable,
        ),
    )


def _limits(*, clearable: bool) -> tuple[Field, ...]:
    return (
        Field(
            "limits",
            Object(
                Fields(
                    Field("max_connections", Integer(1, 10_000), "At a time.", clearable=True),
                    Field("max_messages_per_connection", _LIMIT, "Null: none.", clearable=True),
                    Field("max_messages_per_hour", _LIMIT, "Null: none.", clearable=True),
                    Field("max_messages_per_day", _LIMIT, "Null: none.", clearable=True),
                )
            ),
            "Over all destinations.",
            clearable=clearable,
        ),
        Field(
            "isp_limits",
            ListOf(
                Object(
                    Fields(
                        Field("isp", choice(*ISPS), "The provider, or else a domain."),
                        Field("domain", TEXT, "The domain, or else a provider."),
                        Field("max_connections", Integer(0, 10_000), "0 is no limit."),
                        Field("max_messages_per_connection", _PLACE_LIMIT, "0 is no limit."),
                        Field("max_messages_per_hour", _PLACE_LIMIT, "0 is no limit."),
                    )
                ),
                most=100,
            ),
            "At some providers and domains; replaced as a whole.",
            clearable=clearable,
        ),
    )


CREATE = _fields(is_new=True)
UPDATE = _fields(is_new=False)
PAUSE_BODY = Fields(
    Field("reason", Text(longest=200), "Why."),
    Field("duration_seconds", Integer(60, 2_592_000), "Until it is resumed without it."),
    Field("reroute", Flag(), "Move mail of its pool to other active members.", default=True),
)
