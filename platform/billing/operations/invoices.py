"""Saying that an invoice has been paid, where no provider says it."""

from uuid import UUID

from ...audit import operations as audit
from ...core.actor import Actor, OrganizationId, require_platform_admin
from ...core.database import transaction
from ...core.errors import NotFound
from ...core.money import Money
from ...core.tenants import across_organizations
from ..errors import InvoiceNotOpen
from ..provider import MANUAL
from ..rules import InvoiceStatus
from ..settling import Receipt, settle
from ..tables import Invoice


@across_organizations
async def mark_paid(actor: Actor, invoice_id: UUID) -> Invoice:
    """Say that an invoice of any organization has been paid, and grant what it sells, once.

    Raises:
        NotFound: there is no such invoice, or it is another organization's and the actor
            does not look after the deployment.
        NotPermitted: only whoever looks after the deployment says so.
        InvoiceNotOpen: it is paid already, void or given up.
    """
    row = await Invoice.objects().where(Invoice.id == invoice_id).first()
    if row is None or (not actor.platform_admin and row.organization_id != actor.organization_id):
        raise NotFound
    require_platform_admin(actor)
    assert actor.user_id is not None
    async with transaction() as tx:
        receipt = Receipt(MANUAL, str(row.id), Money(row.amount_due, row.currency))
        if row.status != InvoiceStatus.OPEN or not await settle(tx, row.id, receipt):
            raise InvoiceNotOpen
        await audit.record_for_user(
            tx,
            actor.user_id,
            organization_id=OrganizationId(row.organization_id),
            action="billing.invoice_marked_paid",
            target_type="invoice",
            target_id=row.id,
            changes={"number": row.number, "status": {"from": row.status, "to": "paid"}},
            origin=actor.origin,
        )
    paid = await Invoice.objects().where(Invoice.id == invoice_id).first()
    assert paid is not None
    return paid
