"""What billing asks of a payment provider, and what a provider tells it.

A provider collects money and tells that it came; what is owed, and what a payment brings, is
decided here. With `manual` there is none: an operator says which invoices are paid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Protocol
from uuid import UUID

from ..core.actor import OrganizationId
from ..core.money import Money
from ..core.settings import settings

MANUAL, STRIPE = "manual", "stripe"


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One thing that is bought."""

    description: str
    quantity: int
    price: Money
    """Of one."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer is sent to the provider's page with."""

    checkout_id: UUID
    organization_id: OrganizationId
    customer_ref: str
    lines: Sequence[OrderLine]
    """Empty where nothing is paid: a payment method is stored only."""
    keeps_method: bool
    """The payment method is stored, to be charged later."""
    success_url: str
    cancel_url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OpenedCheckout:
    """The provider's page for one order."""

    ref: str
    url: str


@dataclass(frozen=True, slots=True)
class Charge:
    """A stored payment method to be charged for one invoice."""

    invoice_id: UUID
    organization_id: OrganizationId
    number: str
    attempt: int
    """The same attempt is charged once, however often it is asked for."""
    amount: Money
    customer_ref: str
    method_ref: str


class ChargeState(StrEnum):
    """What became of a charge."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    """The provider will tell."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Charged:
    """What a provider answered to a charge."""

    state: ChargeState
    ref: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class StoredMethod:
    """A payment method as customers recognise it."""

    ref: str
    type: str
    brand: str | None = None
    last4: str | None = None
    expires: str | None = None
    """Year and month: `2028-04`."""


class NotificationKind(StrEnum):
    """What a provider tells."""

    CHECKOUT_PAID = "checkout_paid"
    CHECKOUT_EXPIRED = "checkout_expired"
    PAYMENT_SUCCEEDED = "payment_succeeded"
    PAYMENT_FAILED = "payment_failed"
    METHOD_REMOVED = "method_removed"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Notification:
    """Something that happened at the provider; it may come late, twice or out of order."""

    id: str
    type: str
    """The provider's word."""
    kind: NotificationKind
    sent_at: datetime
    checkout_ref: str | None = None
    payment_ref: str | None = None
    invoice_id: UUID | None = None
    customer_ref: str | None = None
    method_ref: str | None = None
    amount: Money | None = None
    attempt: int | None = None
    """Which one it was of those to charge a stored method."""


class NotGenuine(Exception):
    """A notification is not signed by the provider, or was signed too long ago."""


class PaymentProvider(Protocol):
    """Collects money. Each call may raise PaymentProviderError."""

    name: str

    async def make_customer(self, organization_id: OrganizationId, *, name: str) -> str:
        """Return the provider's id of a customer; asking twice makes one."""

    async def open_checkout(self, order: Order) -> OpenedCheckout:
        """Make a page where *order* is paid."""

    async def charge(self, charge: Charge) -> Charged:
        """Charge a stored payment method; a refusal is an answer, not an error."""

    async def find_charge(self, charge: Charge) -> Charged | None:
        """Return what became of an attempt that was made before, or None: it never was."""

    async def find_method(self, checkout_ref: str) -> StoredMethod | None:
        """Return what a finished checkout was paid with, if it can be charged again."""

    def read_notification(self, body: bytes, signature: str | None) -> Notification:
        """Return what a webhook tells.

        Raises:
            NotGenuine: the signature does not fit, or is too old.
        """


def provider_name() -> str:
    """Return which provider there is: `manual` or `stripe`."""
    found = settings()
    if found.payment == "auto":
        return STRIPE if found.stripe_secret_key else MANUAL
    return found.payment


def find_provider() -> PaymentProvider | None:
    """Return who collects money, or None: an operator does."""
    if provider_name() == MANUAL:
        return None
    found = settings()
    return _stripe(found.stripe_secret_key, found.stripe_webhook_secret, found.stripe_api_url)


@lru_cache(maxsize=1)
def _stripe(secret_key: str, webhook_secret: str, api_url: str) -> PaymentProvider:
    # Its client takes a third of a second to import, which those without it are spared.
    from .stripe_payments import StripePayments

    return StripePayments(secret_key, webhook_secret=webhook_secret, api_url=api_url)
