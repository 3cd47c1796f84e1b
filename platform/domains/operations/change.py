"""Changing and deleting a domain."""

import uuid
from dataclasses import fields
from datetime import timedelta
from typing import Any

from ...core import clock
from ...core.actor import Actor, Permission
from ...core.database import Tx, fetch, transaction
from ...core.errors import NotFound
from ..queries import DomainRef, domain_of
from ..rules import ABSENT, DomainChanges, DomainStatus, check_changes
from ..tables import Domain
from ..verification import lock, write_records
from .audit import record_change
from .refusals import refuse_taken_tracking, refuse_unknown_pool


async def update_domain(actor: Actor, ref: DomainRef, changes: DomainChanges) -> Domain:
    """Change what messages of the domain do by default, and which records it publishes.

    A change that adds records does not take away the right to send.

    Raises:
        NotFound: the domain is absent or somebody else's.
        InvalidInput: names every field that breaks a rule.
    """
    actor.require(Permission.WRITE_DOMAINS)
    found = await domain_of(actor, ref)
    async with transaction() as tx:
        domain = await lock(tx, found.id)
        if domain is None:
            raise NotFound
        changed = await _apply(actor, domain, changes)
        if changed:
            domain.updated_at = clock.now()
            await domain.save()
            await write_records(tx, domain)
            await record_change(actor, tx, domain, "domain.updated", changed)
    return domain


async def stop_sending(actor: Actor, domain_id: uuid.UUID) -> None:
    """Have no more mail from a domain accepted, because it is about to be deleted."""
    actor.require(Permission.DELETE_DOMAINS)
    await fetch(
        "UPDATE domains SET status = {}, next_check_at = NULL "
        "WHERE id = {} AND organization_id = {}",
        DomainStatus.FAILED.value,
        domain_id,
        actor.organization_id,
    )


async def delete_domain(tx: Tx, actor: Actor, domain_id: uuid.UUID) -> None:
    """Delete a domain with its records and keys; the private keys are gone with it.

    Whoever calls it has dealt with the mail that is still on its way.

    Raises:
        NotFound: the domain is absent or somebody else's.
    """
    actor.require(Permission.DELETE_DOMAINS)
    domain = await domain_of(actor, DomainRef(id=domain_id))
    await Domain.delete().where(Domain.id == domain.id)
    await record_change(actor, tx, domain, "domain.deleted", {"name": domain.name})


async def _apply(actor: Actor, domain: Domain, changes: DomainChanges) -> dict[str, Any]:
    """Set the changed fields of *domain* and return what they were and are."""
    given = {field.name: getattr(changes, field.name) for field in fields(changes)}
    wanted = check_changes(
        {name: value for name, value in given.items() if value is not ABSENT},
        name=domain.name,
        return_path_domain=domain.return_path_domain,
    )
    await refuse_taken_tracking(actor, wanted.get("tracking_domain"), domain_id=domain.id)
    if "default_pool" in wanted:
        await refuse_unknown_pool(actor, wanted["default_pool"])
    changed = {
        name: {"from": getattr(domain, name), "to": value}
        for name, value in wanted.items()
        if getattr(domain, name) != value
    }
    for name, change in changed.items():
        setattr(domain, name, change["to"])
    if "dkim_rotation_days" in changed:
        days = domain.dkim_rotation_days
        domain.next_rotation_at = clock.now() + timedelta(days=days) if days else None
    return changed
