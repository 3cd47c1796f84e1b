"""Organizations as the payment provider knows them."""

from ..accounts.work import get_tenant
from ..core.actor import OrganizationId
from ..core.database import fetch, transaction
from .provider import PaymentProvider
from .settling import lock_account
from .tables import BillingAccount


async def customer_of(provider: PaymentProvider, organization_id: OrganizationId) -> str:
    """Return the provider's id of an organization, made when it is first needed."""
    rows = await fetch(
        "SELECT customer_ref FROM billing_accounts "
        "WHERE organization_id = {} AND customer_ref IS NOT NULL",
        organization_id,
    )
    if rows:
        return str(rows[0]["customer_ref"])
    tenant = await get_tenant(organization_id)
    ref = await provider.make_customer(organization_id, name=tenant.name)
    async with transaction() as tx:
        account = await lock_account(tx, organization_id)
        if account.customer_ref is None:
            account.customer_ref = ref
            await account.save([BillingAccount.customer_ref])
        found: str = account.customer_ref
    return found
