"""PostMTA's words ↔ ours, wherever more than one of its endpoints uses them."""

from ..answers import Leaf, word

SOURCE = "https://postmta.pages.dev/docs/api-reference"
"""The page that lists every endpoint; it has no anchors to link to."""

CREDIT_TYPES = ("email", "inbound", "validation", "spam_check", "av_scan")
CREDIT_TYPE = word(*CREDIT_TYPES)
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
RECIPIENT_KINDS = ("to", "cc", "bcc")
RECIPIENT_KIND = word(*RECIPIENT_KINDS)
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
SAMPLES = {
    "slug": "receipt",
    "locale": "de",
    "layout": "frame",
    "sender": "Shop <shop@yourdomain.com>",
    "default": "customer",
    "missing": ["name"],
    "url": "https://checkout.example-provider.com/c/pay/cs_test_123",
    "tax_id": None,
    "region": None,
    "postal_code": "EC1A 1AA",
    "pdf_url": "https://mail.yourdomain.com/billing/invoices/0197a000-0000-7000-8000-000000000a01/pdf",
    "number": "INV-2026-0042",
    "line2": None,
    "line1": "1 Example Street",
    "legal_name": "Example Limited",
    "last4": "4242",
    "hosted_url": "https://mail.yourdomain.com/billing/invoices/0197a000-0000-7000-8000-000000000a01",
    "expires": "2028-04",
    "zone": "zen.spamhaus.org",
    "delist_url": "https://check.spamhaus.org/",
    "ip": "203.0.113.10",
    "file": "eicar.com",
    "engine": "clamav",
    "engine_version": "1.4.3",
    "sha256": "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f",
    "country": "GB",
    "city": "London",
    "brand": "visa",
    "billing_email": "billing@example.com",
    "address": "recipient@example.com",
    "allowed_domain": "yourdomain.com",
    "allowed_ip": "198.51.100.0/24",
    "batch_id": "campaign_spring_2026",
    "content_id": None,
    "content_type": "application/pdf",
    "default_pool": "default",
    "dmarc_rua": "dmarc@example.com",
    "logo_url": "https://example.com/brand/logo.svg",
    "vmc_url": "https://example.com/brand/vmc.pem",
    "domain": "yourdomain.com",
    "currency": "USD",
    "description": "List import",
    "details": [],
    "email": "ada@example.com",
    "enhanced_code": "2.0.0",
    "error": None,
    "event": "message.bounced",
    "filename": "invoice.pdf",
    "filters": {},
    "hostname": "mta1.example.com",
    "ip_address": "203.0.113.10",
    "ptr": "mta1.example.com",
    "tls": "opportunistic",
    "verdict": "good",
    "found": ["v=DMARC1; p=none"],
    "from": "sender@yourdomain.com",
    "header_name": "x-token",
    "headers": {"X-Order": "4711"},
    "html": "<p>Hello!</p>",
    "key": "pmta_a1b2c3d4_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
    "kind": "to",
    "last_used_ip": "198.51.100.7",
    "message_id": "<0197a000-0000-7000-8000-000000000301@yourdomain.com>",
    "message": "No TXT record found.",
    "metadata": {"order": "4711"},
    "mx_host": "mx1.example.com",
    "name": "Ada Admin",
    "next_cursor": None,
    "package_id": "email-100k",
    "pool": "default",
    "prefix": "pmta_a1b2c3d4",
    "reason": "The receiver asked for a pause.",
    "reference": "import-2026-06-01",
    "reply_to": ["answers@yourdomain.com"],
    "response_body": "ok",
    "return_path_domain": "bounce.yourdomain.com",
    "scope": "messages:send",
    "selector": "pmta",
    "site": "mx1.example.com",
    "subject": "Hello",
    "tag": "welcome",
    "text": "Hello!",
    "timezone": "Europe/Paris",
    "to": ["recipient@example.com"],
    "token": "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIwMTk3YTAwMCJ9.c2lnbmF0dXJl",
    "token_type": "Bearer",
    "tracking_domain": "t.yourdomain.com",
    "ttl": 3600,
    "type": "TXT",
    "value": "v=DMARC1; p=none",
    "vmta": "tx-1",
    "warning": "missing_text_part",
}
"""What fields look like, by their name, where the type alone would not say it."""


def bracketed() -> Leaf:
    """Return the leaf that writes a Message-ID in angle brackets, as headers hold it."""
    return Leaf({"type": "string"}, lambda value: f"<{value}>")
