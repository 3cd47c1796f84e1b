"""Header fields: what a customer may set."""

import re

from .address import InvalidAddress, parse_mailboxes
from .folding import has_long_word

_NAME = re.compile(r"[!-9;-~]{1,76}")
_FORBIDDEN = frozenset(
    (
        "from to cc bcc subject date sender message-id return-path received dkim-signature "
        "mime-version bimi-selector"
    ).split()
)
_FORBIDDEN_PREFIXES = ("arc-", "content-")

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no value holds: controls but the tab, Unicode's line ends, halves of surrogate pairs."""


class InvalidHeader(ValueError):
    """A header field's name or value breaks a rule; the text says which."""


def check_header(name: str, value: str) -> None:
    """Refuse a header field that a customer may not set or that could break out of its line.

    Raises:
        InvalidHeader: the name is no token or is ours to write, or the value has a line break,
            a control character, or a word too long for any line, or is no address where
            addresses belong.
    """
    if not _NAME.fullmatch(name):
        raise InvalidHeader(f"{_shown(name)} is not a header name")
    lowered = name.lower()
    if lowered in _FORBIDDEN or lowered.startswith(_FORBIDDEN_PREFIXES):
        raise InvalidHeader(f"the header {name} is set by the server")
    check_value(name, value)
    if value.isascii() and has_long_word(value):
        raise InvalidHeader(f"the header {name} has a word too long for one line")
    if lowered == "reply-to":
        _check_addresses(name, value)


def check_value(name: str, value: str) -> None:
    """Refuse a value that could break out of its line, whatever the field.

    Raises:
        InvalidHeader: the value has a line break or a control character.
    """
    if _CONTROL.search(value):
        raise InvalidHeader(f"the header {name} has a line break or a control character")


def _check_addresses(name: str, value: str) -> None:
    try:
        addresses = parse_mailboxes(value)
    except InvalidAddress as error:
        raise InvalidHeader(f"the header {name} cannot be read: {error}") from None
    if not addresses:
        raise InvalidHeader(f"the header {name} has no address")


def _shown(name: str) -> str:
    return repr(name if len(name) <= 40 else name[:40] + "...")
