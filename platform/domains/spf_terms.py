"""What an SPF record says: its terms, and the macros in them.

Source: RFC 7208 sections 4.5, 4.6.1, 5, 6 and 7.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from urllib.parse import quote

from .spf import Network, SpfProblem

Address = IPv4Address | IPv6Address

MAX_NAME = 253
_IP_TERM = re.compile(r"([+?~-]?)(ip4|ip6):(\S+)", re.I)
_NAMED_TERM = re.compile(r"([+?~-]?)(include|exists):(\S+)", re.I)
_HOST_TERM = re.compile(r"([+?~-]?)(a|mx|ptr)(?::(.+?))?((?:/[0-9]{1,3})?(?://[0-9]{1,3})?)", re.I)
_ALL_TERM = re.compile(r"([+?~-]?)(all)", re.I)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(\S*)", re.I)
_LENGTHS = re.compile(r"(?:/([0-9]{1,3}))?(?://([0-9]{1,3}))?")
_MACRO = re.compile(r"%(?:([%_-])|\{([slodiphcrtv])([0-9]{0,3})(r?)([.+,/_=-]*)\}|(.?))", re.I)
_PLAIN = {"%": "%", "_": " ", "-": "%20"}


@dataclass(frozen=True, slots=True)
class Term:
    """One mechanism: what it matches, and what follows if it does."""

    qualifier: str
    kind: str
    value: str = ""
    """A name that may have macros; empty for the domain itself."""
    network: Network | None = None
    length_4: int = 32
    length_6: int = 128


@dataclass(frozen=True, slots=True)
class Record:
    """A whole record; *redirect* is empty where there is none, or where `all` comes first."""

    terms: tuple[Term, ...]
    redirect: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose mail a receiver judges, as far as macros may ask."""

    address: Address
    sender: str
    helo: str


def read_record(domain: str, text: str) -> Record:
    """Return what a record of *domain* says.

    Raises:
        SpfProblem: a term is unknown or malformed, so that receivers ignore all of it.
    """
    terms: list[Term] = []
    modifiers: dict[str, str] = {}
    for word in text.split(" ")[1:]:
        if not word:
            continue
        if modifier := _MODIFIER.fullmatch(word):
            name = modifier[1].lower()
            if name in modifiers and name in ("redirect", "exp"):
                raise SpfProblem(f"The SPF record of {domain} has {name} twice.")
            modifiers[name] = modifier[2]
        else:
            terms.append(_read_term(domain, word))
    redirect = modifiers.get("redirect", "")
    if "redirect" in modifiers and not redirect:
        raise SpfProblem(f"The SPF record of {domain} redirects to nowhere.")
    for value in (*modifiers.values(), *(term.value for term in terms)):
        _check_macros(domain, value)
    ends = any(term.kind == "all" for term in terms)
    return Record(tuple(terms), "" if ends else redirect)


def expand(value: str, *, domain: str, asked: Asked) -> str:
    """Return a name with its macros replaced, cut off on the left if it is too long."""

    def replaced(match: re.Match[str]) -> str:
        if match[1]:
            return _PLAIN[match[1]]
        letter, digits, reverse, delimiters = match[2], match[3], match[4], match[5]
        parts = re.split(f"[{re.escape(delimiters or '.')}]", _macro(letter.lower(), domain, asked))
        if reverse:
            parts.reverse()
        kept = ".".join(parts[-int(digits) :] if digits else parts)
        return quote(kept, safe="-._~") if letter.isupper() else kept

    name = _MACRO.sub(replaced, value).rstrip(".").lower()
    if len(name) <= MAX_NAME:
        return name
    # At once, not label by label: macros make megabytes out of one record.
    cut = name.find(".", len(name) - MAX_NAME - 1)
    return name[cut + 1 :] if cut >= 0 else ""


def _read_term(domain: str, word: str) -> Term:
    if match := _ALL_TERM.fullmatch(word):
        return Term(match[1] or "+", "all")
    if match := _IP_TERM.fullmatch(word):
        return Term(match[1] or "+", match[2].lower(), network=_network(match[2], match[3], word))
    if match := _NAMED_TERM.fullmatch(word):
        return Term(match[1] or "+", match[2].lower(), match[3])
    if match := _HOST_TERM.fullmatch(word):
        lengths = _LENGTHS.fullmatch(match[4])
        length_4 = int(lengths[1]) if lengths and lengths[1] else 32
        length_6 = int(lengths[2]) if lengths and lengths[2] else 128
        is_pointer_with_length = match[2].lower() == "ptr" and match[4]
        if length_4 > 32 or length_6 > 128 or is_pointer_with_length:
            raise SpfProblem(f"The term {word} is malformed.")
        kind, value = match[2].lower(), match[3] or ""
        return Term(match[1] or "+", kind, value, length_4=length_4, length_6=length_6)
    raise SpfProblem(f"The SPF record of {domain} has a term nobody knows: {word}.")


def _network(kind: str, text: str, word: str) -> Network:
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        raise SpfProblem(f"The term {word} is malformed.") from None
    if found.version != (4 if kind.lower() == "ip4" else 6) or "%" in text:
        raise SpfProblem(f"The term {word} is malformed.")
    return found


def _check_macros(domain: str, value: str) -> None:
    for match in _MACRO.finditer(value):
        is_unknown = match[6] is not None
        if is_unknown or (match[3] and int(match[3]) == 0):
            raise SpfProblem(f"The SPF record of {domain} has a macro nobody knows: {match[0]}.")


def _macro(letter: str, domain: str, asked: Asked) -> str:
    local, _, sender_domain = asked.sender.rpartition("@")
    values = {
        "s": asked.sender,
        "l": local,
        "o": sender_domain,
        "d": domain,
        "i": _dotted(asked.address),
        "v": "in-addr" if asked.address.version == 4 else "ip6",
        "h": asked.helo,
        # These three a receiver need not know; `unknown` is what the standard says then.
        "p": "unknown",
        "c": str(asked.address),
        "r": "unknown",
        "t": "0",
    }
    return values[letter]


def _dotted(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return ".".join(address.exploded.replace(":", ""))
