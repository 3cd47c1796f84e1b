"""What vMTAs are made of: pauses, limits, warm-ups, names in the DNS, numbers."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..delivery.isps import Isp
from ..delivery.vmta_queries import VmtaStats, stats_of
from ..vmtas import tables
from ..vmtas.limits import limits_of
from ..vmtas.plans import Warmup, find_warmups
from ..vmtas.rules import PlaceLimits, VmtaLimits, VmtaStatus
from ..vmtas.warmup import DayAction, Schedule, WarmupStatus
from .enums import describe_enum

describe_enum(
    Schedule,
    "How the limit of a warm-up grows.",
    {
        "STANDARD": "100 messages a day for three days, 50,000 from day 22, none from day 31.",
        "EXTENDED": "By weeks, from 100 to 800,000 a day, none from week 8 on.",
        "HOURLY": "20 messages an hour on day 1, two fifths more with every day.",
        "CUSTOM": "As its days say.",
    },
    name="WarmupSchedule",
)
describe_enum(
    WarmupStatus,
    "What a warm-up does.",
    {
        "DISABLED": "There is none.",
        "SCHEDULED": "It begins later.",
        "ACTIVE": "It goes on day by day.",
        "HELD": "The same day comes again.",
        "PAUSED": "The vMTA is paused, or complaints stopped the plan.",
        "COMPLETED": "It is over.",
    },
)
describe_enum(
    DayAction,
    "What followed from a day of a warm-up.",
    {
        "ADVANCE": "The next day.",
        "REPEAT_DAY": "The same day again.",
        "STEP_BACK": "The first day of the stage before.",
        "PAUSE": "A stop, until the vMTA is resumed.",
        "COMPLETE": "The end.",
    },
    name="WarmupAction",
)


@strawberry.type(description="Why a vMTA is paused.")
class VmtaPause:
    reason: str | None = strawberry.field(description="As whoever paused it said.")
    source: str = strawberry.field(description="`user` or `auto_block`.")
    by: UUID | None = strawberry.field(description="UUID of the user who paused it.")
    at: datetime = strawberry.field(description="Since when.")
    until: datetime | None = strawberry.field(description="Null: until it is resumed.")
    reroute: bool = strawberry.field(description="Mail of its pool goes through others.")


@strawberry.type(description="What a vMTA keeps to over all destinations; null is no limit.")
class VmtaLimitValues:
    max_connections: int = strawberry.field(description="Connections at a time.")
    max_messages_per_connection: int | None = strawberry.field(
        description="Messages over one connection."
    )
    max_messages_per_hour: int | None = strawberry.field(description="Messages an hour.")
    max_messages_per_day: int | None = strawberry.field(description="Messages a day.")


@strawberry.type(description="What a vMTA keeps to at one provider or domain.")
class VmtaPlaceLimits:
    isp: Isp | None = strawberry.field(description="The provider; null where it is a domain.")
    domain: str | None = strawberry.field(description="The domain; null where it is a provider.")
    max_connections: int | None = strawberry.field(
        description="Connections; null leaves it to the defaults, 0 is no limit."
    )
    max_messages_per_connection: int | None = strawberry.field(
        description="Messages over one connection; null and 0 as above."
    )
    max_messages_per_hour: int | None = strawberry.field(
        description="Messages an hour; null and 0 as above."
    )


@strawberry.type(description="How a vMTA is warmed up, in short; see `warmupProgress`.")
class VmtaWarmup:
    enabled: bool = strawberry.field(description="There is a plan.")
    schedule: Schedule | None = strawberry.field(description="Which; null without one.")
    target_daily_volume: int | None = strawberry.field(
        description="The plan ends where a day allows as much."
    )
    start_date: date | None = strawberry.field(description="Of day 1, in UTC.")
    status: WarmupStatus = strawberry.field(description="What it does.")
    day: int | None = strawberry.field(description="Of the plan, from 1.")


@strawberry.type(description="What the DNS says of a vMTA's address; null: not looked up yet.")
class VmtaDns:
    ptr: str | None = strawberry.field(description="The name of the address.")
    forward_confirmed: bool | None = strawberry.field(description="That name has the address.")
    ehlo_matches_ptr: bool | None = strawberry.field(description="The EHLO name is that name.")
    dnsbl_listed: bool | None = strawberry.field(description="A blocklist has the address.")
    checked_at: datetime | None = strawberry.field(description="When it was looked up.")


@strawberry.type(name="VmtaStats", description="What a vMTA does with the organization's mail.")
class VmtaNumbers:
    queue_depth: int = strawberry.field(description="Recipients that wait for it.")
    sent_today: int = strawberry.field(description="Attempts since midnight, UTC.")
    delivered_24h: int = strawberry.field(
        name="delivered24h", description="Delivered in the last 24 hours."
    )
    bounce_rate_24h: float | None = strawberry.field(
        name="bounceRate24h",
        description="Bounced of what ended in the last 24 hours, a percentage; null of nothing.",
    )


def pause_type(row: tables.Vmta) -> VmtaPause | None:
    """Return why a vMTA is paused."""
    if row.status != VmtaStatus.PAUSED:
        return None
    return VmtaPause(
        reason=row.pause_reason,
        source=row.pause_source or "user",
        by=row.paused_by,
        at=row.paused_at or row.updated_at,
        until=row.paused_until,
        reroute=row.pause_reroutes,
    )


def dns_type(row: tables.Vmta) -> VmtaDns:
    """Return what the DNS says of a vMTA."""
    return VmtaDns(
        ptr=row.ptr,
        forward_confirmed=row.is_forward_confirmed,
        ehlo_matches_ptr=row.ehlo_matches_ptr,
        dnsbl_listed=row.is_listed,
        checked_at=row.checked_at,
    )


def limits_type(found: VmtaLimits) -> VmtaLimitValues:
    """Return limits as the schema shows them."""
    return VmtaLimitValues(
        max_connections=found.max_connections,
        max_messages_per_connection=found.max_messages_per_connection,
        max_messages_per_hour=found.max_messages_per_hour,
        max_messages_per_day=found.max_messages_per_day,
    )


def place_type(place: PlaceLimits) -> VmtaPlaceLimits:
    """Return limits at a place as the schema shows them."""
    return VmtaPlaceLimits(
        isp=Isp(place.isp) if place.isp else None,
        domain=place.domain,
        max_connections=place.max_connections,
        max_messages_per_connection=place.max_messages_per_connection,
        max_messages_per_hour=place.max_messages_per_hour,
    )


def warmup_type(row: tables.Vmta, warmup: Warmup | None) -> VmtaWarmup:
    """Return a warm-up in short."""
    if warmup is None:
        return VmtaWarmup(
            enabled=False,
            schedule=None,
            target_daily_volume=None,
            start_date=None,
            status=WarmupStatus.DISABLED,
            day=None,
        )
    return VmtaWarmup(
        enabled=True,
        schedule=warmup.schedule,
        target_daily_volume=warmup.target_daily_volume,
        start_date=warmup.start_on,
        status=warmup.status(is_vmta_paused=row.status == VmtaStatus.PAUSED),
        day=warmup.day,
    )


def numbers_type(stats: VmtaStats) -> VmtaNumbers:
    """Return numbers as the schema shows them."""
    return VmtaNumbers(
        queue_depth=stats.queue_depth,
        sent_today=stats.sent_today,
        delivered_24h=stats.delivered_24h,
        bounce_rate_24h=stats.bounce_rate_24h,
    )


async def load_limits(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, VmtaLimits]:
    """Return the limits of vMTAs that the actor has found."""
    return await limits_of(ids)


async def load_warmups(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Warmup]:
    """Return the warm-ups of vMTAs that the actor has found."""
    return await find_warmups(ids)


async def load_stats(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, VmtaStats]:
    """Return what vMTAs did with the actor's mail."""
    return await stats_of(actor, ids)
