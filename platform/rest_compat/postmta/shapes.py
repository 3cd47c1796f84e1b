"""PostMTA's words ↔ ours, wherever more than one of its endpoints uses them."""

from ..answers import Leaf, word

SOURCE = "https://postmta.pages.dev/docs/api-reference"
"""The page that lists every endpoint; it has no anchors to link to."""

CREDIT_TYPE = word("email", "inbound", "validation", "spam_check", "av_scan")
RECIPIENT_STATUSES = (
    "scheduled",
    "queued",
    "sending",
    "deferred",
    "delivered",
    "bounced",
    "expired",
    "suppressed",
    "cancelled",
)
RECIPIENT_STATUS = word(*RECIPIENT_STATUSES)
MESSAGE_STATUSES = (*RECIPIENT_STATUSES, "partial")
MESSAGE_STATUS = word(*MESSAGE_STATUSES)
MODES = ("live", "sandbox")
MODE = word(*MODES)
STREAMS = ("transactional", "marketing")
STREAM = word(*STREAMS)
BOUNCE_CLASSES = (
    "invalid_recipient",
    "inactive_mailbox",
    "bad_domain",
    "mailbox_full",
    "temporary_failure",
    "connection_failure",
    "rate_limited",
    "auth_failure",
    "content_rejected",
    "reputation_block",
    "policy_rejected",
    "unclassified",
)
BOUNCE_CLASS = word(*BOUNCE_CLASSES)
ISPS = ("google", "microsoft", "yahoo", "apple", "comcast", "gmx", "other")
ISP = word(*ISPS)
EVENT_TYPES = tuple(
    f"message.{event}"
    for event in (
        "queued",
        "sent",
        "delivered",
        "deferred",
        "bounced",
        "expired",
        "suppressed",
        "cancelled",
        "complained",
        "opened",
        "clicked",
        "unsubscribed",
    )
)
ROLES = ("owner", "admin", "developer", "billing", "viewer")
ROLE = word(*ROLES)
USER_STATUS = word("active", "disabled")
ORGANIZATION_STATUS = word("active", "suspended")
PLAN = word("trial", "starter", "professional", "enterprise", "self_hosted")
KEY_STATUSES = ("active", "expired", "disabled", "rotating")
KEY_STATUS = word(*KEY_STATUSES)


def bracketed() -> Leaf:
    """Return the leaf that writes a Message-ID in angle brackets, as headers hold it."""
    return Leaf({"type": "string"}, lambda value: f"<{value}>")
