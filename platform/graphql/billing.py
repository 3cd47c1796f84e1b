"""Billing: the plan, invoices, usage by period, and buying."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..accounts.rules import Plan
from ..billing import queries, rollup, tables
from ..billing.documents import as_html, as_pdf
from ..billing.plans import PlanOffer, offer_of
from ..billing.rules import (
    DunningStage,
    Granularity,
    Interval,
    InvoiceReason,
    InvoiceStatus,
    SubscriptionStatus,
)
from ..core.actor import Actor
from ..core.money import Money as Amount
from ..credits.rules import CreditType
from . import credit_enums as _enums  # noqa: F401 it describes the types of credits
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import BigInt

describe_enum(
    Interval,
    "How often a plan is paid.",
    {"MONTH": "Every calendar month in UTC.", "YEAR": "Every year."},
    name="BillingInterval",
)
describe_enum(
    SubscriptionStatus,
    "What the plan is worth now.",
    {
        "TRIALING": "It is tried for thirty days, without payment.",
        "ACTIVE": "It is paid for, or costs nothing.",
        "PAST_DUE": "An invoice is overdue; nothing is restricted yet.",
        "SUSPENDED": "An invoice is overdue for a fortnight; nothing can be sent.",
        "CANCELLED": "It has ended.",
    },
)
describe_enum(
    DunningStage,
    "How far an unpaid plan has come.",
    {
        "NONE": "Nothing is overdue.",
        "PAST_DUE": "The payment is tried again; nothing is restricted.",
        "GRACE": "Three days overdue: the owners are warned.",
        "SUSPENDED": "A fortnight overdue: sending has stopped.",
        "CANCELLED": "Thirty days overdue: the plan has ended.",
    },
)
describe_enum(
    InvoiceStatus,
    "What became of an invoice.",
    {
        "DRAFT": "It is not complete yet.",
        "OPEN": "It waits to be paid.",
        "PAID": "It is paid.",
        "VOID": "It asks for nothing any more.",
        "UNCOLLECTIBLE": "It was given up.",
    },
)
describe_enum(
    InvoiceReason,
    "What an invoice is for.",
    {
        "PLAN": "A plan, for the rest of a month.",
        "UPGRADE": "The difference to a better plan, for the rest of a month.",
        "RENEWAL": "A plan, for a month.",
        "CREDITS": "Credits.",
    },
)
describe_enum(
    Granularity,
    "How long the periods of a usage roll-up are, in UTC.",
    {"DAY": "Days.", "WEEK": "Weeks, from Monday on.", "MONTH": "Calendar months."},
    name="UsageGranularity",
)


PDF_COST = 20
"""Setting a page takes as long as some twenty fields that ask the database."""


@strawberry.type(description="An amount of one currency.")
class Money:
    amount: BigInt = strawberry.field(description="In minor units: cents, where there are any.")
    currency: str = strawberry.field(description="ISO 4217, such as USD.")


def money(amount: int, currency: str) -> Money:
    """Return an amount as the schema shows it."""
    return Money(amount=BigInt(amount), currency=currency)


@strawberry.type(description="What a plan allows; null is any number.")
class PlanLimits:
    emails_per_month: BigInt | None = strawberry.field(description="Emails in a calendar month.")
    domains: int | None = strawberry.field(description="Domains.")
    vmtas: int | None = strawberry.field(description="Virtual MTAs of its own.")
    users: int | None = strawberry.field(description="Members.")
    requests_per_minute: int | None = strawberry.field(description="API requests per credential.")


@strawberry.type(description="A plan of the catalogue.")
class BillingPlan:
    offer: strawberry.Private[PlanOffer]

    @strawberry.field(description="Its name in inputs, such as `starter`.")
    def slug(self) -> str:
        return self.offer.plan.value

    @strawberry.field(description="Its name for people.")
    def name(self) -> str:
        return self.offer.name

    @strawberry.field(description="What a month costs; null when it is agreed by contract.")
    def price(self) -> Money | None:
        price = self.offer.price
        return None if self.offer.by_contract else money(price.amount, price.currency)

    @strawberry.field(description="How often that is paid.")
    def interval(self) -> Interval:
        return Interval.MONTH

    @strawberry.field(description="What it allows.")
    def limits(self) -> PlanLimits:
        found = self.offer.limits
        emails = found.emails_per_month
        return PlanLimits(
            emails_per_month=None if emails is None else BigInt(emails),
            domains=found.domains,
            vmtas=found.vmtas,
            users=found.users,
            requests_per_minute=self.offer.requests_per_minute,
        )

    @strawberry.field(description="What it comes with.")
    def features(self) -> list[str]:
        return list(self.offer.features)


@strawberry.type(description="A change of the plan that is still to come.")
class PendingPlanChange:
    plan: BillingPlan = strawberry.field(description="The plan from then on.")
    effective_at: datetime = strawberry.field(description="When the period ends.")


@strawberry.type(description="The organization's plan, and what is paid for it.")
class PlanSubscription:
    row: strawberry.Private[tables.Subscription]

    @strawberry.field(description="The present plan.")
    def plan(self) -> BillingPlan:
        return BillingPlan(offer=offer_of(self.row.plan))

    @strawberry.field(description="What it is worth now.")
    def status(self) -> SubscriptionStatus:
        return SubscriptionStatus(self.row.status)

    @strawberry.field(description="How far it has come if it is not paid.")
    def dunning_stage(self) -> DunningStage:
        return DunningStage(self.row.dunning_stage)

    @strawberry.field(description="Who collects payments: `manual` or `stripe`.")
    def provider(self) -> str:
        return self.row.provider

    @strawberry.field(description="When the period began.")
    def period_start(self) -> datetime:
        return self.row.period_start

    @strawberry.field(description="When it ends, and the next one begins.")
    def period_end(self) -> datetime:
        return self.row.period_end

    @strawberry.field(description="When the trial ends; null without one.")
    def trial_ends_at(self) -> datetime | None:
        return self.row.trial_ends_at

    @strawberry.field(description="It ends with the period.")
    def cancel_at_period_end(self) -> bool:
        return bool(self.row.pending_plan == Plan.TRIAL)

    @strawberry.field(description="What it changes to when the period ends.")
    def pending_change(self) -> PendingPlanChange | None:
        if self.row.pending_plan is None:
            return None
        plan = BillingPlan(offer=offer_of(self.row.pending_plan))
        return PendingPlanChange(plan=plan, effective_at=self.row.period_end)


@strawberry.type(description="How much of what plans limit is used.")
class PlanUsage:
    emails: BigInt = strawberry.field(description="Credits of type `email` used this month.")
    domains: int = strawberry.field(description="Domains that are set up.")
    vmtas: int = strawberry.field(description="Virtual MTAs of the organization's own.")
    users: int = strawberry.field(description="Members.")


@strawberry.type(description="One line of an invoice.")
class InvoiceLine:
    description: str = strawberry.field(description="What it is for.")
    quantity: BigInt = strawberry.field(description="How many.")
    unit_price: Money = strawberry.field(description="Of one.")
    total: Money = strawberry.field(description="Of all.")


@strawberry.type(description="An invoice; what it says never changes, only what became of it.")
class Invoice(Node):
    row: strawberry.Private[tables.Invoice]

    @strawberry.field(description="Of one sequence without gaps per year: `INV-2026-0042`.")
    def number(self) -> str:
        return self.row.number

    @strawberry.field(description="What became of it.")
    def status(self) -> InvoiceStatus:
        return InvoiceStatus(self.row.status)

    @strawberry.field(description="What it is for.")
    def reason(self) -> InvoiceReason:
        return InvoiceReason(self.row.reason)

    @strawberry.field(description="Sum of the lines, before tax.")
    def subtotal(self) -> Money:
        return money(self.row.subtotal, self.row.currency)

    @strawberry.field(description="Tax.")
    def tax(self) -> Money:
        return money(self.row.tax, self.row.currency)

    @strawberry.field(description="Sum of all.")
    def total(self) -> Money:
        return money(self.row.total, self.row.currency)

    @strawberry.field(description="What is still to be paid.")
    def amount_due(self) -> Money:
        return money(self.row.amount_due, self.row.currency)

    @strawberry.field(description="What it is made of.")
    async def lines(self, info: Info) -> list[InvoiceLine]:
        found = await info.context.loaders.load(load_lines, self.row.id)
        currency = self.row.currency
        return [
            InvoiceLine(
                description=line.description,
                quantity=BigInt(line.quantity),
                unit_price=money(line.unit_amount, currency),
                total=money(line.total, currency),
            )
            for line in found or ()
        ]

    @strawberry.field(description="Start of the period that is paid for, of a plan.")
    def period_start(self) -> datetime | None:
        return self.row.period_start

    @strawberry.field(description="End of the period that is paid for, of a plan.")
    def period_end(self) -> datetime | None:
        return self.row.period_end

    @strawberry.field(description="When it is to be paid.")
    def due_at(self) -> datetime:
        return self.row.due_at

    @strawberry.field(description="When it was paid.")
    def paid_at(self) -> datetime | None:
        return self.row.paid_at

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="Address of a page that shows it to members who are signed in.")
    def hosted_url(self) -> str:
        return queries.invoice_url(self.row.id)

    @strawberry.field(description="Address of the same as PDF.")
    def pdf_url(self) -> str:
        return queries.invoice_url(self.row.id) + "/pdf"

    @strawberry.field(description="The invoice as a page of HTML.")
    async def html(self, info: Info) -> str:
        found = await info.context.loaders.load(load_lines, self.row.id)
        return as_html(self.row, found or ())

    @strawberry.field(description="The invoice as PDF, in Base64.", metadata={"cost": PDF_COST})
    async def pdf(self, info: Info) -> str:
        found = await info.context.loaders.load(load_lines, self.row.id)
        return await as_pdf(self.row, found or ())


def invoice_type(row: tables.Invoice) -> Invoice:
    """Return *row* as the schema shows it."""
    return Invoice(uuid=row.id, row=row)


async def load_invoices(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Invoice]:
    """Return the actor's invoices among *ids*."""
    return {row.id: invoice_type(row) for row in await queries.find_invoices(actor, ids)}


