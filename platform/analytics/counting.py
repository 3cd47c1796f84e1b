"""What one event adds to the counts: a decision without I/O."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from ..core.actor import OrganizationId, ProjectId
from ..delivery.isps import isp_of
from ..events.rules import EventType
from ..events.tables import Event
from ..mail.outcome import BounceClass, BounceType, Verdict
from .rules import latency_counter

ENDS_ATTEMPT = frozenset(
    {EventType.MESSAGE_DELIVERED, EventType.MESSAGE_DEFERRED, EventType.MESSAGE_BOUNCED}
)
ENGAGEMENT = frozenset({EventType.MESSAGE_OPENED, EventType.MESSAGE_CLICKED})
COUNTED = (
    frozenset(
        {
            EventType.MESSAGE_QUEUED,
            EventType.MESSAGE_SUPPRESSED,
            EventType.MESSAGE_EXPIRED,
            EventType.MESSAGE_CANCELLED,
            EventType.MESSAGE_COMPLAINED,
            EventType.MESSAGE_UNSUBSCRIBED,
        }
    )
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


@dataclass(frozen=True, slots=True)
class Mail:
    """What the message and the recipient of an event are counted by."""

    organization_id: OrganizationId
    project_id: ProjectId
    accepted_at: datetime
    due_at: datetime
    """When it was to be sent: latencies begin there."""
    domain: str
    recipient_domain: str
    pool: str
    tags: tuple[str, ...]
    batch_id: str
    stream: str
    api_key: str
    template: str
    mx_host: str | None
    """Of the last attempt."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an attempt went."""

    vmta: str
    mx_host: str | None


