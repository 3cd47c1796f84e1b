"""Reading how much encryption an organization wants for its mail to a domain."""

import uuid
from collections.abc import Collection, Sequence

from ..core.actor import Actor, Permission
from ..core.paging import Order, Page, PageRequest, fetch_page
from .tables import TlsRequirement

BY_DOMAIN = Order("domain", "domain", lambda row: row.domain)


async def list_tls_requirements(actor: Actor, *, page: PageRequest) -> Page[TlsRequirement]:
    """Return the organization's requirements, by domain."""
    actor.require(Permission.READ_VMTAS)
    query = TlsRequirement.objects().where(TlsRequirement.organization_id == actor.organization_id)
    return await fetch_page(query, page, BY_DOMAIN)


async def find_tls_requirements(
    actor: Actor, ids: Collection[uuid.UUID]
) -> Sequence[TlsRequirement]:
    """Return those of *ids* that are the organization's."""
    actor.require(Permission.READ_VMTAS)
    return await TlsRequirement.objects().where(
        TlsRequirement.organization_id == actor.organization_id,
        TlsRequirement.id.is_in(list(ids)),
    )
