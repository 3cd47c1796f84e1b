"""Buying, changing plans, and saying that an invoice is paid."""

import json
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..billing import operations, queries, tables
from ..billing.plans import offer_of
from ..billing.rules import CheckoutStatus, CheckoutType, Interval, SubscriptionStatus
from .billing import (
    BillingDetails,
    BillingPlan,
    Invoice,
    Money,
    PendingPlanChange,
    invoice_type,
    money,
    money_of,
)
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import parse_id

describe_enum(
    CheckoutType,
    "What is bought.",
    {
        "PLAN": "A plan.",
        "CREDITS": "A package of credits.",
        "PAYMENT_METHOD": "Nothing: a payment method is stored, to be charged later.",
    },
)
describe_enum(
    CheckoutStatus,
    "What became of a checkout.",
    {
        "OPEN": "It waits to be paid.",
        "COMPLETED": "It is paid, and what it sells is granted.",
        "EXPIRED": "Nobody paid it in time.",
    },
)


@strawberry.type(description="One thing in a checkout.")
class CheckoutItem:
    plan: str | None = strawberry.field(description="The plan, of a plan.")
    package_id: str | None = strawberry.field(description="The package, of credits.")
    quantity: int = strawberry.field(description="How many.")


@strawberry.type(description="An offer to buy. It grants nothing before it is paid.")
class Checkout:
    row: strawberry.Private[tables.Checkout]

    @strawberry.field(description="UUID of the checkout.")
    def uuid(self) -> UUID:
        return self.row.id

    @strawberry.field(description="What is bought.")
    def type(self) -> CheckoutType:
        return CheckoutType(self.row.type)

    @strawberry.field(description="What became of it.")
    def status(self) -> CheckoutStatus:
        return CheckoutStatus(self.row.status)

    @strawberry.field(description="Where the browser is sent to pay; of `manual`, the invoice.")
    def url(self) -> str:
        return self.row.url

    @strawberry.field(description="Who collects the payment.")
    def provider(self) -> str:
        return self.row.provider

    @strawberry.field(description="What is to be paid.")
    def amount(self) -> Money:
        return money(self.row.amount, self.row.currency)

    @strawberry.field(description="What is in it.")
    def items(self) -> list[CheckoutItem]:
        return [
            CheckoutItem(
                plan=item.get("plan"),
                package_id=item.get("package_id"),
                quantity=item["quantity"],
            )
            for item in json.loads(self.row.items)
        ]

    @strawberry.field(description="Until when it can be paid.")
    def expires_at(self) -> datetime:
        return self.row.expires_at

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at


@strawberry.input(description="A better plan.")
class UpgradePlanInput:
    plan: str = strawberry.field(
        description="Such as `professional`; the present one cancels a scheduled downgrade."
    )
    interval: Interval = strawberry.field(
        default=Interval.MONTH, description="How often it is paid."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="A repeat with the same key within 24 hours changes nothing."
    )


@strawberry.type(description="A plan that was changed.")
class UpgradePlanPayload:
    plan: BillingPlan = strawberry.field(description="The plan from now on.")
    previous_plan: str = strawberry.field(description="The plan until now.")
    status: SubscriptionStatus = strawberry.field(description="What it is worth.")
    effective_at: datetime = strawberry.field(description="Since when it holds.")
    proration: Money | None = strawberry.field(
        description="What was charged for the rest of the period."
    )
    invoice_uuid: UUID | None = strawberry.field(description="UUID of the invoice for it.")
    period_end: datetime = strawberry.field(description="When the next period begins.")


@strawberry.input(description="A lesser plan.")
class DowngradePlanInput:
    plan: str = strawberry.field(description="Such as `starter`.")
    reason: str | None = strawberry.field(default=None, description="Why; at most 500 characters.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="A repeat with the same key within 24 hours changes nothing."
    )


@strawberry.type(description="A change of the plan that is scheduled.")
class DowngradePlanPayload:
    plan: BillingPlan = strawberry.field(description="The plan until then.")
    pending_change: PendingPlanChange | None = strawberry.field(description="What comes then.")
    status: SubscriptionStatus = strawberry.field(description="What it is worth.")
    period_end: datetime = strawberry.field(description="When the next period begins.")


@strawberry.input(description="Something to buy.")
class CreateCheckoutInput:
    type: CheckoutType = strawberry.field(description="What kind of thing.")
    plan: str | None = strawberry.field(default=None, description="Which plan, of a plan.")
    interval: Interval = strawberry.field(
        default=Interval.MONTH, description="How often the plan is paid."
    )
    package_id: str | None = strawberry.field(
        default=None, description="Which package, of credits: `email-100k`."
    )
    quantity: int = strawberry.field(default=1, description="How many packages, 1 to 100.")
    success_url: str | None = strawberry.field(
        default=None, description="Where the browser comes back; on the deployment's host."
    )
    cancel_url: str | None = strawberry.field(
        default=None, description="Where it comes back without paying."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="A repeat with the same key within 24 hours makes nothing."
    )


@strawberry.type(description="A checkout that was made.")
class CreateCheckoutPayload:
    checkout: Checkout = strawberry.field(description="The checkout.")


@strawberry.input(description="An invoice that somebody paid.")
class MarkInvoicePaidInput:
    invoice_id: strawberry.ID = strawberry.field(description="Its id or UUID; of any organization.")


@strawberry.type(description="An invoice that was paid.")
class MarkInvoicePaidPayload:
    invoice: Invoice = strawberry.field(description="The invoice as it is now.")


