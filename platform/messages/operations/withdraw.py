"""Taking back everything that a domain sends, so that the domain can go."""

import uuid
from dataclasses import dataclass

from ...core.actor import Actor, Permission
from ...core.database import fetch, transaction
from ...delivery.queries import has_open_mail, open_mail
from ...domains import operations as domains
from ...domains.errors import DomainInUse
from ...domains.queries import DomainRef, domain_of
from .cancel import cancel_in

BATCH = 100
REASON = "The domain was deleted."


@dataclass(frozen=True, slots=True)
class DeletedDomain:
    """What deleting a domain did."""

    domain_id: uuid.UUID
    cancelled_messages: int


async def delete_domain(actor: Actor, ref: DomainRef, *, force: bool = False) -> DeletedDomain:
    """Delete a domain; with *force*, cancel the messages from it that are still open.

    Messages are cancelled and paid back as by `cancel_message`, each in a transaction of its
    own: interrupted, the domain is still there, sends nothing, and can be deleted again.

    Raises:
        NotFound: the domain is absent or somebody else's.
        DomainInUse: messages are open, and *force* is not given.
    """
    actor.require(Permission.DELETE_DOMAINS)
    domain = await domain_of(actor, ref)
    if not force and await has_open_mail(domain.organization_id, domain.id):
        raise DomainInUse
    cancelled = 0
    if force:
        await domains.stop_sending(actor, domain.id)
        cancelled = await _cancel_all(actor, domain.id)
    async with transaction() as tx:
        await domains.delete_domain(tx, actor, domain.id)
    return DeletedDomain(domain.id, cancelled)


async def _cancel_all(actor: Actor, domain_id: uuid.UUID) -> int:
    cancelled, after = 0, None
    while ids := await open_mail(actor.organization_id, domain_id, after=after, limit=BATCH):
        messages = await fetch(
            "SELECT id, project_id, mode, credits, credit_entry_id FROM messages "
            "WHERE id = ANY({}::uuid[]) AND organization_id = {}",
            ids,
            actor.organization_id,
        )
        for message in messages:
            async with transaction() as tx:
                done, _ = await cancel_in(tx, actor, message, reason=REASON)
            cancelled += bool(done.cancelled or done.in_progress)
        after = ids[-1]
    return cancelled