register(Invoice, load_invoices)


async def load_lines(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, list[tables.InvoiceLine]]:
    """Return the lines of each invoice."""
    found: dict[UUID, list[tables.InvoiceLine]] = {}
    for line in await queries.find_lines(actor, ids):
        found.setdefault(line.invoice_id, []).append(line)
    return found


@strawberry.type(description="Credits used of one type.")
class CreditUse:
    type: CreditType = strawberry.field(description="Which credits.")
    used: BigInt = strawberry.field(description="Whole credits, less refunds.")


@strawberry.type(description="What was used and paid in one period.")
class UsagePeriod:
    row: strawberry.Private[rollup.UsagePeriod]

    @strawberry.field(description="When it began.")
    def period_start(self) -> datetime:
        return self.row.start

    @strawberry.field(description="When it ends; the next one begins then.")
    def period_end(self) -> datetime:
        return self.row.end

    @strawberry.field(description="It is over, and its figures never change.")
    def closed(self) -> bool:
        return self.row.closed

    @strawberry.field(description="Messages accepted; of the present hour none yet.")
    def messages(self) -> BigInt:
        return BigInt(self.row.counts["messages"])

    @strawberry.field(description="Recipients of them.")
    def recipients(self) -> BigInt:
        return BigInt(self.row.counts["recipients"])

    @strawberry.field(description="Recipients whose servers took the message.")
    def delivered(self) -> BigInt:
        return BigInt(self.row.counts["delivered"])

    @strawberry.field(description="Messages received.")
    def inbound(self) -> BigInt:
        return BigInt(self.row.counts["inbound"])

    @strawberry.field(description="Size of what was delivered, once for each recipient.")
    def bytes_sent(self) -> BigInt:
        return BigInt(self.row.counts["bytes_sent"])

    @strawberry.field(description="Requests with API keys.")
    def api_requests(self) -> BigInt:
        return BigInt(self.row.counts["api_requests"])

    @strawberry.field(description="Calls to webhooks.")
    def webhook_deliveries(self) -> BigInt:
        return BigInt(self.row.counts["webhook_deliveries"])

    @strawberry.field(description="Credits used, by type.")
    def credits(self) -> list[CreditUse]:
        return [
            CreditUse(type=type, used=BigInt(self.row.credits.get(type, 0))) for type in CreditType
        ]

    @strawberry.field(description="Credits of type `email` that the plan granted.")
    def included(self) -> BigInt:
        return BigInt(self.row.included)

    @strawberry.field(description="Credits of type `email` used beyond those.")
    def overage(self) -> BigInt:
        return BigInt(self.row.overage)

    @strawberry.field(description="What was paid.")
    def cost(self) -> Money:
        return money(self.row.cost.amount, self.row.cost.currency)


