"""Offering something to buy."""

import json
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from ...accounts.work import get_tenant
from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, Permission
from ...core.database import Tx, transaction
from ...core.errors import Conflict, DetailCode, InvalidInput
from ...core.ids import new_id
from ...core.money import Money
from ...core.settings import settings
from ...credits.packages import find_package
from ...credits.rules import CreditType
from ...security import idempotency
from ..customers import customer_of
from ..errors import AlreadySubscribed, BillingNotConfigured, ContactSales
from ..invoicing import NewInvoice, NewLine, credits_granted, issue, part_line
from ..plans import PlanOffer
from ..provider import MANUAL, OpenedCheckout, Order, OrderLine, PaymentProvider, find_provider
from ..rules import (
    CHECKOUT_LIFETIME,
    CURRENCY,
    PAYMENT_TERM,
    CheckoutStatus,
    CheckoutType,
    Granularity,
    Interval,
    InvoiceReason,
    SubscriptionStatus,
    period_end,
    period_start,
)
from ..subscribing import NEVER_PAID, first_subscription, lock_subscription
from ..tables import Checkout, Subscription
from .asked import checked_interval, checked_offer

CREATE = "createCheckout"
"""Under this name the answers of `create_checkout` are kept for repeated requests."""

MOST_PACKAGES = 100
LONGEST_URL = 2_048


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """What somebody wants to buy."""

    type: CheckoutType
    plan: str | None = None
    interval: Interval = Interval.MONTH
    package_id: str | None = None
    quantity: int = 1
    success_url: str | None = None
    cancel_url: str | None = None


@dataclass(frozen=True, slots=True)
class CreatedCheckout:
    """A checkout; *replayed* when an earlier request with the same key made it."""

    checkout: Checkout
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class _Basket:
    lines: tuple[NewLine, ...]
    currency: str
    shown: tuple[dict[str, object], ...]
    keeps_method: bool

    @property
    def amount(self) -> int:
        return sum(line.quantity * line.unit_amount for line in self.lines)


async def create_checkout(
    actor: Actor, request: CheckoutRequest, *, idempotency_key: str | None = None
) -> CreatedCheckout:
    """Offer what is asked for; it is granted once it is paid, and not before.

    With a provider, the customer pays on its page within 24 hours. Without one, an invoice
    is open until an operator says that it is paid; only credits are sold so.

    Raises:
        InvalidInput: names every field that breaks a rule.
        BillingNotConfigured: without a provider there are no plans and payment methods to buy.
        AlreadySubscribed: a plan is paid for already.
        ContactSales: the plan is agreed by contract.
        PaymentProviderError: the provider cannot be reached; nothing was made.
    """
    actor.require(Permission.WRITE_BILLING)
    mark = idempotency.fingerprint(repr(request))
    try:
        return await _create(actor, request, idempotency_key, mark)
    except (idempotency.KeyReused, idempotency.StillRunning):
        raise
    except (InvalidInput, Conflict) as refusal:
        if idempotency_key is not None:
            await idempotency.store_refusal(
                actor.organization_id, CREATE, idempotency_key, mark, refusal
            )
        raise


async def _create(
    actor: Actor, request: CheckoutRequest, key: str | None, mark: bytes
) -> CreatedCheckout:
    if key is not None:
        kept = await idempotency.find(actor.organization_id, CREATE, key, mark)
        if kept is not None:
            return await _made_before(actor, kept)
    urls = _urls(request)
    provider = find_provider()
    basket = await _basket(actor, request, provider)
    checkout_id = new_id()
    expires_at = clock.now() + (CHECKOUT_LIFETIME if provider else PAYMENT_TERM)
    opened = None
    if provider is not None:
        opened = await _open(provider, actor, checkout_id, basket, urls, expires_at)
    async with transaction() as tx:
        if key is not None:
            kept = await idempotency.claim(tx, actor.organization_id, CREATE, key, mark)
            if kept is not None:
                return await _made_before(actor, kept)
        row = await _insert(tx, actor, request, basket, checkout_id, expires_at, opened)
        if key is not None:
            answer = {"checkoutId": str(row.id)}
            await idempotency.store(tx, actor.organization_id, CREATE, key, answer)
    return CreatedCheckout(row)


async def _made_before(actor: Actor, kept: idempotency.StoredAnswer) -> CreatedCheckout:
    row = (
        await Checkout.objects()
        .where(Checkout.id == UUID(kept.result()["checkoutId"]))
        .where(Checkout.organization_id == actor.organization_id)
        .first()
    )
    assert row is not None
    return CreatedCheckout(row, replayed=True)


async def _basket(
    actor: Actor, request: CheckoutRequest, provider: PaymentProvider | None
) -> _Basket:
    if request.type is CheckoutType.CREDITS:
        return await _credits(request)
    if request.type is CheckoutType.PLAN:
        offer = checked_offer(request.plan)
        checked_interval(offer, request.interval)
    if provider is None:
        raise BillingNotConfigured
    if request.type is CheckoutType.PAYMENT_METHOD:
        return _Basket((), CURRENCY, (), keeps_method=True)
    if offer.by_contract:
        raise ContactSales
    await _refuse_subscribed(actor)
    return _plan(offer, request.interval)


