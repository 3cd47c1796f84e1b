"""Stripe as the payment provider: Checkout for what is bought, PaymentIntents for the rest.

Source: https://docs.stripe.com/api
"""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import stripe
from stripe._http_client import HTTPXClient

from ..core.actor import OrganizationId
from ..core.ids import parse_id
from ..core.money import CURRENCY, Money
from .errors import PaymentProviderError
from .provider import (
    STRIPE,
    Charge,
    Charged,
    ChargeState,
    NotGenuine,
    Notification,
    NotificationKind,
    OpenedCheckout,
    Order,
    StoredMethod,
)

SECONDS = 20.0
LARGEST_AMOUNT = 10**12
"""Minor units; more than that is no payment. Source: Stripe, at most twelve digits."""

TOLERANCE_SECONDS = 300
"""How old a signature may be. Source: https://docs.stripe.com/webhooks#replay-attacks."""

_KINDS = {
    "checkout.session.completed": NotificationKind.CHECKOUT_PAID,
    "checkout.session.async_payment_succeeded": NotificationKind.CHECKOUT_PAID,
    "checkout.session.async_payment_failed": NotificationKind.CHECKOUT_EXPIRED,
    "checkout.session.expired": NotificationKind.CHECKOUT_EXPIRED,
    "payment_intent.succeeded": NotificationKind.PAYMENT_SUCCEEDED,
    "payment_intent.payment_failed": NotificationKind.PAYMENT_FAILED,
    "payment_method.detached": NotificationKind.METHOD_REMOVED,
}
_NO_EVENT = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
_ATTEMPT = re.compile("[1-9][0-9]?", re.ASCII)
_STATES = {"succeeded": ChargeState.SUCCEEDED, "processing": ChargeState.PENDING}


class StripePayments:
    """Talks to Stripe, or to what stands in for it."""

    name = STRIPE

    def __init__(self, secret_key: str, *, webhook_secret: str, api_url: str) -> None:
        self._webhook_secret = webhook_secret
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_url},
            http_client=HTTPXClient(timeout=SECONDS),
            # Each request carries an idempotency key, so that a repeat does nothing twice.
            max_network_retries=2,
        )

    async def make_customer(self, organization_id: OrganizationId, *, name: str) -> str:
        """Return the provider's id of a customer; asking twice makes one."""
        # With another name it is another request, which the provider would refuse under the same.
        mark = hashlib.sha256(name.encode()).hexdigest()[:16]
        try:
            made = await self._client.v1.customers.create_async(
                {"name": name, "metadata": {"organization_id": str(organization_id)}},
                {"idempotency_key": f"customer-{organization_id}-{mark}"},
            )
        except stripe.StripeError as error:
            raise PaymentProviderError from error
        return made.id

    async def open_checkout(self, order: Order) -> OpenedCheckout:
        """Make a page where *order* is paid, or where a payment method is stored."""
        try:
            made = await self._client.v1.checkout.sessions.create_async(
                _session(order), {"idempotency_key": f"checkout-{order.checkout_id}"}
            )
        except stripe.StripeError as error:
            raise PaymentProviderError from error
        return OpenedCheckout(made.id, made.url or "")

    async def charge(self, charge: Charge) -> Charged:
        """Charge a stored payment method; a refusal is an answer, not an error."""
        try:
            made = await self._client.v1.payment_intents.create_async(
                {
                    "amount": charge.amount.amount,
                    "currency": charge.amount.currency.lower(),
                    "customer": charge.customer_ref,
                    "payment_method": charge.method_ref,
                    "off_session": True,
                    "confirm": True,
                    "description": charge.number,
                    "metadata": {
                        "invoice_id": str(charge.invoice_id),
                        "organization_id": str(charge.organization_id),
                        "attempt": str(charge.attempt),
                    },
                },
                {"idempotency_key": f"invoice-{charge.invoice_id}-{charge.attempt}"},
            )
        except stripe.CardError as error:
            return Charged(ChargeState.FAILED, message=error.user_message or "")
        except stripe.IdempotencyError as error:
            # It was made with another payment method than is stored now.
            if (found := await self.find_charge(charge)) is None:
                raise PaymentProviderError from error
            return found
        except stripe.InvalidRequestError as error:
            if error.param in ("payment_method", "customer"):
                return Charged(ChargeState.FAILED, message="The payment method cannot be charged.")
            raise PaymentProviderError from error
        except stripe.StripeError as error:
            raise PaymentProviderError from error
        return _charged(made)

    async def find_charge(self, charge: Charge) -> Charged | None:
        """Return what became of an attempt that was made before, or None: it never was."""
        try:
            made = await self._client.v1.payment_intents.list_async(
                {"customer": charge.customer_ref, "limit": 100}
            )
        except stripe.StripeError as error:
            raise PaymentProviderError from error
        wanted = {"invoice_id": str(charge.invoice_id), "attempt": str(charge.attempt)}
        found = [
            _charged(each)
            for each in made.data
            if all(getattr(each.metadata, name, None) == is_ for name, is_ in wanted.items())
        ]
        # Success counts, should there be two.
        return min(found, key=lambda each: list(ChargeState).index(each.state), default=None)

    async def find_method(self, checkout_ref: str) -> StoredMethod | None:
        """Return what a finished checkout was paid with, if it can be charged again."""
        try:
            session = await self._client.v1.checkout.sessions.retrieve_async(
                checkout_ref,
                {"expand": ["payment_intent.payment_method", "setup_intent.payment_method"]},
            )
        except stripe.StripeError as error:
            raise PaymentProviderError from error
        intent: Any = session.payment_intent or session.setup_intent
        return _method(getattr(intent, "payment_method", None))

    def read_notification(self, body: bytes, signature: str | None) -> Notification:
        """Return what a webhook tells.

        Source: https://docs.stripe.com/webhooks#verify-manually

        Raises:
            NotGenuine: the signature does not fit, or is too old.
        """
        try:
            text = body.decode("utf-8")
            stripe.WebhookSignature.verify_header(
                text, signature, self._webhook_secret, TOLERANCE_SECONDS
            )
            event = json.loads(text)
            return _notification(event)
        except stripe.SignatureVerificationError as error:
            raise NotGenuine("The signature does not fit, or is too old.") from error
        except _NO_EVENT as error:
            raise NotGenuine("This is no event of Stripe's.") from error


