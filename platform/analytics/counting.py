"""What one event adds to the counts: a decision without I/O.

It is made for every event there is, and beside the sending of mail: what is here is written
to take little time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from ..core.actor import OrganizationId, ProjectId
from ..delivery.isps import isp_of
from ..events.rules import EventType
from ..mail.outcome import BounceClass, BounceType, Verdict, is_greylisting
from .rules import latency_counter

ENTRIES = frozenset({EventType.MESSAGE_QUEUED, EventType.MESSAGE_SUPPRESSED})
ENDS_ATTEMPT = frozenset(
    {EventType.MESSAGE_DELIVERED, EventType.MESSAGE_DEFERRED, EventType.MESSAGE_BOUNCED}
)
ENGAGEMENT = frozenset({EventType.MESSAGE_OPENED, EventType.MESSAGE_CLICKED})
COUNTED = (
    frozenset(
        {
            EventType.MESSAGE_EXPIRED,
            EventType.MESSAGE_CANCELLED,
            EventType.MESSAGE_COMPLAINED,
            EventType.MESSAGE_UNSUBSCRIBED,
        }
    )
    | ENTRIES
    | ENDS_ATTEMPT
    | ENGAGEMENT
)
"""Events that change a count."""

AT_THEIR_OWN_TIME = ENGAGEMENT | {EventType.MESSAGE_COMPLAINED}
BOUNCES = {
    BounceType.HARD: "hard_bounced",
    BounceType.SOFT: "soft_bounced",
    BounceType.BLOCK: "blocked",
}


class Told(NamedTuple):
    """One event, as far as it counts."""

    position: int
    message_id: UUID
    delivery_id: UUID | None
    type: str
    occurred_at: datetime
    data: dict[str, Any]


def told(row: Mapping[str, Any]) -> Told | None:
    """Return the event of a row; None if it counts for nothing."""
    if row["type"] not in COUNTED or row["simulated"] or row["message_id"] is None:
        return None
    data = row["data"]
    return Told(
        row["position"],
        row["message_id"],
        row["delivery_id"],
        row["type"],
        row["occurred_at"],
        msgspec.json.decode(data) if isinstance(data, str) else data,
    )


class Traits(NamedTuple):
    """What mail is told apart by, and what does not change on its way."""

    organization_id: OrganizationId
    project_id: ProjectId
    domain: str
    recipient_domain: str
    pool: str
    tags: tuple[str, ...]
    batch_id: str
    stream: str
    api_key: str
    template: str


@dataclass(frozen=True, slots=True)
class Mail:
    """One recipient of one message."""

    traits: Traits
    accepted_at: datetime
    due_at: datetime
    """When it was to be sent: latencies begin there."""
    mx_host: str | None
    """Of the last attempt."""


class Place(NamedTuple):
    """Where an attempt went."""

    vmta: str
    mx_host: str | None


NOWHERE = Place("", None)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was known of a delivery: the positions of its first events, and where it went."""

    first_attempt: int | None = None
    """Of whatever ended the first that is known of, if only by giving the mail up."""
    first_deferral: int | None = None
    place: Place = NOWHERE
    """Of its delivery, or else of its first attempt."""
    engaged_before: bool = False
    """There is an earlier event of the same type."""


UNSEEN = Seen()

Added = tuple[tuple[str, int], ...]
"""Counters, and what is added to each."""


class Part(NamedTuple):
    """What is added to the counts of some mail at some time."""

    at: datetime
    isp: str
    vmta: str
    """Empty before the first attempt, for until then it is not said where it will go; and of
    failures that are ours and no receiver's."""
    bounce_class: str
    added: Added


def needs_history(event: Told) -> bool:
    """Whether what *event* adds depends on what happened to its delivery before."""
    if event.type in ENDS_ATTEMPT:
        return event.data.get("attempt") != 1 or event.data.get("source") == "dsn"
    return event.type not in ENTRIES


def parts_of(event: Told, mail: Mail, seen: Seen = UNSEEN) -> Iterator[Part]:
    """Yield what *event* adds; late events take back what earlier ones added."""
    if event.type in ENTRIES:
        isp = _isp(mail.traits.recipient_domain, None)
        added = ACCEPTED if event.type == EventType.MESSAGE_QUEUED else SUPPRESSED
        yield Part(mail.accepted_at, isp, "", "", added)
    elif event.type in ENDS_ATTEMPT and event.data.get("source") != "dsn":
        yield from _attempt(event, mail, seen)
    else:
        yield from _later(event, mail, seen)


ACCEPTED: Added = (("accepted", 1),)
SUPPRESSED: Added = (("accepted", 1), ("suppressed", 1))
NOT_ACCEPTED: Added = (("accepted", -1),)
BEGUN: Added = (("accepted", 1), ("sent", 1))
DEFERRED: Added = (("deferrals", 1),)
GREYLISTED: Added = (("deferrals", 1), ("greylisted", 1))


def _attempt(event: Told, mail: Mail, seen: Seen) -> Iterator[Part]:
    data, domain, at = event.data, mail.traits.recipient_domain, mail.accepted_at
    vmta = data.get("vmta") or ""
    isp = _isp(domain, data.get("mx_host"))
    is_first = data.get("attempt") == 1
    begun: Added = ()
    if is_first or seen.first_attempt == event.position:
        # Where it goes is known from here on, and what was accepted goes with it.
        yield Part(at, _isp(domain, None), "", "", NOT_ACCEPTED)
        begun = BEGUN
    if event.type == EventType.MESSAGE_DELIVERED:
        seconds = (event.occurred_at - mail.due_at).total_seconds()
        yield Part(at, isp, vmta, "", (*begun, ("delivered", 1), (latency_counter(seconds), 1)))
    elif event.type == EventType.MESSAGE_BOUNCED:
        name, bounce_class = _bounce(data.get("bounce_class"), Verdict.BOUNCED)
        yield Part(at, isp, vmta, "", begun)
        yield Part(at, isp, _failed_at(data, vmta), bounce_class, ((name, 1),))
    else:
        _, bounce_class = _bounce(data.get("bounce_class"), Verdict.DEFERRED)
        if is_first or seen.first_deferral == event.position:
            begun = (*begun, ("deferred", 1))
        yield Part(at, isp, vmta, "", begun)
        greylisted = is_greylisting(data.get("smtp_code"), data.get("smtp_response") or "")
        added = GREYLISTED if greylisted else DEFERRED
        yield Part(at, isp, _failed_at(data, vmta), bounce_class, added)


