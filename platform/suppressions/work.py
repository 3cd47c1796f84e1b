"""What the platform does with suppressions for itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..core import clock
from ..core.actor import OrganizationId, ProjectId
from ..core.database import Tx, fetch
from ..core.ids import new_id
from .rules import MARKETING, MAX_DESCRIPTION, SuppressionReason


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address that somebody wants to send to; *address_key* is in lower case."""

    organization_id: OrganizationId
    project_id: ProjectId
    stream: str
    address_key: str


@dataclass(frozen=True, slots=True)
class NewSuppression:
    """An address to stop sending to; without a project in all of them, without an end for good."""

    organization_id: OrganizationId
    project_id: ProjectId | None
    address: str
    reason: SuppressionReason
    description: str | None = None
    expires_at: datetime | None = None

    @property
    def address_key(self) -> str:
        return self.address.lower()


async def suppressed(recipients: Sequence[Recipient]) -> list[SuppressionReason | None]:
    """Return for each recipient why it gets no mail, or None; one statement for all of them.

    It reads in the open transaction if there is one.
    """
    if not recipients:
        return []
    rows = await fetch(
        "SELECT asked.nth, found.reason "
        "FROM unnest({}::uuid[], {}::uuid[], {}::text[], {}::boolean[]) WITH ORDINALITY "
        "AS asked (organization_id, project_id, address_key, marketing, nth) "
        "JOIN suppressions found USING (organization_id, address_key) "
        "WHERE (found.project_id IS NULL OR found.project_id = asked.project_id) "
        "AND (found.expires_at IS NULL OR found.expires_at > {}) "
        "AND (asked.marketing OR found.reason <> {})",
        [recipient.organization_id for recipient in recipients],
        [recipient.project_id for recipient in recipients],
        [recipient.address_key for recipient in recipients],
        [recipient.stream == MARKETING for recipient in recipients],
        clock.now(),
        SuppressionReason.UNSUBSCRIBE.value,
    )
    weight = list(SuppressionReason)
    answers: list[SuppressionReason | None] = [None] * len(recipients)
    for row in rows:
        nth, reason = row["nth"] - 1, SuppressionReason(row["reason"])
        known = answers[nth]
        if known is None or weight.index(reason) < weight.index(known):
            answers[nth] = reason
    return answers


async def add(tx: Tx, suppressions: Sequence[NewSuppression]) -> None:
    """Stop sending to addresses; one that is stopped already stays so until the later end."""
    distinct = {
        (item.organization_id, item.address_key, item.reason.value, str(item.project_id)): item
        for item in sorted(suppressions, key=_end)
    }
    if not distinct:
        return
    # In the order of the key, so that two workers that settle the same addresses never deadlock.
    items = [distinct[key] for key in sorted(distinct)]
    await fetch(
        "INSERT INTO suppressions AS old (id, organization_id, project_id, address, address_key, "
        "reason, description, expires_at, created_at) "
        "SELECT *, {}::timestamptz FROM unnest({}::uuid[], {}::uuid[], {}::uuid[], {}::text[], "
        "{}::text[], {}::text[], {}::text[], {}::timestamptz[]) "
        "ON CONFLICT (organization_id, address_key, reason, project_id) DO UPDATE "
        "SET expires_at = CASE WHEN old.expires_at IS NULL OR excluded.expires_at IS NULL "
        "THEN NULL ELSE greatest(old.expires_at, excluded.expires_at) END",
        clock.now(),
        [new_id() for _ in items],
        [item.organization_id for item in items],
        [item.project_id for item in items],
        [item.address for item in items],
        [item.address_key for item in items],
        [item.reason.value for item in items],
        [item.description and item.description[:MAX_DESCRIPTION] for item in items],
        [item.expires_at for item in items],
    )


def _end(item: NewSuppression) -> tuple[bool, datetime]:
    return item.expires_at is None, item.expires_at or clock.now()