def _charged(intent: Any) -> Charged:
    # What asks for the customer's presence cannot be had without them.
    return Charged(_STATES.get(intent.status, ChargeState.FAILED), intent.id)


def _session(order: Order) -> Any:
    metadata = {
        "checkout_id": str(order.checkout_id),
        "organization_id": str(order.organization_id),
    }
    asked: dict[str, Any] = {
        "mode": "payment" if order.lines else "setup",
        "customer": order.customer_ref,
        "client_reference_id": str(order.checkout_id),
        "metadata": metadata,
        "success_url": order.success_url,
        "cancel_url": order.cancel_url,
        # It ends after a day, which is also the longest that may be asked for: said by a clock
        # that is a second ahead of theirs, it would be refused.
    }
    if not order.lines:
        return asked | {"currency": "usd"}
    asked["line_items"] = [
        {
            "quantity": line.quantity,
            "price_data": {
                "currency": line.price.currency.lower(),
                "unit_amount": line.price.amount,
                "product_data": {"name": line.description},
            },
        }
        for line in order.lines
    ]
    asked["payment_intent_data"] = {"metadata": metadata}
    if order.keeps_method:
        asked["payment_intent_data"]["setup_future_usage"] = "off_session"
    return asked


def _method(found: Any) -> StoredMethod | None:
    if found is None or isinstance(found, str):
        return None
    card = getattr(found, "card", None)
    if card is None:
        return StoredMethod(found.id, found.type)
    return StoredMethod(
        found.id, found.type, card.brand, card.last4, f"{card.exp_year}-{card.exp_month:02d}"
    )


def _notification(event: Mapping[str, Any]) -> Notification:
    kind = _KINDS.get(event["type"], NotificationKind.OTHER)
    about = event["data"]["object"]
    is_checkout = kind in (NotificationKind.CHECKOUT_PAID, NotificationKind.CHECKOUT_EXPIRED)
    is_payment = kind in (NotificationKind.PAYMENT_SUCCEEDED, NotificationKind.PAYMENT_FAILED)
    if kind is NotificationKind.CHECKOUT_PAID and about["payment_status"] == "unpaid":
        # A method that takes days: another event follows when the money is there.
        kind = NotificationKind.OTHER
    return Notification(
        id=_text(event["id"]),
        type=_text(event["type"])[:100],
        kind=kind,
        sent_at=datetime.fromtimestamp(event["created"], UTC),
        checkout_ref=_text(about["id"]) if is_checkout else None,
        payment_ref=_payment_ref(about, is_checkout=is_checkout, is_payment=is_payment),
        invoice_id=_invoice_id(about) if is_payment else None,
        customer_ref=_maybe_text(about.get("customer")),
        method_ref=_text(about["id"]) if kind is NotificationKind.METHOD_REMOVED else None,
        amount=_amount(about, is_checkout=is_checkout, is_payment=is_payment),
        attempt=_attempt(about) if is_payment else None,
    )


def _payment_ref(about: Mapping[str, Any], *, is_checkout: bool, is_payment: bool) -> str | None:
    if is_payment:
        return _text(about["id"])
    return _maybe_text(about.get("payment_intent")) if is_checkout else None


def _invoice_id(about: Mapping[str, Any]) -> UUID | None:
    found = (about.get("metadata") or {}).get("invoice_id")
    return parse_id(found) if isinstance(found, str) else None


def _attempt(about: Mapping[str, Any]) -> int | None:
    found = (about.get("metadata") or {}).get("attempt")
    return int(found) if isinstance(found, str) and _ATTEMPT.fullmatch(found) else None


def _amount(about: Mapping[str, Any], *, is_checkout: bool, is_payment: bool) -> Money | None:
    name = "amount_total" if is_checkout else "amount" if is_payment else ""
    amount, currency = about.get(name), about.get("currency")
    if type(amount) is not int or not isinstance(currency, str):
        return None
    code = currency.upper()
    is_money = 0 <= amount <= LARGEST_AMOUNT and CURRENCY.fullmatch(code)
    return Money(amount, code) if is_money else None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 255 or not value.isprintable():
        raise ValueError("no id or type")
    return value


def _maybe_text(value: Any) -> str | None:
    with suppress(ValueError):
        return _text(value)
    return None
