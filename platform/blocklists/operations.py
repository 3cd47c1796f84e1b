"""Asking lists on demand, and forgetting what they said."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch, transaction
from ..core.errors import Detail, DetailCode, InvalidInput
from ..security import limits
from ..vmtas.queries import find_by_address
from .asking import Answer, ask_lists
from .catalogue import enabled_lists, known_lists
from .errors import NoListAnswers
from .keeping import keep_answers, kept_answers
from .rules import (
    FAULTS,
    MOST_ZONES,
    Blocklist,
    Fault,
    Kind,
    Status,
    Subject,
    Verdict,
    is_public,
    read_address,
    read_domain,
)
from .work import note_vmta


@dataclass(frozen=True, slots=True)
class Checked:
    """What lists say of a subject."""

    subject: Subject
    vmta_id: uuid.UUID | None
    """The organization's vMTA with that address, if there is one."""
    answers: Sequence[Answer]
    checked_at: datetime

    def count(self, *statuses: Status) -> int:
        """Return how many lists answered so."""
        return sum(each.verdict.status in statuses for each in self.answers)


async def check_blocklists(
    actor: Actor,
    *,
    ip: str | None = None,
    domain: str | None = None,
    zones: Sequence[str] | None = None,
    use_cache: bool = True,
) -> Checked:
    """Return what lists say of an address or a domain; it takes eight seconds at most.

    What they say of the address of one of the organization's vMTAs is noted with it.

    Raises:
        InvalidInput: no public address or domain, or a list that is not asked here.
        TooManyRequests: 60 looks were made within a minute.
        NoListAnswers: none of the lists gave an answer.
    """
    actor.require(Permission.SCAN)
    details: list[Detail] = []
    subject = _read_subject(ip, domain, details)
    lists = _chosen(zones, details)
    if details or subject is None:
        raise InvalidInput.all(details)
    await limits.count(limits.CHECK_BLOCKLISTS, str(actor.organization_id))
    kept: Mapping[str, Answer] = {}
    if use_cache:
        kept = await kept_answers(actor.organization_id, subject, lists)
    failing = await failing_zones([each.zone for each in lists])
    asked = [each for each in lists if each.zone not in kept and each.zone not in failing]
    fresh = {each.blocklist.zone: each for each in await ask_lists(subject, asked)}
    await keep_answers(actor.organization_id, subject, list(fresh.values()))
    answers = [
        kept.get(each.zone) or fresh.get(each.zone) or _distrusted(each, failing[each.zone])
        for each in lists
    ]
    counted = {Status.LISTED, Status.NOT_LISTED, Status.UNSUPPORTED}
    if answers and not any(each.verdict.status in counted for each in answers):
        raise NoListAnswers
    vmta_id = None
    if subject.kind is not Kind.DOMAIN:
        vmta_id = await find_by_address(actor, subject.text)
        if vmta_id is not None:
            await note_vmta(vmta_id, subject.text, list(fresh.values()))
    return Checked(subject, vmta_id, answers, clock.now())


def _read_subject(ip: str | None, domain: str | None, details: list[Detail]) -> Subject | None:
    if (ip is None) is (domain is None):
        message = "Write one address or one domain."
        details.append(Detail("ip", DetailCode.REQUIRED, message))
        return None
    if domain is not None:
        subject = read_domain(domain)
        if subject is None:
            message = "This is not a domain name."
            details.append(Detail("domain", DetailCode.INVALID_DOMAIN, message))
        return subject
    subject = read_address(ip or "")
    if subject is None:
        details.append(Detail("ip", DetailCode.INVALID_IP, "This is not an IP address."))
    elif not is_public(subject):
        message = "No list knows an address that is not public."
        details.append(Detail("ip", DetailCode.NOT_PUBLIC_IP, message))
    return subject


def _chosen(zones: Sequence[str] | None, details: list[Detail]) -> list[Blocklist]:
    enabled, known = enabled_lists(), known_lists()
    if zones is None:
        return list(enabled.values())
    if len(zones) > MOST_ZONES:
        message = f"Name at most {MOST_ZONES} lists."
        details.append(Detail("blocklists", DetailCode.TOO_MANY, message))
        return []
    names = [zone.strip().rstrip(".").lower() for zone in zones]
    for nth, name in enumerate(names):
        if name not in known:
            message = "There is no such list."
            details.append(Detail(f"blocklists[{nth}]", DetailCode.NOT_FOUND, message))
        elif name not in enabled:
            message = "This list is not asked here; its operator's terms may not allow it."
            details.append(Detail(f"blocklists[{nth}]", DetailCode.NOT_ALLOWED, message))
    return [enabled[name] for name in dict.fromkeys(names) if name in enabled]


async def failing_zones(zones: Sequence[str]) -> Mapping[str, Fault]:
    """Return which of the lists failed their last test, and how."""
    rows = await fetch(
        "SELECT zone, fault FROM blocklist_tests WHERE zone = ANY({}::text[]) "
        "AND fault IS NOT NULL",
        list(zones),
    )
    return {row["zone"]: Fault(row["fault"]) for row in rows}


def _distrusted(blocklist: Blocklist, fault: Fault) -> Answer:
    return Answer(blocklist, Verdict(Status.ERROR, problem=FAULTS[fault]), FAULTS[fault])


@dataclass(frozen=True, slots=True)
class Cleared:
    """Answers that were forgotten."""

    count: int
    """Those that still held."""
    subject: str | None
    zone: str | None


async def clear_blocklist_cache(
    actor: Actor, *, subject: str | None = None, zone: str | None = None
) -> Cleared:
    """Forget what lists told the organization.

    *subject* is the only address or domain that it is about, *zone* the only list it is from.

    Raises:
        InvalidInput: no address or domain, or no such list.
        TooManyRequests: it was done 6 times within an hour.
    """
    actor.require(Permission.WRITE_SECURITY)
    details: list[Detail] = []
    about = None
    if subject is not None:
        about = read_address(subject) or read_domain(subject)
        if about is None:
            details.append(Detail("ip", DetailCode.INVALID_IP, "This is not an IP address."))
    name = zone.strip().rstrip(".").lower() if zone is not None else None
    if name is not None and name not in known_lists():
        details.append(Detail("zone", DetailCode.NOT_FOUND, "There is no such list."))
    if details:
        raise InvalidInput.all(details)
    await limits.count(limits.CLEAR_BLOCKLIST_ANSWERS, str(actor.organization_id))
    text = about.text if about is not None else None
    async with transaction() as tx:
        rows = await fetch(
            "WITH gone AS (DELETE FROM blocklist_answers WHERE organization_id = {} "
            "AND ({}::text IS NULL OR subject = {}) AND ({}::text IS NULL OR zone = {}) "
            "RETURNING expires_at) SELECT count(*) FILTER (WHERE expires_at > {}) AS n FROM gone",
            actor.organization_id,
            text,
            text,
            name,
            name,
            clock.now(),
        )
        await record(
            tx,
            actor,
            action="dnsbl.cache_cleared",
            target_type="blocklist",
            target_id=name or "all",
            changes={"ip": text, "cleared": rows[0]["n"]},
        )
    return Cleared(rows[0]["n"], text, name)
