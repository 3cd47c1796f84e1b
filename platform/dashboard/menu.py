"""Where one can go within an organization: the menu, the palette and the keys say the same."""

from collections.abc import Sequence
from typing import NamedTuple

from ..core.languages import marked as N_


class Entry(NamedTuple):
    """One page of the menu."""

    to: str
    """Behind the organization's address."""
    word: str
    icon: str
    needs: str | None = None
    """The permission without which it is left out."""
    key: str = ""
    """The letter that leads there after `g`."""


MENU: Sequence[tuple[str, Sequence[Entry]]] = (
    (
        "",
        (
            Entry("", N_("Overview"), "layout-dashboard", key="o"),
            Entry("/messages", N_("Messages"), "send", "messages:read", "m"),
            Entry("/captured", N_("Captured mail"), "inbox", "messages:read", "c"),
            Entry("/templates", N_("Templates"), "file-text", "templates:read", "n"),
            Entry("/analytics", N_("Analytics"), "chart-line", "analytics:read", "a"),
        ),
    ),
    (
        N_("Delivery"),
        (
            Entry("/queues", N_("Queues"), "hourglass", "queues:read", "q"),
            Entry("/vmtas", "vMTAs", "server", "vmtas:read", "v"),
            Entry("/domains", N_("Domains"), "globe", "domains:read", "d"),
            Entry("/suppressions", N_("Suppressions"), "ban", "messages:read", "s"),
            Entry("/security", N_("Security"), "shield", "security:read", "y"),
        ),
    ),
    (
        N_("Programs"),
        (
            Entry("/developers", N_("Developers"), "code-xml", None, "e"),
            Entry("/explorer", N_("API explorer"), "terminal", None, "x"),
            Entry("/keys", N_("API keys"), "key-round", "api_keys:read", "k"),
            Entry("/webhooks", N_("Webhooks"), "webhook", "webhooks:read", "w"),
            Entry("/mailboxes", N_("Mailboxes"), "mail", "projects:read", "i"),
        ),
    ),
    (
        N_("Organization"),
        (
            Entry("/members", N_("Members"), "users", "users:read", "p"),
            Entry("/billing", N_("Billing"), "credit-card", "credits:read", "b"),
            Entry("/audit", N_("Audit log"), "scroll-text", "audit:read", "l"),
            Entry("/jobs", N_("Exports and jobs"), "list-checks", "messages:read", "j"),
            Entry("/settings", N_("Settings"), "settings", None, "t"),
        ),
    ),
)
