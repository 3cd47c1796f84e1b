"""Reading how mail from outside is greylisted, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch
from ..core.errors import DetailCode, InvalidInput
from .policies import forget, policy_of
from .rules import Policy

LONGEST = timedelta(days=731)
USUAL = timedelta(hours=24)
LATEST = 10_000
"""Triplets that a median and the busiest networks are taken from: the last ones."""
COUNTED = 100_000
"""Pending triplets that are counted at most."""
TOP = 10


@dataclass(frozen=True, slots=True)
class OwnPolicy:
    """What an organization says itself; None leaves it to the deployment."""

    enabled: bool | None = None
    delay_seconds: int | None = None
    retry_window_seconds: int | None = None
    max_age_seconds: int | None = None
    auto_allow_after: int | None = None
    reports: bool | None = None
    exempt: Sequence[str] = ()
    """As they were given."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The policy that holds, and when the organization changed its own."""

    policy: Policy
    own: OwnPolicy
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeferredNetwork:
    """A network, and how often it was put off."""

    network: str
    deferred: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What came of greylisting in a stretch of time."""

    start: datetime
    end: datetime
    enabled: bool
    triplets: int
    deferred: int
    passed: int
    expired: int
    exempted: int
    pending: int
    auto_allowed_clients: int
    median_delay_seconds: int | None
    top_deferred_networks: Sequence[DeferredNetwork]
    data_as_of: datetime

    @property
    def pass_rate(self) -> float | None:
        """How many per cent of what has ended came again in time."""
        ended = self.passed + self.expired
        return round(100 * self.passed / ended, 4) if ended else None


async def get_configuration(actor: Actor) -> Configuration:
    """Return how mail to the organization's addresses is greylisted."""
    actor.require(Permission.READ_SECURITY)
    forget(actor.organization_id)
    rows = await fetch(
        "SELECT enabled, delay_seconds, retry_window_seconds, max_age_seconds, "
        "auto_allow_after, reports, exempt, updated_at FROM greylist_policies "
        "WHERE organization_id = {}",
        actor.organization_id,
    )
    policy = await policy_of(actor.organization_id)
    if not rows:
        return Configuration(policy, OwnPolicy(), None)
    own = dict(rows[0])
    changed_at = own.pop("updated_at")
    return Configuration(policy, OwnPolicy(**own), changed_at)


def window(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """Return a stretch of time, the last 24 hours unless it is given.

    Raises:
        InvalidInput: it is given by half, ends before it begins, or is longer than two years.
    """
    if start is None and end is None:
        return clock.now() - USUAL, clock.now()
    if start is None or end is None:
        name = "from" if start is None else "to"
        raise InvalidInput.of(name, DetailCode.REQUIRED, "Give both times, or none.")
    if start >= end:
        raise InvalidInput.of("to", DetailCode.TOO_SMALL, "It ends before it begins.")
    if end - start > LONGEST:
        raise InvalidInput.of("from", DetailCode.TOO_LARGE, "It is at most two years.")
    return start, end


async def get_statistics(actor: Actor, start: datetime, end: datetime) -> Statistics:
    """Return what came of greylisting mail to the organization's addresses.

    Sums are kept by the hour: the hours that *start* and *end* are in count whole.
    """
    actor.require(Permission.READ_SECURITY)
    policy = await policy_of(actor.organization_id)
    first = start.replace(minute=0, second=0, microsecond=0)
    sums = (
        await fetch(
            "SELECT coalesce(sum(new), 0)::bigint AS new, "
            "coalesce(sum(deferred), 0)::bigint AS deferred, "
            "coalesce(sum(passed), 0)::bigint AS passed, "
            "coalesce(sum(expired), 0)::bigint AS expired, "
            "coalesce(sum(exempted), 0)::bigint AS exempted "
            "FROM greylist_hours WHERE organization_id = {} AND hour_at >= {} AND hour_at < {}",
            actor.organization_id,
            first,
            end,
        )
    )[0]
    now = await _now(actor, policy, start, end)
    networks = await fetch(
        "SELECT network, sum(tries)::bigint AS n FROM (SELECT network, tries "
        "FROM greylist_triplets WHERE organization_id = {} AND passed_at IS NULL "
        "AND last_seen_at >= {} AND last_seen_at < {} ORDER BY last_seen_at DESC LIMIT {}"
        ") AS latest GROUP BY network ORDER BY n DESC, network LIMIT {}",
        actor.organization_id,
        start,
        end,
        LATEST,
        TOP,
    )
    return Statistics(
        start=start,
        end=end,
        enabled=policy.enabled,
        triplets=sums["new"],
        deferred=sums["deferred"],
        passed=sums["passed"],
        expired=sums["expired"],
        exempted=sums["exempted"],
        pending=now["pending"],
        auto_allowed_clients=now["clients"],
        median_delay_seconds=now["median"] and round(now["median"]),
        top_deferred_networks=[DeferredNetwork(row["network"], row["n"]) for row in networks],
        data_as_of=clock.now(),
    )


async def _now(actor: Actor, policy: Policy, start: datetime, end: datetime) -> Mapping[str, Any]:
    rows = await fetch(
        "SELECT (SELECT count(*) FROM (SELECT FROM greylist_triplets "
        "WHERE organization_id = {} AND passed_at IS NULL AND last_seen_at > {} LIMIT {}) AS p"
        ") AS pending, "
        "(SELECT count(*) FROM greylist_clients WHERE organization_id = {} AND passes >= {} "
        "AND last_seen_at > {}) AS clients, "
        "(SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY waited) FROM ("
        "SELECT extract(epoch FROM passed_at - first_seen_at)::float8 AS waited "
        "FROM greylist_triplets WHERE organization_id = {} AND passed_at >= {} "
        "AND passed_at < {} ORDER BY passed_at DESC LIMIT {}) AS latest) AS median",
        actor.organization_id,
        clock.now() - policy.retry_window,
        COUNTED,
        actor.organization_id,
        policy.auto_allow_after,
        clock.now() - policy.max_age,
        actor.organization_id,
        start,
        end,
        LATEST,
    )
    return rows[0]
