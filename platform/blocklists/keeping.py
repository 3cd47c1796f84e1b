"""Answers that are kept for a while, so that nobody asks a list twice for the same."""

from collections.abc import Mapping, Sequence

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import fetch
from ..core.ids import new_id
from .asking import Answer
from .rules import LISTED_FOR, NOT_LISTED_FOR, Blocklist, Status, Subject, judge


async def kept_answers(
    organization_id: OrganizationId, subject: Subject, lists: Sequence[Blocklist]
) -> Mapping[str, Answer]:
    """Return the answers that an organization has had and that still hold, by zone."""
    rows = await fetch(
        "SELECT zone, codes, reason FROM blocklist_answers WHERE organization_id = {} "
        "AND subject = {} AND zone = ANY({}::text[]) AND expires_at > {}",
        organization_id,
        subject.text,
        [each.zone for each in lists],
        clock.now(),
    )
    by_zone = {each.zone: each for each in lists}
    return {
        row["zone"]: Answer(
            by_zone[row["zone"]],
            judge(by_zone[row["zone"]], row["codes"]),
            row["reason"],
            is_cached=True,
        )
        for row in rows
    }


async def keep_answers(
    organization_id: OrganizationId, subject: Subject, answers: Sequence[Answer]
) -> None:
    """Keep the answers that are some: listed or not, never an error."""
    lifetimes = {Status.LISTED: LISTED_FOR, Status.NOT_LISTED: NOT_LISTED_FOR}
    # In the order of zones, so that two who ask the same never deadlock.
    kept = sorted(
        (each for each in answers if each.verdict.status in lifetimes),
        key=lambda each: each.blocklist.zone,
    )
    now = clock.now()
    for each in kept:
        await fetch(
            "INSERT INTO blocklist_answers "
            "(id, organization_id, zone, subject, codes, reason, expires_at) "
            "VALUES ({}, {}, {}, {}, {}, {}, {}) "
            "ON CONFLICT (organization_id, subject, zone) DO UPDATE SET "
            "codes = excluded.codes, reason = excluded.reason, expires_at = excluded.expires_at",
            new_id(),
            organization_id,
            each.blocklist.zone,
            subject.text,
            list(each.verdict.codes),
            each.reason,
            now + lifetimes[each.verdict.status],
        )
