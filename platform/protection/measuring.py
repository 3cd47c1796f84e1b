"""What rules compare: read from the counts of analytics, and from what other areas note."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from ..accounts.work import slugs_of_projects
from ..analytics.recent import complained_about, recent_sums, usual_per_hour
from ..blocklists.work import severe_listings
from ..core import clock
from ..delivery.work.greylisted import outlasting
from ..delivery.work.traps import spamtrap_hits
from ..domains.work import find_domains_named
from ..messages.work.infected import infected_by_key
from ..security import abuse
from ..vmtas.work import find_own_vmtas
from .rules import Measure, Metric, Rule, Scope, rate

KINDS = {
    Metric.FAILED_SIGN_INS: (abuse.Kind.SIGN_IN, abuse.Kind.SMTP_AUTH),
    Metric.SMTP_ABUSE: (abuse.Kind.SMTP_REFUSALS,),
    Metric.FORGED_SENDERS: (abuse.Kind.FORGED_SENDER,),
}
"""What is counted of strangers and keys for a metric; all that a network is judged by is here."""

Sums = Sequence[Mapping[str, Any]]
Split = tuple[Any, ...]


async def measure(rules: Sequence[Rule]) -> Mapping[str, list[Measure]]:
    """Return what each of *rules* compares now, by its key; targets that did nothing are left out.

    What was counted is of mail that was accepted within the window, and of its attempts so far.
    """
    found: dict[str, list[Measure]] = {}
    counted = {*_OF_SUMS, Metric.DEFERRAL_RATE}
    windows = {rule.window for rule in rules if rule.metric in counted}
    sums = {window: await recent_sums(clock.now() - window) for window in windows}
    noted = await _noted([rule for rule in rules if rule.metric in KINDS])
    for rule in rules:
        if rule.key in noted:
            found[rule.key] = noted[rule.key]
        elif rule.scope is Scope.PROJECT:
            found[rule.key] = await _OF_PROJECTS[rule.metric](sums[rule.window])
        elif rule.metric is Metric.DEFERRAL_RATE:
            found[rule.key] = await _deferrals(sums[rule.window], rule.window)
        elif rule.metric in _OF_SUMS:
            found[rule.key] = await _OF_SUMS[rule.metric](sums[rule.window])
        else:
            found[rule.key] = await _OTHERS[rule.metric](rule.window)
    return found


def _grouped(sums: Sums, *names: str) -> dict[Split, dict[str, int]]:
    groups: dict[Split, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in sums:
        key = (row["organization_id"], *(row[name] for name in names))
        if all(key[1:]):
            group = groups[key]
            group["accepted"] += row["accepted"]
            if not row["vmta"]:
                # What failed here, and reached nobody, is held against nothing.
                continue
            for counter in _COUNTERS:
                group[counter] += row[counter]
            if row["bounce_class"] == "auth_failure":
                failed = row["hard_bounced"] + row["soft_bounced"] + row["blocked"]
                group["unauthenticated"] += failed + row["deferrals"]
    return groups


_OF_BOUNCES = ("delivered", "hard_bounced", "soft_bounced", "blocked")
_COUNTERS = ("delivered", "hard_bounced", "soft_bounced", "blocked", "deferrals", "greylisted")


def _attempts(counts: Mapping[str, int]) -> int:
    ended = counts["delivered"] + counts["hard_bounced"] + counts["soft_bounced"]
    return ended + counts["blocked"] + counts["deferrals"]


def _ended(counts: Mapping[str, int]) -> int:
    bounced = counts["hard_bounced"] + counts["soft_bounced"] + counts["blocked"]
    return counts["delivered"] + bounced


def _seen(counts: Mapping[str, int], *names: str) -> dict[str, int]:
    return {name: counts[name] for name in names}


async def _bounces(sums: Sums) -> list[Measure]:
    return await _of_domains(
        sums,
        value=lambda c: rate(c["hard_bounced"], _ended(c)),
        size=_ended,
        shown=_OF_BOUNCES,
    )


async def _project_bounces(sums: Sums) -> list[Measure]:
    groups = {k: c for k, c in _grouped(sums, "project_id").items() if c["hard_bounced"]}
    slugs = await slugs_of_projects([key[1] for key in groups])
    return [
        Measure(
            key[0],
            str(key[1]),
            slugs[key[1]],
            rate(counts["hard_bounced"], _ended(counts)),
            _ended(counts),
            _seen(counts, *_OF_BOUNCES),
        )
        for key, counts in groups.items()
        if key[1] in slugs
    ]


async def _unauthenticated(sums: Sums) -> list[Measure]:
    return await _of_domains(
        sums,
        value=lambda c: rate(c["unauthenticated"], _attempts(c)),
        size=_attempts,
        shown=("delivered", "unauthenticated"),
    )


async def _of_domains(
    sums: Sums,
    *,
    value: Callable[[Mapping[str, int]], float],
    size: Callable[[Mapping[str, int]], int],
    shown: Sequence[str],
) -> list[Measure]:
    groups = {key: counts for key, counts in _grouped(sums, "domain").items() if value(counts)}
    ids = await find_domains_named([(key[0], key[1]) for key in groups])
    return [
        Measure(key[0], str(ids[key]), key[1], value(counts), size(counts), _seen(counts, *shown))
        for key, counts in groups.items()
        if key in ids
    ]


async def _blocks(sums: Sums) -> list[Measure]:
    groups = {k: counts for k, counts in _grouped(sums, "vmta").items() if counts["blocked"]}
    ids = await find_own_vmtas([(key[0], key[1]) for key in groups])
    return [
        Measure(
            key[0],
            str(ids[key]),
            key[1],
            rate(counts["blocked"], _attempts(counts)),
            _attempts(counts),
            _seen(counts, "delivered", "blocked", "deferrals"),
        )
        for key, counts in groups.items()
        if key in ids
    ]


async def _deferrals(sums: Sums, window: timedelta) -> list[Measure]:
    from ..delivery.rules import queue_id

    groups = _grouped(sums, "vmta", "recipient_domain")
    for counts in groups.values():
        # A receiver that greylists says no to everybody at first, and yes when they come again.
        counts["deferrals"] -= counts["greylisted"]
    for row in await outlasting(clock.now() - window):
        # One that says no still, hours later, does not greylist. The mail was accepted before the
        # window, so it is not among what was counted.
        counts = groups[row["organization_id"], row["vmta"], row["recipient_domain"]]
        counts["deferrals"] += row["n"]
        counts["greylisted_too_long"] = row["n"]
    groups = {key: counts for key, counts in groups.items() if counts["deferrals"]}
    ids = await find_own_vmtas([(key[0], key[1]) for key in groups], with_shared=True)
    return [
        Measure(
            key[0],
            str(queue_id(key[0], ids[key[0], key[1]], key[2])),
            f"{key[1]}/{key[2]}",
            rate(counts["deferrals"], _attempts(counts)),
            _attempts(counts),
            _seen(counts, "delivered", "deferrals", "greylisted", *_if_any(counts)),
        )
        for key, counts in groups.items()
        if (key[0], key[1]) in ids
    ]


def _if_any(counts: Mapping[str, int]) -> Sequence[str]:
    return ("greylisted_too_long",) if "greylisted_too_long" in counts else ()


async def _volume(sums: Sums) -> list[Measure]:
    groups = {k: c["accepted"] for k, c in _grouped(sums, "api_key").items() if c["accepted"]}
    usual = await usual_per_hour([(key[0], key[1]) for key in groups])
    return [
        Measure(
            key[0],
            key[1],
            key[1],
            round(accepted / usual[key], 2),
            accepted,
            {"accepted": accepted, "usual_per_hour": round(usual[key], 2)},
        )
        for key, accepted in groups.items()
        # Without a week behind it, nothing is unusual.
        if usual.get(key)
    ]


async def _complaints(window: timedelta) -> list[Measure]:
    rows = await complained_about(clock.now() - window)
    ids = await find_domains_named([(row["organization_id"], row["domain"]) for row in rows])
    return [
        Measure(
            row["organization_id"],
            str(ids[row["organization_id"], row["domain"]]),
            row["domain"],
            rate(row["complained"], row["delivered"]),
            row["delivered"],
            _seen(row, "delivered", "complained"),
        )
        for row in rows
        if (row["organization_id"], row["domain"]) in ids
    ]


async def _listings(window: timedelta) -> list[Measure]:
    return [
        Measure(
            row["organization_id"],
            str(row["vmta_id"]),
            row["name"],
            row["n"],
            row["n"],
            {"ip": row["ip_address"], "zones": row["zones"]},
        )
        for row in await severe_listings()
    ]


async def _noted(rules: Sequence[Rule]) -> dict[str, list[Measure]]:
    now = clock.now()
    found = await abuse.noted_since(*((now - rule.window, KINDS[rule.metric]) for rule in rules))
    return {
        rule.key: [
            Measure(
                each.organization_id,
                each.subject,
                each.subject,
                each.count,
                each.count,
                each.by_kind,
            )
            for each in noted
        ]
        for rule, noted in zip(rules, found, strict=True)
    }


async def _infected(window: timedelta) -> list[Measure]:
    return [
        Measure(
            row["organization_id"],
            str(row["api_key_id"]),
            str(row["api_key_id"]),
            row["n"],
            row["n"],
            {"messages": [str(id) for id in row["messages"]], "threats": row["threats"]},
        )
        for row in await infected_by_key(clock.now() - window)
    ]


async def _traps(window: timedelta) -> list[Measure]:
    return [
        Measure(
            row["organization_id"],
            str(row["vmta_id"]),
            row["name"],
            row["n"],
            row["n"],
            {"reply": row["reply"]},
        )
        for row in await spamtrap_hits(clock.now() - window)
    ]


_OF_SUMS = {
    Metric.HARD_BOUNCE_RATE: _bounces,
    Metric.BLOCK_RATE: _blocks,
    Metric.VOLUME_RATIO: _volume,
    Metric.MAIL_AUTH_FAILURE_RATE: _unauthenticated,
}
_OF_PROJECTS = {Metric.HARD_BOUNCE_RATE: _project_bounces}
_OTHERS = {
    Metric.COMPLAINT_RATE: _complaints,
    Metric.SEVERE_LISTINGS: _listings,
    Metric.INFECTED_MESSAGES: _infected,
    Metric.SPAMTRAP_HITS: _traps,
}