def _later(event: Told, mail: Mail, seen: Seen) -> Iterator[Part]:
    vmta, mx_host = seen.place
    isp = _isp(mail.traits.recipient_domain, mx_host or (None if vmta else mail.mx_host))
    at = event.occurred_at if event.type in AT_THEIR_OWN_TIME else mail.accepted_at
    if seen.first_attempt == event.position:
        # Its only attempt was its last: it went out, and was given up at once.
        yield Part(at, _isp(mail.traits.recipient_domain, None), "", "", NOT_ACCEPTED)
        yield Part(at, isp, vmta, "", BEGUN)
    if event.type == EventType.MESSAGE_BOUNCED:
        name, bounce_class = _bounce(event.data.get("bounce_class"), Verdict.BOUNCED)
        yield Part(at, isp, vmta, "", (("delivered", -1),))
        yield Part(at, isp, vmta, bounce_class, ((name, 1),))
    elif event.type == EventType.MESSAGE_EXPIRED:
        name, bounce_class = _bounce(event.data.get("bounce_class"), Verdict.DEFERRED)
        yield Part(at, isp, vmta, "", (("expired", 1),))
        yield Part(at, isp, _failed_at(event.data, vmta), bounce_class, ((name, 1),))
    elif event.type == EventType.MESSAGE_OPENED:
        yield Part(at, isp, vmta, "", _engaged("opens", "machine_opens", event.data, seen))
    elif event.type == EventType.MESSAGE_CLICKED:
        yield Part(at, isp, vmta, "", _engaged("clicks", "bot_clicks", event.data, seen))
    else:
        yield Part(at, isp, vmta, "", ((AS_NAMED[event.type], 1),))


def _failed_at(data: Mapping[str, Any], vmta: str) -> str:
    """Return what a failure is held against: nothing, if it was ours and nobody was asked."""
    return "" if data.get("local") else vmta


AS_NAMED: Mapping[str, str] = {
    EventType.MESSAGE_CANCELLED: "cancelled",
    EventType.MESSAGE_COMPLAINED: "complained",
    EventType.MESSAGE_UNSUBSCRIBED: "unsubscribed",
}


def _engaged(people: str, machines: str, data: Mapping[str, Any], seen: Seen) -> Added:
    by_machine = bool(data.get("machine_open") or data.get("bot"))
    added = [(machines if by_machine else people, 1)]
    if data.get("first"):
        if not by_machine:
            added.append((f"unique_{people}", 1))
        if not seen.engaged_before:
            added.append((f"all_unique_{people}", 1))
    return tuple(added)


@lru_cache(maxsize=100)
def _bounce(name: str | None, verdict: Verdict) -> tuple[str, str]:
    """Return the counter of a failure, and its class."""
    try:
        found = BounceClass(name or BounceClass.UNCLASSIFIED)
    except ValueError:
        found = BounceClass.UNCLASSIFIED
    return BOUNCES[found.type_for(verdict)], found.value


@lru_cache(maxsize=10_000)
def _isp(domain: str, mx_host: str | None) -> str:
    return isp_of(domain, mx_host).value


class Key(NamedTuple):
    """Which mail is counted together: all of one kind, or `full`, told apart by everything."""

    organization_id: UUID
    project_id: UUID
    kind: str
    key: str = ""
    isp: str = ""
    domain: str = ""
    recipient_domain: str = ""
    vmta: str = ""
    pool: str = ""
    tags: tuple[str, ...] = ()
    batch_id: str = ""
    stream: str = ""
    api_key: str = ""
    template: str = ""
    bounce_class: str = ""


ALL = "all"
FULL = "full"


@lru_cache(maxsize=20_000)
def keys_of(traits: Traits, isp: str, vmta: str, bounce_class: str) -> tuple[Key, ...]:
    """Return every set that mail is counted in; the first is that of all mail."""
    owner, project = traits.organization_id, traits.project_id
    values = (
        ("domain", traits.domain),
        ("recipient_domain", traits.recipient_domain),
        ("isp", isp),
        ("vmta", vmta),
        ("pool", traits.pool),
        ("batch_id", traits.batch_id),
        ("stream", traits.stream),
        ("api_key", traits.api_key),
        ("template", traits.template),
        *(("tag", tag) for tag in traits.tags),
    )
    found = [Key(owner, project, ALL)]
    found += (Key(owner, project, kind, value) for kind, value in values if value)
    if bounce_class:
        found.append(Key(owner, project, "bounce_class", bounce_class, isp))
    found.append(
        Key(
            owner,
            project,
            FULL,
            isp=isp,
            domain=traits.domain,
            recipient_domain=traits.recipient_domain,
            vmta=vmta,
            pool=traits.pool,
            tags=traits.tags,
            batch_id=traits.batch_id,
            stream=traits.stream,
            api_key=traits.api_key,
            template=traits.template,
            bounce_class=bounce_class,
        )
    )
    return tuple(found)
