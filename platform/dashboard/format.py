"""How values are written for people: times, counts, sizes, and states in words."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup, escape

from ..core.languages import gettext as _
from ..core.languages import marked as N_
from ..core.languages import written
from ..core.money import Money

NO_BREAK = "\u00a0"
STATES: dict[str, tuple[str, str, str]] = {
    # state: (tone, icon, word)
    "SCHEDULED": ("wait", "clock", N_("Scheduled")),
    "QUEUED": ("wait", "hourglass", N_("Queued")),
    "SENDING": ("wait", "send", N_("Sending")),
    "DEFERRED": ("warn", "rotate-cw", N_("Deferred")),
    "DELIVERED": ("good", "check", N_("Delivered")),
    "PARTIAL": ("warn", "circle-alert", N_("Partly delivered")),
    "BOUNCED": ("bad", "x", N_("Bounced")),
    "EXPIRED": ("bad", "timer-off", N_("Expired")),
    "SUPPRESSED": ("warn", "ban", N_("Suppressed")),
    "CANCELLED": ("idle", "circle-slash", N_("Cancelled")),
    "PENDING": ("wait", "hourglass", N_("Pending")),
    "VERIFIED": ("good", "check", N_("Verified")),
    "DEGRADED": ("warn", "triangle-alert", N_("Lost a record")),
    "FAILED": ("bad", "x", N_("Failed")),
    "MISMATCH": ("bad", "x", N_("Differs")),
    "ERROR": ("warn", "triangle-alert", N_("Not answered")),
    "DEAD": ("bad", "x", N_("Given up")),
    "BACKOFF": ("warn", "rotate-cw", N_("Slowed down")),
    "HELD": ("warn", "pause", N_("Held")),
    "SUCCEEDED": ("good", "check", N_("Succeeded")),
    "REFUSED": ("warn", "ban", N_("Refused")),
    "PAUSED": ("warn", "pause", N_("Paused")),
    "OPEN": ("wait", "hourglass", N_("Open")),
    "PAID": ("good", "check", N_("Paid")),
    "VOID": ("idle", "circle-slash", N_("Void")),
    "UNCOLLECTIBLE": ("bad", "x", N_("Not paid")),
    "TRIALING": ("wait", "clock", N_("Trial")),
    "PAST_DUE": ("bad", "triangle-alert", N_("Payment is due")),
    "ACTIVE": ("good", "check", N_("Active")),
    "DISABLED": ("idle", "ban", N_("Disabled")),
    "SUSPENDED": ("bad", "ban", N_("Suspended")),
    "BLOCKED": ("bad", "ban", N_("Blocked")),
    "LISTED": ("bad", "triangle-alert", N_("Listed")),
    "OK": ("good", "check", N_("Well")),
    "WARNING": ("warn", "triangle-alert", N_("Deserves a look")),
    "FAULT": ("bad", "x", N_("Fault")),
    "RUNNING": ("wait", "rotate-cw", N_("Running")),
    "DONE": ("good", "check", N_("Done")),
    "OUTDATED": ("idle", "circle-slash", N_("Thrown away")),
    "ON": ("good", "check", N_("On")),
    "OFF": ("idle", "circle-slash", N_("Off")),
    "DRY_RUN": ("wait", "circle", N_("Dry run")),
    "NOT_LISTED": ("good", "check", N_("Not listed")),
    "TIMEOUT": ("warn", "timer-off", N_("No answer in time")),
    "UNSUPPORTED": ("idle", "circle-slash", N_("Lists no such thing")),
    "CLEAN": ("good", "check", N_("Clean")),
    "INFECTED": ("bad", "triangle-alert", N_("Infected")),
    "UNSCANNABLE": ("warn", "circle-alert", N_("Cannot be looked into")),
    "PASS": ("good", "check", N_("Not like spam")),
    "WARN": ("warn", "circle-alert", N_("Near the threshold")),
    "FAIL": ("bad", "x", N_("Spam")),
    "PUBLISHED": ("good", "check", N_("Published")),
    "DRAFT": ("idle", "circle", N_("Not published")),
    "EXPIRING": ("warn", "clock", N_("Expires soon")),
}
"""Every state that a badge shows: a colour, an icon and a word, so that none stands alone."""


ABBREVIATIONS = {
    **{
        word.lower(): word
        for word in (
            *("API", "BCC", "BIMI", "CC", "DANE", "DKIM", "DMARC", "DNS", "DNSBL", "GMX", "ID"),
            *("IMAP", "IP", "ISP", "MTA-STS", "MX", "REST", "RSA", "SMTP", "SPF", "SVG", "TLS"),
            *("URL", "VMC"),
        )
    },
    "graphql": "GraphQL",
    "ipv4": "IPv4",
    "ipv6": "IPv6",
    "vmta": "vMTA",
}
SAID_OTHERWISE = {
    "AV_SCAN": N_("Virus scan"),
    "MTA_STS": "MTA-STS",
    "SELF_HOSTED": N_("Self-hosted"),
}
"""Values whose names people do not say."""


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
        return Markup("<span class=quiet>{}</span>").format(_("never"))
    shown = at.astimezone(zone)
    # A date that is broken in the middle is hard to read: there is a place behind its comma.
    text = written(shown).replace(" ", NO_BREAK).replace(f",{NO_BREAK}", ", ")
    exact = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(value, exact, text)


def translated(choices: Mapping[str, str]) -> dict[str, str]:
    """Return choices with their words in the language that is spoken."""
    return {value: _(word) for value, word in choices.items()}


def count(value: int | str | None) -> str:
    """Return a whole number with its thousands apart; no number is a dash."""
    return "–" if value is None else f"{int(value):,}".replace(",", "\u202f")


def rounded(value: float) -> float:
    """Return a rate as people say it: a whole number from ten on, else its first two digits."""
    found = float(f"{value:.2g}") if value < 10 else round(value)
    return int(found) if found == int(found) else found


def percent(value: float | None) -> str:
    """Return a percentage; none of nothing is a dash."""
    return "–" if value is None else f"{value:.1f} %"


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
    """Return the name of a value of the schema as words, and abbreviations as people write them."""
    name = SAID_OTHERWISE.get(value.upper(), value.replace("_", " ").capitalize())
    return _(" ".join(ABBREVIATIONS.get(word.lower(), word) for word in name.split(" ")))


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of both, such as the choices of a field after what stands for none."""
    return {**first, **second}