async def _credits(request: CheckoutRequest) -> _Basket:
    if request.package_id is None:
        raise InvalidInput.of("packageId", DetailCode.REQUIRED, "Name the package to buy.")
    if not 1 <= request.quantity <= MOST_PACKAGES:
        code = DetailCode.TOO_SMALL if request.quantity < 1 else DetailCode.TOO_LARGE
        raise InvalidInput.of("quantity", code, f"Buy 1 to {MOST_PACKAGES} at a time.")
    package = await find_package(request.package_id)
    if package is None:
        raise InvalidInput.of("packageId", DetailCode.NOT_FOUND, "There is no such package.")
    count = request.quantity
    granted = credits_granted(
        CreditType(package.type), package.quantity * count, package.validity_days
    )
    line = NewLine(package.name, count, package.price_amount, granted)
    shown: dict[str, object] = {"package_id": package.code, "quantity": count}
    return _Basket((line,), package.price_currency, (shown,), keeps_method=False)


def _plan(offer: PlanOffer, interval: Interval) -> _Basket:
    now = clock.now()
    start = period_start(Granularity.MONTH, now)
    end = period_end(Granularity.MONTH, start)
    line = part_line(offer, InvoiceReason.PLAN, start=start, end=end, at=now)
    shown: dict[str, object] = {"plan": offer.plan.value, "interval": interval.value, "quantity": 1}
    return _Basket((line,), offer.price.currency, (shown,), keeps_method=True)


async def _refuse_subscribed(actor: Actor) -> None:
    row = (
        await Subscription.objects()
        .where(Subscription.organization_id == actor.organization_id)
        .first()
    ) or first_subscription(actor.organization_id, await get_tenant(actor.organization_id))
    if row.plan not in NEVER_PAID and row.status != SubscriptionStatus.CANCELLED:
        raise AlreadySubscribed


def _urls(request: CheckoutRequest) -> tuple[str, str]:
    return (
        _checked_url("successUrl", request.success_url),
        _checked_url("cancelUrl", request.cancel_url),
    )


def _checked_url(field: str, url: str | None) -> str:
    own = settings().public_url
    if url is None:
        return own
    try:
        found, ours = urlsplit(url), urlsplit(own)
        same = (found.scheme, found.hostname, found.port) == (ours.scheme, ours.hostname, ours.port)
        allowed = same or (found.scheme == "https" and found.hostname == ours.hostname)
    except ValueError:
        allowed = False
    if len(url) > LONGEST_URL or not url.isprintable() or not url.isascii() or " " in url:
        allowed = False
    if not allowed or found.username is not None:
        raise InvalidInput.of(
            field, DetailCode.INVALID_URL, f"Write an https URL on the host of {own}."
        )
    return url


async def _open(
    provider: PaymentProvider,
    actor: Actor,
    checkout_id: UUID,
    basket: _Basket,
    urls: tuple[str, str],
    expires_at: datetime,
) -> OpenedCheckout:
    customer_ref = await customer_of(provider, actor.organization_id)
    lines = tuple(
        OrderLine(line.description, line.quantity, Money(line.unit_amount, basket.currency))
        for line in basket.lines
        if line.unit_amount
    )
    return await provider.open_checkout(
        Order(
            checkout_id=checkout_id,
            organization_id=actor.organization_id,
            customer_ref=customer_ref,
            lines=lines,
            keeps_method=basket.keeps_method,
            success_url=urls[0],
            cancel_url=urls[1],
            expires_at=expires_at,
        )
    )


async def _insert(
    tx: Tx,
    actor: Actor,
    request: CheckoutRequest,
    basket: _Basket,
    checkout_id: UUID,
    expires_at: datetime,
    opened: OpenedCheckout | None,
) -> Checkout:
    row = Checkout(
        id=checkout_id,
        organization_id=actor.organization_id,
        type=request.type.value,
        status=CheckoutStatus.OPEN.value,
        provider=MANUAL,
        url="",
        currency=basket.currency,
        amount=basket.amount,
        lines=json.dumps([_stored(line) for line in basket.lines]),
        items=json.dumps(basket.shown),
        user_id=actor.user_id,
        expires_at=expires_at,
    )
    if opened is not None:
        provider = find_provider()
        assert provider is not None
        row.provider, row.provider_ref, row.url = provider.name, opened.ref, opened.url
    else:
        await lock_subscription(tx, actor.organization_id)
        invoice = await issue(
            tx,
            actor.organization_id,
            NewInvoice(
                reason=InvoiceReason.CREDITS,
                provider=MANUAL,
                currency=basket.currency,
                lines=basket.lines,
                due_at=expires_at,
            ),
        )
        row.invoice_id = invoice.id
        row.url = f"{settings().public_url}/billing/invoices/{invoice.id}"
    await Checkout.insert(row)
    await audit.record(
        tx,
        actor,
        action="billing.checkout_created",
        target_type="checkout",
        target_id=row.id,
        changes={
            "type": row.type,
            "items": list(basket.shown),
            "amount": {"amount": row.amount, "currency": row.currency},
        },
    )
    return row


def _stored(line: NewLine) -> dict[str, object]:
    return {
        "description": line.description,
        "quantity": line.quantity,
        "unit_amount": line.unit_amount,
        "grants": dict(line.grants),
    }