NOWHERE = Place("", None)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was known of a delivery: the positions of its first events, and where it went."""

    first_attempt: int | None = None
    first_deferral: int | None = None
    place: Place = NOWHERE
    """Of its delivery, or else of its first attempt."""
    engaged_before: bool = False
    """There is an earlier event of the same type."""


UNSEEN = Seen()


@dataclass(frozen=True, slots=True)
class Contribution:
    """What is added to the counts of some mail at some time."""

    at: datetime
    isp: str
    vmta: str
    """Empty before the first attempt: until then it is not said where it will go."""
    bounce_class: str
    counts: tuple[tuple[str, int], ...]


def needs_history(event: Event, data: dict[str, Any]) -> bool:
    """Whether what *event* adds depends on what happened to its delivery before."""
    if event.type in ENDS_ATTEMPT:
        return data.get("attempt") != 1 or data.get("source") == "dsn"
    return event.type not in (EventType.MESSAGE_QUEUED, EventType.MESSAGE_SUPPRESSED)


def data_of(event: Event) -> dict[str, Any]:
    """Return the data of an event, whether or not the database has been asked to read it."""
    data = event.data
    found: dict[str, Any] = json.loads(data) if isinstance(data, str) else data
    return found


def contributions(
    event: Event, data: dict[str, Any], mail: Mail, seen: Seen = UNSEEN
) -> Iterator[Contribution]:
    """Yield what *event* adds; late events take back what earlier ones added."""
    unsent = Contribution(mail.accepted_at, _isp(mail.recipient_domain, None), "", "", ())
    if event.type == EventType.MESSAGE_QUEUED:
        yield replace(unsent, counts=(("accepted", 1),))
    elif event.type == EventType.MESSAGE_SUPPRESSED:
        yield replace(unsent, counts=(("accepted", 1), ("suppressed", 1)))
    elif event.type in ENDS_ATTEMPT and data.get("source") != "dsn":
        yield from _attempt(event, data, mail, seen, unsent)
    else:
        yield from _later(event, data, mail, seen)


def _attempt(
    event: Event, data: dict[str, Any], mail: Mail, seen: Seen, unsent: Contribution
) -> Iterator[Contribution]:
    there = _at(mail, Place(data.get("vmta") or "", data.get("mx_host")))
    is_first = data.get("attempt") == 1
    if is_first or seen.first_attempt == event.position:
        # Where it goes is known from here on, and what was accepted goes with it.
        yield replace(unsent, counts=(("accepted", -1),))
        yield replace(there, counts=(("accepted", 1), ("sent", 1)))
    if event.type == EventType.MESSAGE_DELIVERED:
        seconds = (event.occurred_at - mail.due_at).total_seconds()
        yield replace(there, counts=(("delivered", 1), (latency_counter(seconds), 1)))
    elif event.type == EventType.MESSAGE_BOUNCED:
        name, bounce_class = _bounce(data, Verdict.BOUNCED)
        yield replace(there, bounce_class=bounce_class, counts=((name, 1),))
    else:
        _, bounce_class = _bounce(data, Verdict.DEFERRED)
        yield replace(there, bounce_class=bounce_class, counts=(("deferrals", 1),))
        if is_first or seen.first_deferral == event.position:
            yield replace(there, counts=(("deferred", 1),))


def _later(event: Event, data: dict[str, Any], mail: Mail, seen: Seen) -> Iterator[Contribution]:
    there = _at(mail, seen.place)
    if event.type in AT_THEIR_OWN_TIME:
        there = replace(there, at=event.occurred_at)
    if event.type == EventType.MESSAGE_BOUNCED:
        name, bounce_class = _bounce(data, Verdict.BOUNCED)
        yield replace(there, counts=(("delivered", -1),))
        yield replace(there, bounce_class=bounce_class, counts=((name, 1),))
    elif event.type == EventType.MESSAGE_EXPIRED:
        name, bounce_class = _bounce(data, Verdict.DEFERRED)
        yield replace(there, counts=(("expired", 1),))
        yield replace(there, bounce_class=bounce_class, counts=((name, 1),))
    elif event.type == EventType.MESSAGE_CANCELLED:
        yield replace(there, counts=(("cancelled", 1),))
    elif event.type == EventType.MESSAGE_COMPLAINED:
        yield replace(there, counts=(("complained", 1),))
    elif event.type == EventType.MESSAGE_UNSUBSCRIBED:
        yield replace(there, counts=(("unsubscribed", 1),))
    elif event.type == EventType.MESSAGE_OPENED:
        yield replace(there, counts=_engaged("opens", "machine_opens", data, seen))
    elif event.type == EventType.MESSAGE_CLICKED:
        yield replace(there, counts=_engaged("clicks", "bot_clicks", data, seen))


def _engaged(
    people: str, machines: str, data: dict[str, Any], seen: Seen
) -> tuple[tuple[str, int], ...]:
    by_machine = bool(data.get("machine_open") or data.get("bot"))
    counts = [(machines if by_machine else people, 1)]
    if data.get("first"):
        if not by_machine:
            counts.append((f"unique_{people}", 1))
        if not seen.engaged_before:
            counts.append((f"all_unique_{people}", 1))
    return tuple(counts)


def _at(mail: Mail, place: Place) -> Contribution:
    isp = _isp(mail.recipient_domain, place.mx_host or (None if place.vmta else mail.mx_host))
    return Contribution(mail.accepted_at, isp, place.vmta, "", ())


def _bounce(data: dict[str, Any], verdict: Verdict) -> tuple[str, str]:
    """Return the counter of a failure, and its class."""
    try:
        found = BounceClass(data.get("bounce_class") or BounceClass.UNCLASSIFIED)
    except ValueError:
        found = BounceClass.UNCLASSIFIED
    return BOUNCES[found.type_for(verdict)], found.value


@lru_cache(maxsize=10_000)
def _isp(domain: str, mx_host: str | None) -> str:
    return isp_of(domain, mx_host).value


@dataclass(frozen=True, slots=True)
class Key:
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


def keys_of(mail: Mail, part: Contribution) -> Iterator[Key]:
    """Yield every set that *part* is counted in."""
    owner, project = mail.organization_id, mail.project_id
    yield Key(owner, project, ALL)
    values = (
        ("domain", mail.domain),
        ("recipient_domain", mail.recipient_domain),
        ("isp", part.isp),
        ("vmta", part.vmta),
        ("pool", mail.pool),
        ("batch_id", mail.batch_id),
        ("stream", mail.stream),
        ("api_key", mail.api_key),
        ("template", mail.template),
        *(("tag", tag) for tag in mail.tags),
    )
    for kind, value in values:
        if value:
            yield Key(owner, project, kind, value)
    if part.bounce_class:
        yield Key(owner, project, "bounce_class", part.bounce_class, part.isp)
    yield Key(
        owner,
        project,
        FULL,
        isp=part.isp,
        domain=mail.domain,
        recipient_domain=mail.recipient_domain,
        vmta=part.vmta,
        pool=mail.pool,
        tags=mail.tags,
        batch_id=mail.batch_id,
        stream=mail.stream,
        api_key=mail.api_key,
        template=mail.template,
        bounce_class=part.bounce_class,
    )
