"""The kinds of events; values are public, and webhooks subscribe to them."""

from collections.abc import Mapping
from enum import StrEnum

from ..core.actor import Permission


class EventType(StrEnum):
    """What happened; more are added freely, none is renamed."""

    MESSAGE_QUEUED = "message.queued"
    MESSAGE_SENT = "message.sent"
    MESSAGE_DELIVERED = "message.delivered"
    MESSAGE_DEFERRED = "message.deferred"
    MESSAGE_BOUNCED = "message.bounced"
    MESSAGE_EXPIRED = "message.expired"
    MESSAGE_SUPPRESSED = "message.suppressed"
    MESSAGE_CANCELLED = "message.cancelled"
    MESSAGE_COMPLAINED = "message.complained"
    MESSAGE_OPENED = "message.opened"
    MESSAGE_CLICKED = "message.clicked"
    MESSAGE_UNSUBSCRIBED = "message.unsubscribed"
    DOMAIN_VERIFIED = "domain.verified"
    DOMAIN_DEGRADED = "domain.degraded"
    DOMAIN_FAILED = "domain.failed"
    DOMAIN_DKIM_ROTATED = "domain.dkim_rotated"
    VMTA_PAUSED = "vmta.paused"
    VMTA_RESUMED = "vmta.resumed"
    VMTA_WARMUP_ADVANCED = "vmta.warmup_advanced"
    VMTA_WARMUP_ADJUSTED = "vmta.warmup_adjusted"
    VMTA_WARMUP_COMPLETED = "vmta.warmup_completed"
    CREDITS_LOW = "credits.low"
    CREDITS_DEPLETED = "credits.depleted"
    BILLING_PLAN_CHANGED = "billing.plan_changed"
    BILLING_INVOICE_CREATED = "billing.invoice_created"
    BILLING_PAYMENT_FAILED = "billing.payment_failed"
    SUPPRESSION_CREATED = "suppression.created"
    SUPPRESSION_REMOVED = "suppression.removed"
    SECURITY_AUTO_BLOCK_TRIGGERED = "security.auto_block_triggered"
    SECURITY_AUTO_BLOCK_RESOLVED = "security.auto_block_resolved"
    SECURITY_DNSBL_LISTED = "security.dnsbl_listed"
    SECURITY_DNSBL_DELISTED = "security.dnsbl_delisted"
    WEBHOOK_TEST = "webhook.test"


ENTRIES = frozenset({EventType.MESSAGE_QUEUED, EventType.MESSAGE_SUPPRESSED})
"""The first event of each recipient, one for each when a message is accepted."""

EXITS = frozenset(
    {
        EventType.MESSAGE_DELIVERED,
        EventType.MESSAGE_BOUNCED,
        EventType.MESSAGE_EXPIRED,
        EventType.MESSAGE_CANCELLED,
    }
)
"""Events that take a delivery out of its queue."""

NO_WEBHOOKS = {"fire_webhooks": False}
"""In the data of an event that webhooks are not called for: somebody simulated it so."""
LOCAL = {"local": True}
"""In the data of an event about a failure of our own, when no receiver was asked."""


READING: Mapping[str, Permission] = {
    "message": Permission.READ_MESSAGES,
    "domain": Permission.READ_DOMAINS,
    "vmta": Permission.READ_VMTAS,
    "credits": Permission.READ_CREDITS,
    "billing": Permission.READ_BILLING,
    "suppression": Permission.READ_MESSAGES,
    "security": Permission.READ_SECURITY,
    "webhook": Permission.READ_WEBHOOKS,
}
"""What one has to hold to read events, by the kind that their type begins with."""


def permission_for(type: str) -> Permission:
    """Return what one has to hold to read events of this type."""
    return READING[type.partition(".")[0]]
