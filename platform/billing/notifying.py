"""Telling those who look after the money, by mail."""

from collections.abc import Callable

from ..accounts.queries import languages_of
from ..accounts.rules import email_key
from ..accounts.work import contacts_of
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch
from ..core.languages import gettext as _
from ..core.languages import speaking
from ..core.settings import settings
from ..notices import operations as notices
from ..notices.rules import Notice


async def notify(
    tx: Tx, organization_id: OrganizationId, *, headline: str, what: Callable[[], str]
) -> None:
    """Have owners, billing users and the address for bills mailed once *tx* has committed.

    *headline* is a marked text; *what* is asked for each of them, in their language.
    """
    contacts = (await contacts_of([organization_id]))[organization_id]
    rows = await fetch(
        "SELECT billing_email FROM billing_accounts "
        "WHERE organization_id = {} AND billing_email IS NOT NULL",
        organization_id,
    )
    addresses = [*contacts.addresses, *(row["billing_email"] for row in rows)]
    languages = await languages_of(addresses)
    for address in {email_key(each): each for each in addresses}.values():
        with speaking(languages[address]):
            await notices.send(
                tx,
                to=address,
                notice=Notice.BILLING,
                values={
                    "organization": contacts.name,
                    "headline": _(headline),
                    "what": what(),
                    "link": f"{settings().public_url}/billing",
                },
                organization_id=organization_id,
            )