def sentence(delivery: dict[str, Any], zone: ZoneInfo) -> Markup:
    """Return what became of one recipient, why, and what comes next."""
    host = escape(delivery["mxHost"] or delivery["domain"])
    reply = Markup("")
    if delivery["reply"]:
        reply = Markup(" {}").format(Markup(_("It said: <q>{}</q>.")).format(delivery["reply"]))
    state = delivery["state"]
    if held := [wait for wait in delivery.get("waits", ()) if wait["reason"] == "PROJECT_HOLD"]:
        return _held(held[0], zone)
    if state == "DELIVERED":
        return Markup(_("{} took it.{}")).format(host, reply)
    if state == "DEFERRED":
        return Markup(_("{} refused it for now.{} Next try {}.")).format(
            host, reply, time(delivery["nextAttemptAt"], zone)
        )
    if state == "BOUNCED":
        return Markup(_("{} refused it for good.{} It is not tried again.")).format(host, reply)
    return escape(_(_PLAIN[state]) if state in _PLAIN else words(state))


def _held(wait: dict[str, Any], zone: ZoneInfo) -> Markup:
    if wait["until"]:
        ends = Markup(_("That ends {}, or when somebody releases the block.")).format(
            time(wait["until"], zone)
        )
    else:
        ends = Markup(escape(_("It goes out when somebody releases the block.")))
    held = Markup(escape(_("It is accepted and waits: an auto-block holds the project.")))
    return Markup("{} {} {}").format(held, wait["detail"], ends)


_PLAIN = {
    "SCHEDULED": N_("It waits for the time it is to be sent at."),
    "QUEUED": N_("It waits in its queue and goes out next."),
    "SENDING": N_("It is being handed over now."),
    "EXPIRED": N_("It could not be delivered before its lifetime ended."),
    "SUPPRESSED": N_("Nothing was sent: the address is on the suppression list."),
    "CANCELLED": N_("It was cancelled before it left."),
}
