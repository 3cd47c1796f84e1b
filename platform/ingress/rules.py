"""How often mailboxes are looked into, how long mail is posted, and what a mailbox may be."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from ..core.errors import Detail, DetailCode

LOOK_EVERY = timedelta(minutes=1)
LOOK_LEASE = timedelta(minutes=4)
"""Longer than a look may take, so that nobody else looks meanwhile."""
LOOK_SECONDS = 150.0
LONGEST_BACK_OFF = timedelta(hours=1)
RETRY_AFTER = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60, 180, 360, 720))
"""Wait before the 2nd, 3rd, ... attempt to post a mail, about a day in all; then it is dead."""
POST_LEASE = timedelta(minutes=2)
POST_SECONDS = 30.0
MOST_MAILBOXES = 100
"""Of one organization."""
MOST_WAITING = 500
"""Mails of one mailbox that were not taken yet; beyond, senders are asked to come again."""
LARGEST_MAIL = 25 * 2**20
KEPT = timedelta(days=30)
"""How long it is shown that a mail came in."""
DEAD_KEPT = timedelta(days=7)
"""How long a mail that nobody took is kept."""

LONGEST_LABEL = 100
LONGEST_CREDENTIAL = 255
IMAPS_PORT = 993
PREFIX = "in-"
_TOKEN = re.compile(r"in-([0-9a-f]{24})", re.ASCII)
_HOST_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)


class PostFormat(StrEnum):
    """How a mail is posted."""

    RAW = "raw"
    POSTAGEAPP = "postageapp"


class MailState(StrEnum):
    """What became of a mail that came in."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class MailSource(StrEnum):
    """Which way a mail came in."""

    SMTP = "smtp"
    IMAP = "imap"


@dataclass(frozen=True, slots=True)
class AccountRequest:
    """The account of a mailbox on an IMAP server, as it was handed in."""

    host: str
    username: str
    password: str
    port: int = IMAPS_PORT
    tls: bool = True


def new_address_token() -> str:
    """Return what makes an address that nobody guesses; lower case, as some servers make it."""
    return secrets.token_hex(12)


def token_in(local_part: str) -> str | None:
    """Return the token of the mailbox that an address at our name is of, or None."""
    match = _TOKEN.fullmatch(local_part.lower())
    return match[1] if match else None


def check_label(label: str | None, found: list[Detail]) -> str | None:
    """Return a label; an empty one is none."""
    if label is not None and (len(label) > LONGEST_LABEL or not label.isprintable()):
        message = f"A label has at most {LONGEST_LABEL} characters, and no control characters."
        found.append(Detail("label", DetailCode.INVALID_FORMAT, message))
    return label or None


def check_account(account: AccountRequest, found: list[Detail]) -> AccountRequest:
    """Return an account with its host in its one form; what is wrong goes to *found*."""
    host = account.host.strip().lower().rstrip(".")
    if not host:
        found.append(Detail("account.host", DetailCode.REQUIRED, "Name the server."))
    elif len(host) > 253 or not all(_HOST_LABEL.fullmatch(each) for each in host.split(".")):
        message = "A host is a name such as imap.example.com, or an IPv4 address."
        found.append(Detail("account.host", DetailCode.INVALID_DOMAIN, message))
    if not 1 <= account.port <= 65_535:
        message = "A port is a number of 1 to 65535."
        found.append(Detail("account.port", DetailCode.INVALID_FORMAT, message))
    for name, text in (("username", account.username), ("password", account.password)):
        if not text:
            message = f"The account needs a {name}."
            found.append(Detail(f"account.{name}", DetailCode.REQUIRED, message))
        elif len(text) > LONGEST_CREDENTIAL or not text.isprintable() or not text.isascii():
            # LOGIN takes ASCII (RFC 3501), and a line break would be a command of its own.
            message = f"A {name} has up to {LONGEST_CREDENTIAL} printable ASCII characters."
            found.append(Detail(f"account.{name}", DetailCode.INVALID_FORMAT, message))
    return AccountRequest(host, account.username, account.password, account.port, account.tls)


def back_off(failures: int) -> timedelta:
    """Return how long to wait after so many looks that failed, one after the other."""
    return min(LOOK_EVERY * (1 << min(failures, 10)), LONGEST_BACK_OFF)


def next_attempt(attempts: int) -> timedelta | None:
    """Return the wait after an attempt failed that was the *attempts*-th, or None at the end."""
    return RETRY_AFTER[attempts - 1] if attempts <= len(RETRY_AFTER) else None


def changes_shown(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, object]:
    """Return what of a mailbox changed, as the audit log keeps it."""
    return {
        name: {"from": before[name], "to": value}
        for name, value in after.items()
        if before[name] != value
    }
