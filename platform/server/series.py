"""The series of `/metrics`, out of counts that are kept where things happen.

Nothing here counts mail: every number is the sum of a few rows, a probe of an index, or
what processes measured.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from ..core import clock
from ..core.actor import Actor, OrganizationId
from ..core.measuring import PREFIX, measured
from ..credits.queries import consumed_credits
from ..credits.rules import CreditType
from ..credits.work import all_consumed_credits
from ..delivery import work as spool
from ..delivery.queries import oldest_due
from ..events.consuming import consumer_lags
from ..events.queries import EventTotal, count_events
from ..events.rules import EXITS, EventType
from ..events.work import count_all_events
from ..mail.outcome import BounceClass, Verdict
from ..protection.catalogue import all_rules
from ..protection.queries import count_begun
from ..protection.work import count_all_begun
from ..vmtas.plans import find_warmups
from ..vmtas.queries import all_vmtas
from ..vmtas.rules import VmtaStatus
from ..vmtas.tables import Vmta
from ..vmtas.warmup import WarmupStatus
from ..vmtas.work import every_vmta
from ..webhooks.queries import count_attempts
from ..webhooks.work import count_all_attempts

STATUSES = {
    EventType.MESSAGE_QUEUED: "queued",
    EventType.MESSAGE_DELIVERED: "delivered",
    EventType.MESSAGE_BOUNCED: "bounced",
    EventType.MESSAGE_EXPIRED: "expired",
    EventType.MESSAGE_SUPPRESSED: "suppressed",
    EventType.MESSAGE_CANCELLED: "cancelled",
}

RESULTS = {
    EventType.MESSAGE_DELIVERED: Verdict.DELIVERED,
    EventType.MESSAGE_BOUNCED: Verdict.BOUNCED,
}
"""What an attempt came to that ended with such an event; every other one was deferred."""


async def series_of(actor: Actor) -> list[Metric]:
    """Return what concerns the actor's organization, and nothing else.

    Raises:
        NotPermitted: the actor may not read metrics.
    """
    totals = await count_events(actor)
    vmtas = await all_vmtas(actor)
    credits = await consumed_credits(actor)
    warming = await _warmups(vmtas, of=actor.organization_id)
    calls = await count_attempts(actor)
    counted = _counted(totals, vmtas, credits, await oldest_due(actor), calls)
    return [*counted, *warming, _blocks(await count_begun(actor))]


async def all_series() -> list[Metric]:
    """Return what concerns the whole deployment: its mail and its processes."""
    totals = await count_all_events()
    vmtas = await every_vmta()
    credits = await all_consumed_credits()
    oldest = await spool.oldest_due()
    size = GaugeMetricFamily(
        f"{PREFIX}spool_bytes",
        "Bytes on disk of open mail and its contents.",
        value=await spool.spool_bytes(),
    )
    warming = await _warmups(vmtas, of=None)
    calls = await count_all_attempts()
    counted = _counted(totals, vmtas, credits, oldest, calls)
    blocks = _blocks(await count_all_begun())
    return [*counted, *warming, blocks, size, *await _lags(), *measured()]


async def _lags() -> list[Metric]:
    behind = GaugeMetricFamily(
        f"{PREFIX}event_consumer_events",
        "Events that a consumer has not had yet, at the most.",
        labels=["consumer"],
    )
    waited = GaugeMetricFamily(
        f"{PREFIX}event_consumer_lag_seconds",
        "How long the next event of a consumer has waited for it.",
        labels=["consumer"],
    )
    for lag in await consumer_lags():
        behind.add_metric([lag.consumer], lag.events)
        waited.add_metric([lag.consumer], lag.seconds)
    return [behind, waited]


def _counted(
    totals: Sequence[EventTotal],
    vmtas: Sequence[Vmta],
    credits: Mapping[str, int],
    oldest: datetime | None,
    calls: Mapping[str, int],
) -> list[Metric]:
    waited = (clock.now() - oldest).total_seconds() if oldest else 0
    return [
        _messages(totals),
        _recipients(totals),
        _attempts(totals, {vmta.id: vmta.name for vmta in vmtas}),
        _bounces(totals),
        _complaints(totals),
        _calls(calls),
        _credits(credits),
        _depth(totals, vmtas),
        GaugeMetricFamily(
            f"{PREFIX}queue_oldest_seconds",
            "How long the mail that may be sent and has waited longest has been due.",
            value=max(waited, 0),
        ),
        _paused(vmtas),
    ]


def _messages(totals: Iterable[EventTotal]) -> Metric:
    return CounterMetricFamily(
        f"{PREFIX}messages_accepted",
        "Messages accepted for sending.",
        value=sum(total.messages for total in totals),
    )


def _recipients(totals: Iterable[EventTotal]) -> Metric:
    found = CounterMetricFamily(
        f"{PREFIX}recipients", "Recipients that came to a status.", labels=["status"]
    )
    counts: dict[str, int] = defaultdict(int)
    for total in totals:
        counts[total.type] += total.events
    for event_type, status in STATUSES.items():
        found.add_metric([status], counts[event_type.value])
    return found


def _attempts(totals: Iterable[EventTotal], names: Mapping[uuid.UUID, str]) -> Metric:
    found = CounterMetricFamily(
        f"{PREFIX}delivery_attempts", "Attempts to deliver.", labels=["vmta", "isp", "result"]
    )
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for total in totals:
        if total.attempts and total.vmta_id:
            name = names.get(total.vmta_id, str(total.vmta_id))
            result = RESULTS.get(EventType(total.type), Verdict.DEFERRED)
            counts[name, total.isp, result] += total.attempts
    for labels, count in sorted(counts.items()):
        found.add_metric(labels, count)
    return found


def _bounces(totals: Iterable[EventTotal]) -> Metric:
    found = CounterMetricFamily(f"{PREFIX}bounces", "Recipients that bounced.", labels=["class"])
    counts = dict.fromkeys((each.value for each in BounceClass), 0)
    for total in totals:
        if total.type == EventType.MESSAGE_BOUNCED:
            name = total.bounce_class
            counts[name] = counts.get(name, 0) + total.events
    for label, count in sorted(counts.items()):
        found.add_metric([label], count)
    return found


def _complaints(totals: Iterable[EventTotal]) -> Metric:
    complained = (t.events for t in totals if t.type == EventType.MESSAGE_COMPLAINED)
    return CounterMetricFamily(
        f"{PREFIX}complaints", "Recipients that complained.", value=sum(complained)
    )


def _calls(counts: Mapping[str, int]) -> Metric:
    found = CounterMetricFamily(
        f"{PREFIX}webhook_attempts", "Requests to webhooks, tests aside.", labels=["result"]
    )
    for result in ("delivered", "failed"):
        found.add_metric([result], counts.get(result, 0))
    return found


def _blocks(counts: Mapping[str, int]) -> Metric:
    found = CounterMetricFamily(
        f"{PREFIX}auto_blocks", "Blocks that rules began; dry runs do not count.", labels=["rule"]
    )
    for key in all_rules():
        found.add_metric([key], counts.get(key, 0))
    return found


def _credits(used: Mapping[str, int]) -> Metric:
    found = CounterMetricFamily(
        f"{PREFIX}credits_consumed", "Credits used; refunds are not taken off.", labels=["type"]
    )
    for credit_type in CreditType:
        found.add_metric([credit_type.value], used.get(credit_type.value, 0))
    return found


def _depth(totals: Iterable[EventTotal], vmtas: Iterable[Vmta]) -> Metric:
    """Return what went into the queues of each vMTA and has not come out."""
    found = GaugeMetricFamily(
        f"{PREFIX}queue_depth",
        "Recipients in the queues of a vMTA, scheduled ones included.",
        labels=["vmta", "state"],
    )
    inside: dict[uuid.UUID, int] = defaultdict(int)
    for total in totals:
        if total.vmta_id is None:
            continue
        if total.type == EventType.MESSAGE_QUEUED:
            inside[total.vmta_id] += total.events
        elif total.type in EXITS:
            inside[total.vmta_id] -= total.events
    # Organizations may use one name; in the deployment's view they then are one series.
    depths: dict[tuple[str, str], int] = defaultdict(int)
    for vmta in vmtas:
        depths[vmta.name, vmta.status] += inside.pop(vmta.id, 0)
    for gone, depth in inside.items():
        if depth:
            depths[str(gone), VmtaStatus.PAUSED] += depth
    for labels, depth in sorted(depths.items()):
        found.add_metric(labels, depth)
    return found


def _paused(vmtas: Iterable[Vmta]) -> Metric:
    found = GaugeMetricFamily(
        f"{PREFIX}vmta_paused", "Whether a vMTA of this name is paused.", labels=["vmta"]
    )
    paused: dict[str, int] = {}
    for vmta in vmtas:
        paused[vmta.name] = max(paused.get(vmta.name, 0), vmta.status == VmtaStatus.PAUSED)
    for name, value in sorted(paused.items()):
        found.add_metric([name], value)
    return found


async def _warmups(vmtas: Sequence[Vmta], *, of: OrganizationId | None) -> list[Metric]:
    """Return how far today's warm-ups are, with one tenant's attempts or everybody's."""
    limit = GaugeMetricFamily(
        f"{PREFIX}warmup_daily_limit",
        "Attempts that the warm-up of a vMTA allows today.",
        labels=["vmta"],
    )
    sent = GaugeMetricFamily(
        f"{PREFIX}warmup_sent_today",
        "Attempts of a vMTA that is warming up, since midnight, UTC.",
        labels=["vmta"],
    )
    warmups = await find_warmups([vmta.id for vmta in vmtas])
    made = await spool.attempts_today(list(warmups), of=of)
    limits: dict[str, int] = defaultdict(int)
    counts: dict[str, int] = defaultdict(int)
    for vmta in vmtas:
        warmup = warmups.get(vmta.id)
        if warmup is None or warmup.status(is_vmta_paused=False) not in _WARMING:
            continue
        counts[vmta.name] += made.get(vmta.id, 0)
        stage = warmup.plan.at(warmup.day)
        # An hourly plan has no limit for the day.
        if stage.daily_limit and not stage.hourly_limit:
            limits[vmta.name] += stage.daily_limit
    for metric, values in ((limit, limits), (sent, counts)):
        for name, value in sorted(values.items()):
            metric.add_metric([name], value)
    return [limit, sent]


_WARMING = frozenset({WarmupStatus.ACTIVE, WarmupStatus.HELD, WarmupStatus.PAUSED})
"""While a warm-up has begun and is not over."""