@strawberry.type(description="An address on invoices.")
class BillingAddress:
    line1: str | None = strawberry.field(description="Street, or the like.")
    line2: str | None = strawberry.field(description="More of it.")
    city: str | None = strawberry.field(description="Town.")
    region: str | None = strawberry.field(description="State, county or province.")
    postal_code: str | None = strawberry.field(description="Postal code.")
    country: str | None = strawberry.field(description="ISO 3166-1, two letters.")


@strawberry.type(description="What is charged.")
class PaymentMethod:
    type: str = strawberry.field(description="Such as `card`.")
    brand: str | None = strawberry.field(description="Of a card.")
    last4: str | None = strawberry.field(description="Last digits of a card.")
    expires: str | None = strawberry.field(description="Year and month: `2028-04`.")


@strawberry.type(description="Whom invoices are made out to, and what is charged.")
class BillingDetails:
    row: strawberry.Private[queries.Details]

    @strawberry.field(description="Name on invoices; null is the organization's name.")
    def legal_name(self) -> str | None:
        return self.row.legal_name

    @strawberry.field(description="Where mail about money goes, too.")
    def billing_email(self) -> str | None:
        return self.row.billing_email

    @strawberry.field(description="Address on invoices.")
    def address(self) -> BillingAddress:
        get = self.row.address.get
        return BillingAddress(
            line1=get("line1"),
            line2=get("line2"),
            city=get("city"),
            region=get("region"),
            postal_code=get("postal_code"),
            country=get("country"),
        )

    @strawberry.field(description="Tax number on invoices.")
    def tax_id(self) -> str | None:
        return self.row.tax_id

    @strawberry.field(description="Currency of invoices, ISO 4217.")
    def currency(self) -> str:
        return self.row.currency

    @strawberry.field(description="What was paid beyond what was owed; the next invoice uses it.")
    def account_balance(self) -> Money:
        return money(self.row.balance, self.row.currency)

    @strawberry.field(description="What is charged; null when nothing is stored.")
    def payment_method(self) -> PaymentMethod | None:
        found = self.row.payment_method
        if not found:
            return None
        return PaymentMethod(
            type=str(found["type"]),
            brand=found.get("brand"),
            last4=found.get("last4"),
            expires=found.get("expires"),
        )


