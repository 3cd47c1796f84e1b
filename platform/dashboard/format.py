"""How values are written for people: times, counts, sizes, and states in words."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup, escape

from ..core.money import Money

STATES: dict[str, tuple[str, str, str]] = {
    # state: (tone, icon, word)
    "SCHEDULED": ("wait", "clock", "Scheduled"),
    "QUEUED": ("wait", "hourglass", "Queued"),
    "SENDING": ("wait", "send", "Sending"),
    "DEFERRED": ("warn", "rotate-cw", "Deferred"),
    "DELIVERED": ("good", "check", "Delivered"),
    "PARTIAL": ("warn", "circle-alert", "Partly delivered"),
    "BOUNCED": ("bad", "x", "Bounced"),
    "EXPIRED": ("bad", "timer-off", "Expired"),
    "SUPPRESSED": ("warn", "ban", "Suppressed"),
    "CANCELLED": ("idle", "circle-slash", "Cancelled"),
    "PENDING": ("wait", "hourglass", "Pending"),
    "VERIFIED": ("good", "check", "Verified"),
    "DEGRADED": ("warn", "triangle-alert", "Lost a record"),
    "FAILED": ("bad", "x", "Failed"),
    "MISMATCH": ("bad", "x", "Differs"),
    "ERROR": ("warn", "triangle-alert", "Not answered"),
    "DEAD": ("bad", "x", "Given up"),
    "BACKOFF": ("warn", "rotate-cw", "Slowed down"),
    "HELD": ("warn", "pause", "Held"),
    "PAUSED": ("warn", "pause", "Paused"),
    "OPEN": ("wait", "hourglass", "Open"),
    "PAID": ("good", "check", "Paid"),
    "VOID": ("idle", "circle-slash", "Void"),
    "UNCOLLECTIBLE": ("bad", "x", "Not paid"),
    "TRIALING": ("wait", "clock", "Trial"),
    "PAST_DUE": ("bad", "triangle-alert", "Payment is due"),
    "ACTIVE": ("good", "check", "Active"),
    "DISABLED": ("idle", "ban", "Disabled"),
    "SUSPENDED": ("bad", "ban", "Suspended"),
    "EXPIRING": ("warn", "clock", "Expires soon"),
}
"""Every state that a badge shows: a colour, an icon and a word, so that none stands alone."""


def moment(value: str | None) -> datetime | None:
    """Return a time of the schema as a time."""
    return None if value is None else datetime.fromisoformat(value.replace("Z", "+00:00"))


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone; UTC if there is none of the name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def time(value: str | None, zone: ZoneInfo) -> Markup:
    """Return a time in the person's zone, with UTC behind it."""
    at = moment(value)
    if at is None:
        return Markup("<span class=quiet>never</span>")
    shown = at.astimezone(zone)
    text = f"{shown.day} {shown:%b %Y, %H:%M}"
    exact = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(value, exact, text)


def count(value: int | str | None) -> str:
    """Return a whole number with its thousands apart; no number is a dash."""
    return "–" if value is None else f"{int(value):,}".replace(",", "\u202f")


def money(value: dict[str, Any]) -> str:
    """Return an amount of the schema as people write it."""
    return str(Money(int(value["amount"]), value["currency"]))


def size(value: int) -> str:
    """Return a size in bytes in the largest unit that leaves a number above one."""
    amount = float(value)
    for unit in ("B", "kB", "MB"):
        if amount < 1000 or unit == "MB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("unreachable")


def seconds(milliseconds: int) -> str:
    """Return how long something took."""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def words(value: str) -> str:
    """Return the name of a value of the schema as words."""
    return value.replace("_", " ").capitalize()


def sentence(delivery: dict[str, Any], zone: ZoneInfo) -> Markup:
    """Return what became of one recipient, why, and what comes next."""
    host = escape(delivery["mxHost"] or delivery["domain"])
    reply = Markup("")
    if delivery["reply"]:
        reply = Markup(" It said: <q>{}</q>").format(delivery["reply"])
    state = delivery["state"]
    if state == "DELIVERED":
        return Markup("{} took it.{}").format(host, reply)
    if state == "DEFERRED":
        return Markup("{} refused it for now.{} Next try {}.").format(
            host, reply, time(delivery["nextAttemptAt"], zone)
        )
    if state == "BOUNCED":
        return Markup("{} refused it for good.{} It is not tried again.").format(host, reply)
    return Markup("{}").format(_PLAIN.get(state, words(state)))


_PLAIN = {
    "SCHEDULED": "It waits for the time it is to be sent at.",
    "QUEUED": "It waits in its queue and goes out next.",
    "SENDING": "It is being handed over now.",
    "EXPIRED": "It could not be delivered before its lifetime ended.",
    "SUPPRESSED": "Nothing was sent: the address is on the suppression list.",
    "CANCELLED": "It was cancelled before it left.",
}
