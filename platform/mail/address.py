"""Mail addresses: read from what people write, kept in one form, written into headers."""

import re
import unicodedata
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from functools import lru_cache

import email_validator
import idna

from .folding import encoded_words

MAX_ADDRESS_OCTETS = 254
"""Source: RFC 5321 section 4.5.3.1.3, less the angle brackets of a path."""

_MAX_LOCAL_PART = 64  # octets, like the two below
_MAX_DOMAIN = 253
_MAX_TEXT = 998

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_PLAIN = re.compile(rf"([{_ATEXT}]++(?:\.[{_ATEXT}]++)*+)@([A-Za-z0-9.-]++)")
"""A dot-atom at an ASCII domain: nearly every address. Anything else goes the slow way."""

_PLAIN_NAMED = re.compile(rf"([ {_ATEXT}]++)<{_PLAIN.pattern}>")
"""The same behind a name of atoms: most of the others."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}")
"""At least two labels, the last not a number: `10.0.0.1` is an address, not a name."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_NEEDS_QUOTES = re.compile(r'["<>,;:@\\]')
_ATOMS = re.compile(rf"[ {_ATEXT}]+")
_LIST_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[(),;:<>"\\]|[^(),;:<>"\\]++')


class InvalidAddress(ValueError):
    """The text is not one mail address, or not one mail domain; the text says why."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address, with the name shown beside it or an empty one.

    *address* keeps the case of its local part; its domain is in lower case and ASCII.
    """

    display_name: str
    address: str

    @property
    def local_part(self) -> str:
        """What stands before the last @, quoted if it has to be."""
        return self.address.rpartition("@")[0]

    @property
    def domain(self) -> str:
        """The domain in lower case, as ASCII."""
        return self.address.rpartition("@")[2]

    @property
    def key(self) -> str:
        """The whole address in lower case: equal for two spellings of one mailbox."""
        return self.address.lower()

    @property
    def needs_smtputf8(self) -> bool:
        """Whether the local part can only be sent to servers that offer SMTPUTF8."""
        return not self.address.isascii()


def parse_mailbox(text: str) -> Mailbox:
    """Return the one mailbox that *text* holds: `a@b.example` or `Name <a@b.example>`.

    Names may be quoted, in encoded words, or in any script; domains in any script.

    Raises:
        InvalidAddress: anything else: a list, a group, a comment, a line break, too long.
    """
    # The accept path calls this for every recipient: 1.8 µs here and 36 µs for
    # what takes the slow way (CPython 3.11, one core of a shared machine).
    if (match := _PLAIN.fullmatch(text)) and len(text) <= MAX_ADDRESS_OCTETS:
        local_part, domain = match.groups()
        if len(local_part) <= _MAX_LOCAL_PART and parse_domain(domain) == domain:
            # It is written as it is kept.
            return Mailbox("", text)
        return Mailbox("", _join(local_part, domain))
    if len(text) > _MAX_TEXT:
        raise InvalidAddress("the address is too long")
    if (match := _PLAIN_NAMED.fullmatch(text)) and "=?" not in match[1]:
        return Mailbox(" ".join(match[1].split()), _join(match[2], match[3]))
    if _CONTROL.search(text):
        raise InvalidAddress("the address has a line break or a control character")
    text = text.strip()
    if not text.endswith(">"):
        return Mailbox("", _parse_addr_spec(text))
    phrase, bracket, addr_spec = text[:-1].rpartition("<")
    if not bracket:
        raise InvalidAddress("the address has a > without its <")
    return Mailbox(_parse_phrase(phrase.strip()), _parse_addr_spec(addr_spec.strip()))


def parse_mailboxes(text: str) -> tuple[Mailbox, ...]:
    """Return the mailboxes of an address field, in order, those of its groups included.

    Comments are dropped; an empty group or list gives an empty tuple.

    Raises:
        InvalidAddress: one of them is not an address.
    Source: RFC 5322 section 3.4.
    """
    return tuple(parse_mailbox(item) for item in split_addresses(text))


def split_addresses(text: str) -> list[str]:
    """Return the mailboxes of an address field as they are written.

    Raises:
        InvalidAddress: a comment in it does not end.
    """
    return [item.strip() for item in _split_list(text) if item.strip()]


