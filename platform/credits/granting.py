"""Granting: credits that the platform's administrator gives to an organization."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from ..accounts.work import find_organization
from ..audit import operations as audit
from ..core import clock
from ..core.actor import Actor, OrganizationId, require_platform_admin
from ..core.database import transaction
from ..core.errors import (
    Detail,
    DetailCode,
    InvalidInput,
    NotFound,
)
from ..core.ids import made_at
from ..core.tenants import across_organizations
from ..security import idempotency
from .lots import grant
from .rules import MAX_REFERENCE, MOST_GRANTED, CreditType, LotSource

GRANT = "grantCredits"
"""Under this name the answers of `grant_credits` are kept for repeated requests."""


@dataclass(frozen=True, slots=True)
class Gift:
    """Credits to give; the organization is named by its id or by its slug."""

    type: CreditType
    amount: int
    """Whole credits."""
    organization_id: uuid.UUID | None = None
    slug: str | None = None
    expires_at: datetime | None = None
    """None: they do not end."""
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """The lot that was made; *replayed* when an earlier request made it."""

    lot_id: uuid.UUID
    organization_id: uuid.UUID
    type: CreditType
    amount: int
    expires_at: datetime | None
    created_at: datetime
    replayed: bool = False


@across_organizations
async def grant_credits(actor: Actor, gift: Gift, *, idempotency_key: str | None = None) -> Granted:
    """Give credits to any organization of the deployment.

    Raises:
        NotFound: there is no such organization, or none that the actor may know of.
        NotPermitted: the actor does not look after the platform.
        InvalidInput: names every field that breaks a rule.
    """
    found = await find_organization(id=gift.organization_id, slug=gift.slug)
    if found != actor.organization_id and not actor.platform_admin:
        raise NotFound("There is no such organization.")
    require_platform_admin(actor)
    if found is None:
        raise NotFound("There is no such organization.")
    mark = idempotency.fingerprint(repr(gift))
    _check(gift)
    async with transaction() as tx:
        if idempotency_key is not None:
            kept = await idempotency.claim(tx, actor.organization_id, GRANT, idempotency_key, mark)
            if kept is not None:
                lot_id = uuid.UUID(kept.result()["lotId"])
                return _granted(gift, found, lot_id, replayed=True)
        lot_id = await grant(
            tx,
            found,
            amount=gift.amount,
            source=LotSource.ADJUSTMENT,
            credit_type=gift.type,
            expires_at=gift.expires_at,
            reference=gift.reference,
        )
        await audit.record(
            tx,
            actor,
            action="credits.granted",
            target_type="organization",
            target_id=found,
            changes={
                "type": gift.type.value,
                "amount": gift.amount,
                "lot": str(lot_id),
                "reference": gift.reference,
            },
        )
        if idempotency_key is not None:
            answer = {"lotId": str(lot_id)}
            await idempotency.store(tx, actor.organization_id, GRANT, idempotency_key, answer)
    return _granted(gift, found, lot_id, replayed=False)


def _granted(
    gift: Gift, organization_id: OrganizationId, lot_id: uuid.UUID, *, replayed: bool
) -> Granted:
    return Granted(
        lot_id,
        organization_id,
        gift.type,
        gift.amount,
        gift.expires_at,
        made_at(lot_id),
        replayed=replayed,
    )


def _check(gift: Gift) -> None:
    faults = []
    if gift.amount < 1:
        faults.append(Detail("amount", DetailCode.TOO_SMALL, "Grant at least 1 credit."))
    elif gift.amount > MOST_GRANTED:
        message = f"Grant at most {MOST_GRANTED} credits at a time."
        faults.append(Detail("amount", DetailCode.TOO_LARGE, message))
    if gift.expires_at is not None and gift.expires_at <= clock.now():
        faults.append(Detail("expiresAt", DetailCode.IN_PAST, "The end is in the past."))
    reference = gift.reference
    if reference is not None and not 1 <= len(reference) <= MAX_REFERENCE:
        message = f"A reference has 1 to {MAX_REFERENCE} characters."
        faults.append(Detail("reference", DetailCode.TOO_LONG, message))
    elif reference is not None and not reference.isprintable():
        message = "It holds a character that cannot be shown."
        faults.append(Detail("reference", DetailCode.INVALID_FORMAT, message))
    if faults:
        raise InvalidInput.all(faults)
