"""Telling those who look after the money, by mail."""

from ..accounts.work import contacts_of
from ..core.actor import OrganizationId
from ..core.database import Tx
from ..core.settings import settings
from ..notices import operations as notices
from ..notices.rules import Notice


async def notify(tx: Tx, organization_id: OrganizationId, *, headline: str, what: str) -> None:
    """Have owners and billing users mailed once *tx* has committed."""
    contacts = (await contacts_of([organization_id]))[organization_id]
    for address in contacts.addresses:
        await notices.send(
            tx,
            to=address,
            notice=Notice.BILLING,
            values={
                "organization": contacts.name,
                "headline": headline,
                "what": what,
                "link": f"{settings().public_url}/billing",
            },
            organization_id=organization_id,
        )