@strawberry.input(description="Whom later invoices are made out to; what is left out is cleared.")
class UpdateBillingDetailsInput:
    legal_name: str | None = strawberry.field(default=None, description="Name on invoices.")
    billing_email: str | None = strawberry.field(default=None, description="An address.")
    tax_id: str | None = strawberry.field(default=None, description="Tax number.")
    line1: str | None = strawberry.field(default=None, description="Street, or the like.")
    line2: str | None = strawberry.field(default=None, description="More of it.")
    city: str | None = strawberry.field(default=None, description="Town.")
    region: str | None = strawberry.field(default=None, description="State or province.")
    postal_code: str | None = strawberry.field(default=None, description="Postal code.")
    country: str | None = strawberry.field(default=None, description="Two letters, such as GB.")


@strawberry.type(description="Whom later invoices are made out to.")
class UpdateBillingDetailsPayload:
    details: BillingDetails = strawberry.field(description="The details as they are now.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Change to a better plan now. What is left of the period is paid, at least "
        "0.50, and brings the same part of the credits. Needs `billing:write`. Refused with "
        "BILLING_NOT_CONFIGURED, NOT_AN_UPGRADE, CONTACT_SALES, PAYMENT_METHOD_REQUIRED, "
        "PAYMENT_FAILED or PAYMENT_PROVIDER_ERROR."
    )
    async def upgrade_plan(
        self,
        info: Info,
        input: Annotated[UpgradePlanInput, strawberry.argument(description="The plan.")],
    ) -> UpgradePlanPayload:
        done = await operations.upgrade_plan(
            actor_of(info),
            plan=input.plan,
            interval=input.interval,
            idempotency_key=input.idempotency_key or info.context.idempotency_key,
        )
        info.context.replayed = info.context.replayed or done.replayed
        return UpgradePlanPayload(
            plan=BillingPlan(offer=offer_of(done.plan)),
            previous_plan=done.previous_plan,
            status=SubscriptionStatus(done.status),
            effective_at=done.effective_at,
            proration=money_of(done.proration),
            invoice_uuid=done.invoice_id,
            period_end=done.period_end,
        )

    @strawberry.mutation(
        description="Change to a lesser plan when the period ends. Needs `billing:write`. Refused "
        "with BILLING_NOT_CONFIGURED, NOT_A_DOWNGRADE or DOWNGRADE_BLOCKED."
    )
    async def downgrade_plan(
        self,
        info: Info,
        input: Annotated[DowngradePlanInput, strawberry.argument(description="The plan.")],
    ) -> DowngradePlanPayload:
        done = await operations.downgrade_plan(
            actor_of(info),
            plan=input.plan,
            reason=input.reason,
            idempotency_key=input.idempotency_key or info.context.idempotency_key,
        )
        info.context.replayed = info.context.replayed or done.replayed
        pending = None
        if done.pending_plan is not None:
            plan = BillingPlan(offer=offer_of(done.pending_plan))
            pending = PendingPlanChange(plan=plan, effective_at=done.period_end)
        return DowngradePlanPayload(
            plan=BillingPlan(offer=offer_of(done.plan)),
            pending_change=pending,
            status=SubscriptionStatus(done.status),
            period_end=done.period_end,
        )

    @strawberry.mutation(
        description="Offer something to buy; it is granted once it is paid. Needs "
        "`billing:write`. Refused with BILLING_NOT_CONFIGURED, ALREADY_SUBSCRIBED, CONTACT_SALES "
        "or PAYMENT_PROVIDER_ERROR."
    )
    async def create_checkout(
        self,
        info: Info,
        input: Annotated[CreateCheckoutInput, strawberry.argument(description="What to buy.")],
    ) -> CreateCheckoutPayload:
        made = await operations.create_checkout(
            actor_of(info),
            operations.CheckoutRequest(
                type=input.type,
                plan=input.plan,
                interval=input.interval,
                package_id=input.package_id,
                quantity=input.quantity,
                success_url=input.success_url,
                cancel_url=input.cancel_url,
            ),
            idempotency_key=input.idempotency_key or info.context.idempotency_key,
        )
        info.context.replayed = info.context.replayed or made.replayed
        return CreateCheckoutPayload(checkout=Checkout(row=made.checkout))

    @strawberry.mutation(
        description="Say that an invoice was paid, and grant what it sells, once. Only for "
        "administrators of the deployment. Refused with INVOICE_NOT_OPEN."
    )
    async def mark_invoice_paid(
        self,
        info: Info,
        input: Annotated[MarkInvoicePaidInput, strawberry.argument(description="Which one.")],
    ) -> MarkInvoicePaidPayload:
        row = await operations.mark_paid(actor_of(info), parse_id(input.invoice_id, "Invoice"))
        return MarkInvoicePaidPayload(invoice=invoice_type(row))

    @strawberry.mutation(
        description="Say whom later invoices are made out to. Needs `billing:write`."
    )
    async def update_billing_details(
        self,
        info: Info,
        input: Annotated[UpdateBillingDetailsInput, strawberry.argument(description="All of it.")],
    ) -> UpdateBillingDetailsPayload:
        actor = actor_of(info)
        await operations.update_details(
            actor,
            operations.BillingDetails(
                legal_name=input.legal_name,
                billing_email=input.billing_email,
                tax_id=input.tax_id,
                line1=input.line1,
                line2=input.line2,
                city=input.city,
                region=input.region,
                postal_code=input.postal_code,
                country=input.country,
            ),
        )
        return UpdateBillingDetailsPayload(
            details=BillingDetails(row=await queries.get_details(actor))
        )
