"""Changing suppressions by hand."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch, transaction
from ..core.errors import DetailCode, InvalidInput, NotFound
from ..core.ids import new_id
from ..mail.address import InvalidAddress, Mailbox, parse_mailbox
from .rules import MAX_DESCRIPTION, SuppressionReason
from .tables import Suppression


@dataclass(frozen=True, slots=True)
class SuppressionRef:
    """Names one suppression by its id, or all those of one address."""

    id: uuid.UUID | None = None
    address: str | None = None


async def add_suppression(
    actor: Actor,
    *,
    address: str,
    description: str | None = None,
    expires_at: datetime | None = None,
) -> Suppression:
    """Stop sending to *address* until *expires_at*, or for good.

    An actor of one project stops the project's mail only. Adding it again changes its
    description and its end.

    Raises:
        InvalidInput: no address, a long description, or an end in the past.
    """
    actor.require(Permission.WRITE_MESSAGES)
    mailbox = _checked(address)
    _check_rest(description, expires_at)
    async with transaction() as tx:
        rows = await fetch(
            "INSERT INTO suppressions (id, organization_id, project_id, address, address_key, "
            "reason, description, expires_at, created_at) "
            "VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}) "
            "ON CONFLICT (organization_id, address_key, reason, project_id, stream) DO UPDATE "
            "SET description = excluded.description, expires_at = excluded.expires_at "
            "RETURNING *",
            new_id(),
            actor.organization_id,
            actor.project_id,
            mailbox.address,
            mailbox.key,
            SuppressionReason.MANUAL.value,
            description,
            expires_at,
            clock.now(),
        )
        suppression = Suppression(_exists_in_db=True, **rows[0])
        await record(
            tx,
            actor,
            action="suppression.added",
            target_type="suppression",
            target_id=suppression.id,
            changes={
                "address": mailbox.address,
                "expires_at": expires_at and expires_at.isoformat(),
            },
        )
    return suppression


async def remove_suppression(actor: Actor, ref: SuppressionRef) -> int:
    """Let mail go to an address again; return how many suppressions that took away.

    By address it takes away those of every reason. An actor of one project takes away the
    project's only.

    Raises:
        NotFound: there is none that the actor may take away.
    """
    actor.require(Permission.WRITE_MESSAGES)
    key = None if ref.address is None else _checked(ref.address).key
    async with transaction() as tx:
        rows = await fetch(
            "DELETE FROM suppressions WHERE organization_id = {} "
            "AND ({}::uuid IS NULL OR project_id = {}) "
            "AND (id = {}::uuid OR address_key = {}::text) RETURNING id, address, reason",
            actor.organization_id,
            actor.project_id,
            actor.project_id,
            ref.id,
            key,
        )
        if not rows:
            raise NotFound
        for row in rows:
            await record(
                tx,
                actor,
                action="suppression.removed",
                target_type="suppression",
                target_id=row["id"],
                changes={"address": row["address"], "reason": row["reason"]},
            )
    return len(rows)


def _checked(address: str) -> Mailbox:
    try:
        return parse_mailbox(address)
    except InvalidAddress:
        raise InvalidInput.of(
            "address", DetailCode.INVALID_EMAIL, "Write one email address."
        ) from None


def _check_rest(description: str | None, expires_at: datetime | None) -> None:
    if description is not None and len(description) > MAX_DESCRIPTION:
        message = f"A description has at most {MAX_DESCRIPTION} characters."
        raise InvalidInput.of("description", DetailCode.TOO_LONG, message)
    if expires_at is not None and expires_at <= clock.now():
        raise InvalidInput.of("expiresAt", DetailCode.IN_PAST, "The end is in the past.")
