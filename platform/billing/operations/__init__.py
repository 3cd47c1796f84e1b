"""Buying, changing plans, marking invoices paid, and saying whom they are made out to."""

from .answers import PlanChange
from .checkout import CheckoutRequest, CreatedCheckout, create_checkout
from .details import BillingDetails, update_details
from .downgrade import downgrade_plan
from .invoices import mark_paid
from .upgrade import upgrade_plan

__all__ = [
    "BillingDetails",
    "CheckoutRequest",
    "CreatedCheckout",
    "PlanChange",
    "create_checkout",
    "downgrade_plan",
    "mark_paid",
    "update_details",
    "upgrade_plan",
]
