"""Addresses as programs write them, read with the least demands.

For mail whose sender expects to hear of a wrong address by a bounce, as from any mail server.
"""

import re
from dataclasses import dataclass

from .address import InvalidAddress, Mailbox, parse_mailbox

NOWHERE = "invalid"
"""The domain of what is no address: no such name ever exists, so that its mail bounces.

Source: RFC 2606 section 2.
"""
LONGEST = 320

_NOT_SHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_COMMENT = re.compile(r"\([^()]*\)")


@dataclass(frozen=True, slots=True)
class Written(Mailbox):
    """A recipient as somebody wrote it, whether or not that is an address."""

    reached_at: str
    """The domain its mail goes to, in lower case, as ASCII."""

    @property
    def domain(self) -> str:
        """The domain its mail goes to."""
        return self.reached_at

    @property
    def is_address(self) -> bool:
        """Whether anything can be delivered to it."""
        return self.reached_at != NOWHERE


def bare_address(text: str) -> str:
    """Return *text* without what stands around the address: its name and comments.

    What is between the last `<` and the first `>` counts; letter case is kept.
    """
    inner = text.rpartition("<")[2].partition(">")[0]
    return _COMMENT.sub("", inner).strip()


def read_mailbox(text: str) -> Mailbox | None:
    """Return the mailbox that *text* most likely means, or None if it holds no address."""
    try:
        return parse_mailbox(text)
    except InvalidAddress:
        pass
    try:
        address = parse_mailbox(bare_address(text)).address
    except InvalidAddress:
        return None
    name = text.rpartition("<")[0] if "<" in text else ""
    return Mailbox(" ".join(_NOT_SHOWN.sub(" ", name).replace('"', " ").split())[:200], address)


def read_recipient(text: str) -> Written:
    """Return whom *text* names, in the letter case it was written in; nothing is refused."""
    bare = _NOT_SHOWN.sub(" ", bare_address(text))[:LONGEST]
    found = read_mailbox(text)
    if found is None:
        return Written("", bare, NOWHERE)
    # A domain in another script is kept as DNS has it.
    address = bare if bare.lower() == found.key else found.address
    return Written(found.display_name, address, found.domain)
