"""Links of a message that can be replaced, with every other byte left as it was written.

A text is cut once where its links and the pixel go, and filled for each recipient: what is read
once is not read again. HTML is read by `markup`, whose tokens know their places.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from .address import InvalidAddress, parse_domain
from .markup import Tag, read_tokens

OPT_OUT = "data-no-track"
"""The attribute of a link that is to be left alone."""
LONGEST_TARGET = 2_000
"""Characters of an address that can be replaced; a longer one is left alone."""
MOST_LINKS = 1_000
"""Of one message; those behind it are left alone."""

_LINKS = frozenset({"a", "area"})
_AROUND = "".join(map(chr, range(0x21)))
_WITHIN = str.maketrans("", "", "\t\n\r")
"""What browsers drop: around an address control characters and spaces, within it line ends."""
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_HOST = re.compile(r"(?:[a-zA-Z0-9_-]+\.)*[a-zA-Z0-9_-]+\.?|\[[0-9a-fA-F:.]+\]")
_SAFE = "!#$%&'()*+,/:;=?@[]~"
_LEAVES = re.compile(r"unsubscribe|opt[-_]?out", re.IGNORECASE)
"""In addresses with which people leave: nobody is to be watched on the way out."""
_IN_TEXT = re.compile(r"(?<![\w@.+-])https?://[^\s<>\"\x00-\x20]{1,2100}", re.IGNORECASE)
_AFTER = ".,;:!?'*_~"
_BRACKETS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class Gap:
    """A place where something may stand for each recipient; *written* is what stood there.

    Without a *target* it is the place of the pixel.
    """

    written: str
    target: str | None = None
    number: int = 0
    """Of the link within its message; 0 is the first."""
    quote: str = ""
    """What goes around a new address."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A text in pieces: *pieces* is one longer than *gaps*, which lie between them."""

    pieces: tuple[str, ...]
    gaps: tuple[Gap, ...]

    @property
    def link_count(self) -> int:
        """How many links can be replaced."""
        return sum(gap.target is not None for gap in self.gaps)

    def fill(
        self, *, link: Callable[[int, str], str] | None = None, pixel: str | None = None
    ) -> str:
        """Return the text with what *link* makes of each number and target, and with *pixel*.

        What is None stays as it was written.
        """
        found = [self.pieces[0]]
        for gap, piece in zip(self.gaps, self.pieces[1:], strict=True):
            if gap.target is None:
                found.append(gap.written if pixel is None else pixel)
            elif link is None:
                found.append(gap.written)
            else:
                found.append(f"{gap.quote}{link(gap.number, gap.target)}{gap.quote}")
            found.append(piece)
        return "".join(found)


def cut_html(html: str, *, leave: tuple[str, ...] = (), first: int = 0) -> Cut:
    """Return *html* cut at its links, and where the pixel goes: before its body ends.

    Its links are numbered from *first* on. Left alone are those that are no `http` or `https`
    address, have a user's name in them, are too long, say so by `data-no-track`, or with which
    one unsubscribes: those that begin with one of *leave*, or speak of it.
    """
    found: list[tuple[int, int, Gap]] = []
    end_of: dict[str, int] = {}
    for token in read_tokens(html):
        if not isinstance(token, Tag):
            continue
        if token.is_end:
            end_of[token.name] = token.start
        elif token.name in _LINKS and len(found) < MOST_LINKS:
            place = _link(token, leave)
            if place is not None:
                start, end, target = place
                gap = Gap(html[start:end], target, first + len(found), '"')
                found.append((start, end, gap))
    at = end_of.get("body", end_of.get("html", len(html)))
    # What stands behind the end of the body is still shown, so a link may be there.
    found.append((at, at, Gap("")))
    return _cut(html, sorted(found, key=lambda place: place[0]))


def cut_text(text: str, *, leave: tuple[str, ...] = (), first: int = 0) -> Cut:
    """Return plain *text* cut at its addresses; they are numbered from *first* on."""
    found: list[tuple[int, int, Gap]] = []
    for match in _IN_TEXT.finditer(text):
        if len(found) >= MOST_LINKS:
            break
        written = _without_punctuation(match[0])
        target = target_of(written)
        if target is not None and not _is_left(written, target, leave):
            gap = Gap(written, target, first + len(found))
            found.append((match.start(), match.start() + len(written), gap))
    return _cut(text, found)


def target_of(written: str) -> str | None:
    """Return the address that a link leads to, in ASCII as a header may hold it, or None.

    None are addresses of other schemes, without a host, with a user's name or a password, too
    long, or with a host that is no name.
    """
    text = written.strip(_AROUND).translate(_WITHIN)
    if not _SCHEME.match(text) or len(text) > LONGEST_TARGET:
        return None
    try:
        parts = urlsplit(text)
        host = _host(parts)
    except ValueError:
        return None
    if host is None:
        return None
    try:
        rest = (quote(each, safe=_SAFE) for each in (parts.path, parts.query, parts.fragment))
        path, query, fragment = rest
    except UnicodeEncodeError:  # half a character
        return None
    made = f"{parts.scheme}://{host}{path}"
    # An empty query is told from none, as the site at the other end may do.
    if query or "?" in text.partition("#")[0]:
        made += f"?{query}"
    if fragment:
        made += f"#{fragment}"
    return made if len(made) <= LONGEST_TARGET else None


def _host(parts: SplitResult) -> str | None:
    """Return host and port in ASCII; None if there is none, or more than that."""
    netloc = parts.netloc
    if "@" in netloc or "\\" in netloc or "\\" in parts.path[:1]:
        # Some programs take a backslash for a slash, so that what stands behind it would count.
        return None
    port = parts.port
    name = parts.hostname or ""
    if not name.isascii():
        try:
            name = parse_domain(name)
        except InvalidAddress:
            return None
    elif netloc.startswith("["):
        name = f"[{name}]"
    if len(name) > 255 or not _HOST.fullmatch(name):
        return None
    return name if port is None else f"{name}:{port}"


def _link(tag: Tag, leave: tuple[str, ...]) -> tuple[int, int, str] | None:
    """Return where the address of a link stands and where it leads, if it may be replaced."""
    if tag.get(OPT_OUT) is not None:
        return None
    # Of two attributes of one name a reader takes the first.
    href = next((each for each in tag.attributes if each.name == "href"), None)
    if href is None or href.start == href.end:
        return None
    target = target_of(href.value)
    if target is None or _is_left(href.value, target, leave):
        return None
    return href.start, href.end, target


def _is_left(written: str, target: str, leave: tuple[str, ...]) -> bool:
    if target.startswith(leave) or written.strip().startswith(leave):
        return True
    return _LEAVES.search(target.partition("://")[2].partition("/")[2]) is not None


def _without_punctuation(text: str) -> str:
    """Return an address without what a sentence puts behind it."""
    open_ones = {closing: text.count(opening) for closing, opening in _BRACKETS.items()}
    closed = {closing: text.count(closing) for closing in _BRACKETS}
    end = len(text)
    while end:
        last = text[end - 1]
        if last in _BRACKETS and closed[last] > open_ones[last]:
            closed[last] -= 1
        elif last not in _AFTER:
            break
        end -= 1
    return text[:end]


def _cut(text: str, places: list[tuple[int, int, Gap]]) -> Cut:
    pieces: list[str] = []
    at = 0
    for start, end, _ in places:
        pieces.append(text[at:start])
        at = end
    pieces.append(text[at:])
    return Cut(tuple(pieces), tuple(gap for _, _, gap in places))
