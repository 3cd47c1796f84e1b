"""Writing to the audit log, always in the transaction of what is logged."""

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from ..core.actor import Actor, ActorKind, OrganizationId, Origin, UserId
from ..core.database import Tx
from ..core.storable import storable
from .rules import redacted
from .tables import AuditEntry

NOTHING: Mapping[str, Any] = {}


async def record(
    tx: Tx,
    actor: Actor,
    *,
    action: str,
    target_type: str,
    target_id: uuid.UUID | str,
    changes: Mapping[str, Any] = NOTHING,
) -> None:
    """Log that *actor* did *action*, such as `api_key.created`, to one target.

    *changes* maps a field to its new value, or to `{"from": ..., "to": ...}`; values are
    JSON and secrets are left out.
    """
    await _append(
        actor_kind=actor.kind.value,
        organization_id=actor.organization_id,
        user_id=actor.user_id,
        api_key_id=actor.api_key_id,
        action=action,
        target_type=target_type,
        target_id=str(target_id),
        changes=storable(redacted(_told(actor, changes))),
        source_address=actor.source_address,
        request_id=actor.request_id,
    )


async def record_each(
    tx: Tx,
    actor: Actor,
    *,
    action: str,
    target_type: str,
    target_ids: Collection[uuid.UUID],
) -> None:
    """Log that *actor* did *action* to each of several targets, with one statement."""
    if not target_ids:
        return
    await AuditEntry.insert(
        *(
            AuditEntry(
                actor_kind=actor.kind.value,
                organization_id=actor.organization_id,
                user_id=actor.user_id,
                api_key_id=actor.api_key_id,
                action=action,
                target_type=target_type,
                target_id=str(target_id),
                changes=storable(_told(actor, NOTHING)),
                source_address=actor.source_address,
                request_id=actor.request_id,
            )
            for target_id in target_ids
        )
    )


async def record_for_user(
    tx: Tx,
    user_id: UserId,
    *,
    organization_id: OrganizationId | None,
    action: str,
    target_type: str,
    target_id: uuid.UUID | str,
    changes: Mapping[str, Any] = NOTHING,
    origin: Origin,
) -> None:
    """Log what a person did who is not signed in yet: registering, signing in, failing to."""
    await _append(
        actor_kind=ActorKind.USER.value,
        organization_id=organization_id,
        user_id=user_id,
        action=action,
        target_type=target_type,
        target_id=str(target_id),
        changes=storable(redacted(changes)),
        source_address=origin.source_address,
        request_id=origin.request_id,
    )


async def record_for_platform(
    tx: Tx,
    *,
    organization_id: OrganizationId | None,
    action: str,
    target_type: str,
    target_id: uuid.UUID | str,
    changes: Mapping[str, Any] = NOTHING,
) -> None:
    """Log what the platform did by itself, such as suspending a domain whose records went."""
    await _append(
        actor_kind=ActorKind.PLATFORM.value,
        organization_id=organization_id,
        action=action,
        target_type=target_type,
        target_id=str(target_id),
        changes=storable(redacted(changes)),
    )


def _told(actor: Actor, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *changes*, with the reason if a visitor made them: their name says whose deed it is,
    and the reason whose house it was in."""
    return changes if actor.visit is None else {**changes, "visit": actor.visit.reason}


async def _append(**values: Any) -> None:
    await AuditEntry.insert(AuditEntry(**values))
