"""What the platform does with lists for itself: tests them, and looks up the addresses of vMTAs."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ..core import clock
from ..core.database import fetch, transaction
from ..core.ids import new_id
from ..core.settings import settings
from ..events.operations import NewEvent, append
from ..events.rules import EventType
from ..vmtas.work import note_listed
from .asking import Answer, ask_lists, test_list
from .catalogue import enabled_lists
from .rules import FAULTS, TESTED_EVERY, Fault, Severity, Status, is_public, read_address
from .tables import Watch

LEASE = timedelta(minutes=5)
"""Nobody else looks an address up that somebody has begun to look up."""
AGAIN = timedelta(minutes=30)
"""When an address is looked up again that no list has answered about."""
TESTS_AT_ONCE = 20


async def test_is_due() -> bool:
    """Say whether some list that is asked was not tested for a day.

    Where nothing leaves this machine by itself, nobody is asked for nothing.
    """
    if settings().delivery != "direct":
        return False
    zones = list(enabled_lists())
    rows = await fetch(
        "SELECT count(*) AS n FROM blocklist_tests WHERE zone = ANY({}::text[]) AND tested_at > {}",
        zones,
        clock.now() - TESTED_EVERY,
    )
    return bool(rows[0]["n"] < len(zones))


async def test_lists() -> None:
    """Test every list that is asked, and write down how that ended."""
    places = asyncio.Semaphore(TESTS_AT_ONCE)
    lists = sorted(enabled_lists().values(), key=lambda each: each.zone)

    async def tested(zone: str) -> Fault | None:
        async with places:
            return await test_list(enabled_lists()[zone])

    faults = await asyncio.gather(*(tested(each.zone) for each in lists))
    for each, fault in zip(lists, faults, strict=True):
        now = clock.now()
        await fetch(
            "INSERT INTO blocklist_tests AS old (id, zone, fault, tested_at, passed_at) "
            "VALUES ({}, {}, {}, {}, {}) ON CONFLICT (zone) DO UPDATE SET "
            "fault = excluded.fault, tested_at = excluded.tested_at, "
            "passed_at = coalesce(excluded.passed_at, old.passed_at)",
            new_id(),
            each.zone,
            fault and fault.value,
            now,
            None if fault else now,
        )


async def failing_lists() -> list[tuple[str, str]]:
    """Return the zones that are asked and fail their tests, each with a sentence."""
    rows = await fetch(
        "SELECT zone, fault FROM blocklist_tests WHERE fault IS NOT NULL "
        "AND zone = ANY({}::text[]) ORDER BY zone",
        list(enabled_lists()),
    )
    return [(row["zone"], FAULTS[Fault(row["fault"])]) for row in rows]


async def due_vmtas(*, limit: int) -> Sequence[uuid.UUID]:
    """Return vMTAs whose address it is time to look up in the lists; a new one now."""
    await fetch(
        "INSERT INTO blocklist_watches (id, ip_address, next_check_at) "
        "SELECT vmtas.id, vmtas.ip_address, {} FROM vmtas LEFT JOIN blocklist_watches AS known "
        "ON known.id = vmtas.id WHERE vmtas.ip_address IS NOT NULL "
        "AND known.ip_address IS DISTINCT FROM vmtas.ip_address "
        # Ordered by id so that two workers never deadlock.
        "ORDER BY vmtas.id LIMIT {} ON CONFLICT (id) DO UPDATE "
        "SET ip_address = excluded.ip_address, next_check_at = excluded.next_check_at",
        clock.now(),
        limit,
    )
    rows = await fetch(
        "SELECT id FROM blocklist_watches WHERE next_check_at <= {} "
        "ORDER BY next_check_at LIMIT {}",
        clock.now(),
        limit,
    )
    return [row["id"] for row in rows]


async def check_vmta(vmta_id: uuid.UUID) -> None:
    """Look the address of a vMTA up in the lists, if it is time, and tell what has changed."""
    now = clock.now()
    claimed = await fetch(
        "UPDATE blocklist_watches SET next_check_at = {} WHERE id = {} AND next_check_at <= {} "
        "RETURNING id",
        now + LEASE,
        vmta_id,
        now,
    )
    if not claimed:
        return
    rows = await fetch("SELECT ip_address FROM vmtas WHERE id = {}", vmta_id)
    if not rows or rows[0]["ip_address"] is None:
        await Watch.delete().where(Watch.id == vmta_id)
        return
    address: str = rows[0]["ip_address"]
    every = timedelta(hours=settings().blocklist_hours)
    subject = read_address(address)
    if subject is None or not is_public(subject):
        await _next(vmta_id, address, every)
        return
    failing = {zone for zone, _ in await failing_lists()}
    lists = [each for each in enabled_lists().values() if each.zone not in failing]
    answers = await ask_lists(subject, lists)
    has_answer = await note_vmta(vmta_id, subject.text, answers)
    await _next(vmta_id, address, every if has_answer else AGAIN)


async def _next(vmta_id: uuid.UUID, address: str, wait: timedelta) -> None:
    """Put the next look off, unless it is about another address by now."""
    await fetch(
        "UPDATE blocklist_watches SET next_check_at = {} WHERE id = {} AND ip_address = {}",
        clock.now() + wait,
        vmta_id,
        address,
    )


async def note_vmta(vmta_id: uuid.UUID, ip: str, answers: Sequence[Answer]) -> bool:
    """Write down which lists have a vMTA's address; say whether any of them answered.

    What changed is told by an event for each list. A list that did not answer changes nothing.
    """
    listed = [each for each in answers if each.verdict.status is Status.LISTED]
    free = [each for each in answers if each.verdict.status is Status.NOT_LISTED]
    if not listed and not free:
        return False
    async with transaction() as tx:
        rows = await fetch(
            "SELECT organization_id, name FROM vmtas WHERE id = {} AND ip_address = {} "
            "FOR NO KEY UPDATE",
            vmta_id,
            ip,
        )
        if not rows:
            return True
        organization_id, name = rows[0]["organization_id"], rows[0]["name"]
        events = []
        for each in listed:
            if await _list(vmta_id, organization_id, ip, each):
                codes = list(each.verdict.codes)
                data = {"ip": ip, "zone": each.blocklist.zone, "codes": codes, "vmta": name}
                events.append((EventType.SECURITY_DNSBL_LISTED, data))
        # What is of an earlier address of the vMTA is over, too.
        gone = await fetch(
            "DELETE FROM blocklist_listings WHERE vmta_id = {} "
            "AND (ip_address <> {} OR zone = ANY({}::text[])) RETURNING ip_address, zone, codes",
            vmta_id,
            ip,
            [each.blocklist.zone for each in free],
        )
        for row in gone:
            data = {"ip": row["ip_address"], "zone": row["zone"], "codes": row["codes"]}
            events.append((EventType.SECURITY_DNSBL_DELISTED, data | {"vmta": name}))
        left = await fetch(
            "SELECT EXISTS (SELECT FROM blocklist_listings WHERE vmta_id = {}) AS found", vmta_id
        )
        await note_listed(tx, vmta_id, is_listed=left[0]["found"])
        await fetch(
            "UPDATE blocklist_watches SET checked_at = {} WHERE id = {}", clock.now(), vmta_id
        )
        if organization_id is not None:
            now = clock.now()
            await append(
                tx,
                [
                    NewEvent(organization_id, None, None, None, type, data, now)
                    for type, data in events
                ],
            )
    return True


async def _list(
    vmta_id: uuid.UUID, organization_id: uuid.UUID | None, ip: str, answer: Answer
) -> bool:
    """Write a listing down; say whether it is new."""
    now = clock.now()
    rows = await fetch(
        "INSERT INTO blocklist_listings (id, organization_id, vmta_id, ip_address, zone, "
        "severity, codes, reason, since, seen_at) VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}) "
        "ON CONFLICT (vmta_id, ip_address, zone) DO UPDATE SET codes = excluded.codes, "
        "reason = excluded.reason, seen_at = excluded.seen_at "
        # A row that was there before has been locked by this statement; a new one has not.
        "RETURNING xmax = 0 AS is_new",
        new_id(),
        organization_id,
        vmta_id,
        ip,
        answer.blocklist.zone,
        answer.blocklist.severity.value,
        list(answer.verdict.codes),
        answer.reason,
        now,
        now,
    )
    return bool(rows[0]["is_new"])


async def remove_old_answers() -> None:
    """Forget answers that hold no more."""
    await fetch("DELETE FROM blocklist_answers WHERE expires_at < {}", clock.now())


async def severe_listings() -> Sequence[Mapping[str, Any]]:
    """Return, by vMTA of an organization, on how many lists of high severity its address is."""
    return await fetch(
        "SELECT listing.organization_id, listing.vmta_id, vmta.name, listing.ip_address, "
        "count(*)::integer AS n, array_agg(zone ORDER BY zone) AS zones "
        "FROM blocklist_listings AS listing JOIN vmtas AS vmta ON vmta.id = listing.vmta_id "
        "WHERE severity = {} AND listing.organization_id IS NOT NULL "
        # What is asked no more is never taken back, nor what is of an earlier address.
        "AND vmta.ip_address = listing.ip_address AND zone = ANY({}::text[]) "
        "AND NOT EXISTS (SELECT FROM blocklist_tests AS test "
        "WHERE test.zone = listing.zone AND test.fault IS NOT NULL) GROUP BY 1, 2, 3, 4",
        Severity.HIGH.value,
        list(enabled_lists()),
    )