@strawberry.input(description="Which invoices to list.")
class InvoiceFilter:
    status: InvoiceStatus | None = strawberry.field(
        default=None, description="Only those with this status."
    )
    created_after: datetime | None = strawberry.field(
        default=None, description="Made then or later."
    )
    created_before: datetime | None = strawberry.field(
        default=None, description="Made before then."
    )


@strawberry.type(description="What the organization pays for, and what it has paid.")
class Billing:
    @strawberry.field(description="The present plan. Needs `billing:read`.")
    async def plan(self, info: Info) -> BillingPlan:
        row = await queries.get_subscription(actor_of(info))
        return BillingPlan(offer=offer_of(row.plan))

    @strawberry.field(description="The plan and what is paid for it. Needs `billing:read`.")
    async def subscription(self, info: Info) -> PlanSubscription:
        return PlanSubscription(row=await queries.get_subscription(actor_of(info)))

    @strawberry.field(
        description="Plans that can be changed to, the least first. Needs `billing:read`."
    )
    async def available_plans(self, info: Info) -> list[BillingPlan]:
        found = await queries.list_offers(actor_of(info))
        return [BillingPlan(offer=offer) for offer in found]

    @strawberry.field(description="What of the plan is used this month. Needs `billing:read`.")
    async def usage(self, info: Info) -> PlanUsage:
        found = await queries.get_usage(actor_of(info))
        return PlanUsage(
            emails=BigInt(found.emails),
            domains=found.domains,
            vmtas=found.vmtas,
            users=found.users,
        )

    @strawberry.field(description="Name and address on invoices. Needs `billing:read`.")
    async def details(self, info: Info) -> BillingDetails:
        return BillingDetails(row=await queries.get_details(actor_of(info)))

    @strawberry.field(description="One invoice. Needs `billing:read`.")
    async def invoice(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Its id or UUID.")],
    ) -> Invoice:
        found = await queries.get_invoice(actor_of(info), parse_id(id, "Invoice"))
        return invoice_type(found)

    @strawberry.field(description="Invoices, the newest first. Needs `billing:read`.")
    async def invoices(
        self,
        info: Info,
        filter: Annotated[
            InvoiceFilter | None, strawberry.argument(description="Only some of them.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Invoice]:
        actor, wanted = actor_of(info), filter or InvoiceFilter()
        where = queries.InvoiceFilter(wanted.status, wanted.created_after, wanted.created_before)
        page = await queries.list_invoices(
            actor, page_request(first, after, last, before, maximum=500), where=where
        )
        return to_connection(
            page, invoice_type, count=lambda: queries.count_invoices(actor, where=where)
        )

    @strawberry.field(
        description="Usage by period, the newest first, empty ones included; at most 400, left "
        "out the last 12. Needs `billing:read`."
    )
    async def usage_rollup(
        self,
        info: Info,
        granularity: Annotated[
            Granularity, strawberry.argument(description="How long a period is.")
        ] = Granularity.MONTH,
        since: Annotated[
            datetime | None, strawberry.argument(description="A time in the oldest period.")
        ] = None,
        until: Annotated[
            datetime | None, strawberry.argument(description="After the newest; left out, now.")
        ] = None,
    ) -> list[UsagePeriod]:
        found = await rollup.list_usage(actor_of(info), granularity, since=since, until=until)
        return [UsagePeriod(row=period) for period in found]


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="What the organization pays for.")
    def billing(self) -> Billing:
        return Billing()


def money_of(amount: Amount | None) -> Money | None:
    """Return an amount as the schema shows it, or None."""
    return None if amount is None else money(amount.amount, amount.currency)