def comparable(text: str) -> str:
    """Return what equals the `key` of every spelling of the same mailbox.

    A text that is no address is returned in lower case, which equals no key.
    """
    try:
        return parse_mailbox(text).key
    except InvalidAddress:
        return text.lower()


@lru_cache(maxsize=16_384)
def parse_domain(text: str) -> str:
    """Return the mail domain that *text* names, in lower case and as ASCII.

    Raises:
        InvalidAddress: it is an IP address, a single label, too long, or not a domain.
    """
    # Decoding Punycode takes time quadratic in its length, so length is first.
    if len(text) > _MAX_DOMAIN:
        raise InvalidAddress("the domain is too long")
    domain = text.lower()
    if not text.isascii() or "xn--" in domain:
        domain = _to_ascii(domain)
    if len(domain) > _MAX_DOMAIN or not _DOMAIN.fullmatch(domain):
        raise InvalidAddress(f"{text!r} is not a mail domain")
    return domain


def format_mailbox(mailbox: Mailbox) -> str:
    """Return the mailbox as it stands in a header field, without folding.

    All ASCII, unless the local part is not.

    Raises:
        InvalidAddress: the address was not made by `parse_mailbox` and has a control character.
    """
    if _CONTROL.search(mailbox.address):
        raise InvalidAddress("the address has a line break or a control character")
    name = " ".join(_CONTROL.sub(" ", mailbox.display_name).split())
    if not name:
        return mailbox.address
    if not name.isascii() or "=?" in name or len(name) > 200:
        name = " ".join(encoded_words(name))
    elif not _ATOMS.fullmatch(name):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{mailbox.address}>"


def _join(local_part: str, domain: str) -> str:
    if len(local_part if local_part.isascii() else local_part.encode()) > _MAX_LOCAL_PART:
        raise InvalidAddress("the part before the @ is too long")
    address = f"{local_part}@{parse_domain(domain)}"
    if len(address if address.isascii() else address.encode()) > MAX_ADDRESS_OCTETS:
        raise InvalidAddress("the address is too long")
    return address


def _parse_addr_spec(text: str) -> str:
    if match := _PLAIN.fullmatch(text):
        return _join(match[1], match[2])
    local_part, at_sign, domain = text.rpartition("@")
    if not at_sign:
        raise InvalidAddress(f"{text!r} has no @")
    try:
        # The library refuses domains such as .test and .local, which a private
        # deployment may well use, so it only judges the part before the @.
        checked = email_validator.validate_email(
            f"{local_part}@example.com",
            check_deliverability=False,
            allow_quoted_local=True,
            strict=True,
        )
    except email_validator.EmailNotValidError as error:
        raise InvalidAddress(f"{text!r} is not an address: {error}") from None
    return _join(checked.local_part, domain)


def _parse_phrase(text: str) -> str:
    if match := _QUOTED.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", match[1])
    elif _NEEDS_QUOTES.search(text):
        raise InvalidAddress("the name before the address has to be in quotes")
    elif "=?" in text:
        text = _decode_words(text)
    if _CONTROL.search(text):
        raise InvalidAddress("the name has a line break or a control character")
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _decode_words(text: str) -> str:
    try:
        return str(make_header(decode_header(text)))
    except (MessageError, LookupError, ValueError):
        return text


def _to_ascii(domain: str) -> str:
    try:
        ascii_domain = idna.encode(domain, uts46=True, std3_rules=True).decode("ascii")
        # Text may look like Punycode without being any.
        idna.decode(ascii_domain)
    except (idna.IDNAError, UnicodeError):
        raise InvalidAddress(f"{domain!r} is not a mail domain") from None
    return ascii_domain


def _split_list(text: str) -> list[str]:
    items: list[str] = []
    current = ""
    depth = 0
    in_brackets = False
    for token in _LIST_TOKEN.findall(text):
        if token == "(" and not in_brackets:
            depth += 1
        elif depth:
            depth -= token == ")"
        elif token in "<>":
            in_brackets = token == "<"
            current += token
        elif token in ",;" and not in_brackets:
            items.append(current)
            current = ""
        elif token == ":" and not in_brackets:
            # What came before is the name of a group.
            current = ""
        else:
            current += token
    if depth:
        raise InvalidAddress("a comment in the address list does not end")
    items.append(current)
    return items
