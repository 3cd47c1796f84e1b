"""Why mail failed: by class, with what receivers said."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..core.actor import Actor
from ..core.database import fetch
from ..delivery.isps import isp_of
from ..mail.outcome import BounceClass, BounceType, Verdict
from .counting import BOUNCES
from .queries import Asked, read_failures
from .rules import Dimension, per_cent

LOOKED_AT = 2_000
"""Failures that samples are taken from: the last ones of the stretch."""
LATE = timedelta(days=11)
"""How long after its acceptance a message may still fail."""
MOST_ISPS = 5

ADVICE = {
    BounceClass.INVALID_RECIPIENT: "Remove these addresses; they are suppressed already.",
    BounceClass.INACTIVE_MAILBOX: "Nobody reads these mailboxes any more; remove them.",
    BounceClass.BAD_DOMAIN: "Check these domains for typing errors, and remove the addresses.",
    BounceClass.MAILBOX_FULL: "Nothing to do at once; who stays full for weeks has left.",
    BounceClass.TEMPORARY_FAILURE: "The receivers had trouble; look whether it goes on.",
    BounceClass.CONNECTION_FAILURE: "The receivers could not be reached; look at their domains, "
    "and at this machine's network if there are many.",
    BounceClass.RATE_LIMITED: "Send more slowly to these providers, or warm the address up.",
    BounceClass.AUTH_FAILURE: "Check the SPF, DKIM, DMARC and PTR records of the sending domain.",
    BounceClass.CONTENT_REJECTED: "Look at what the message says, links to and attaches.",
    BounceClass.REPUTATION_BLOCK: "An address or domain is listed: find the list in the reply, "
    "mend the cause, then ask to be taken off.",
    BounceClass.POLICY_REJECTED: "Read the replies: the receivers refuse this sender, size or "
    "kind of mail.",
    BounceClass.UNCLASSIFIED: "Read the replies; they say nothing that is known.",
}

SAMPLES = """
    SELECT event.data, event.occurred_at, message.sender_domain, message.tags, message.batch_id,
        message.stream, message.pool, delivery.domain, event.data->>'vmta' AS vmta
    FROM events AS event JOIN messages AS message ON message.id = event.message_id
    JOIN deliveries AS delivery ON delivery.id = event.delivery_id
    WHERE event.organization_id = {} AND event.type IN ('message.bounced', 'message.expired')
    AND event.occurred_at >= {} AND event.occurred_at < {} AND NOT event.simulated
    AND message.created_at >= {} AND message.created_at < {}
    AND ({}::uuid IS NULL OR event.project_id = {})
    ORDER BY event.occurred_at DESC LIMIT {}
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What receivers said, in the same words."""

    code: int | None
    enhanced_code: str | None
    text: str
    """Without addresses."""
    count: int
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """One class of failures."""

    bounce_class: BounceClass
    type: BounceType
    count: int
    per_cent: float | None
    suppressed: int
    """Recipients whose address gets no more mail since: those that failed hard."""
    top_isps: Sequence[tuple[str, int]]
    samples: Sequence[Sample]
    advice: str


@dataclass(frozen=True, slots=True)
class Reasons:
    """All of them."""

    total: int
    by_type: Mapping[BounceType, int]
    classes: Sequence[Reason]


async def bounce_reasons(
    actor: Actor,
    asked: Asked,
    *,
    type: BounceType | None = None,
    bounce_class: BounceClass | None = None,
    with_deferrals: bool = False,
    samples: int = 3,
) -> Reasons:
    """Return why mail failed, the most frequent classes first.

    Samples are of the last 2,000 failures; *with_deferrals* also counts failures that were
    not final, each one.
    """
    counts: dict[BounceClass, Counter[BounceType]] = {}
    isps: dict[BounceClass, Counter[str]] = {}
    for sums in await read_failures(actor, asked):
        found = BounceClass(sums.key)
        if bounce_class is not None and found is not bounce_class:
            continue
        by_type = _by_type(found, sums.counts, with_deferrals=with_deferrals)
        if type is not None:
            by_type = Counter({type: by_type[type]})
        counts.setdefault(found, Counter()).update(by_type)
        isps.setdefault(found, Counter())[sums.isp] += by_type.total()
    said = await _samples(actor, asked, most=samples) if samples and counts else {}
    total = sum(each.total() for each in counts.values())
    rows = [
        Reason(
            bounce_class=found,
            type=by_type.most_common(1)[0][0],
            count=by_type.total(),
            per_cent=per_cent(by_type.total(), total),
            suppressed=by_type[BounceType.HARD],
            top_isps=[(isp, n) for isp, n in isps[found].most_common(MOST_ISPS) if n > 0],
            samples=said.get(found, ()),
            advice=ADVICE[found],
        )
        for found, by_type in counts.items()
        if by_type.total() > 0
    ]
    rows.sort(key=lambda row: (-row.count, row.bounce_class))
    sums_by_type: Counter[BounceType] = sum(counts.values(), Counter())
    return Reasons(total, {each: sums_by_type[each] for each in BounceType}, rows)


def _by_type(
    found: BounceClass, counts: Mapping[str, int], *, with_deferrals: bool
) -> Counter[BounceType]:
    by_type = Counter({each: counts.get(name, 0) for each, name in BOUNCES.items()})
    if with_deferrals:
        by_type[found.type_for(Verdict.DEFERRED)] += counts.get("deferrals", 0)
    return by_type


async def _samples(actor: Actor, asked: Asked, *, most: int) -> dict[BounceClass, list[Sample]]:
    window = asked.window
    rows = await fetch(
        SAMPLES,
        actor.organization_id,
        window.start,
        window.end + LATE,
        window.start,
        window.end + timedelta(minutes=1),
        actor.project_id,
        actor.project_id,
        LOOKED_AT,
    )
    seen: dict[BounceClass, dict[tuple[int | None, str | None, str], list[datetime]]] = {}
    for row in rows:
        data = json.loads(row["data"])
        if _matches(row, data, asked):
            place = seen.setdefault(_class(data), {})
            key = (
                data.get("smtp_code"),
                data.get("enhanced_code"),
                without_addresses(data.get("smtp_response") or ""),
            )
            place.setdefault(key, []).append(row["occurred_at"])
    return {
        found: [
            Sample(*key, len(times), max(times))
            for key, times in sorted(texts.items(), key=lambda each: (-len(each[1]), each[0][2]))
        ][:most]
        for found, texts in seen.items()
    }


def _matches(row: Mapping[str, Any], data: Mapping[str, Any], asked: Asked) -> bool:
    isp = isp_of(row["domain"], data.get("mx_host"))
    values = {
        Dimension.DOMAIN: [row["sender_domain"]],
        Dimension.RECIPIENT_DOMAIN: [row["domain"]],
        Dimension.ISP: [isp.value],
        Dimension.VMTA: [data.get("vmta")],
        Dimension.POOL: [row["pool"]],
        Dimension.TAG: row["tags"],
        Dimension.BATCH_ID: [row["batch_id"]],
        Dimension.STREAM: [row["stream"]],
    }
    return all(set(values[name]) & set(wanted) for name, wanted in asked.filters.items())


def _class(data: Mapping[str, Any]) -> BounceClass:
    try:
        return BounceClass(data.get("bounce_class") or BounceClass.UNCLASSIFIED)
    except ValueError:
        return BounceClass.UNCLASSIFIED


_ADDRESS = re.compile(r"[^\s<>\"'(),;:=\[\]]+@[^\s<>\"'(),;:\[\]]+")
_CODES = re.compile(r"^\s*(?:[245]\d\d[ -]+)?(?:[245]\.\d{1,3}\.\d{1,3}\s+)?")
LONGEST = 300


def without_addresses(text: str) -> str:
    """Return a reply without its codes and without anybody's address."""
    return _ADDRESS.sub("<address>", _CODES.sub("", text, count=1))[:LONGEST].strip()
