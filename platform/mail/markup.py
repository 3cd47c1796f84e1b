"""HTML as a flat run of tokens with their places, and the text a reader would see.

The standard library's parser took 10.9 s for 30 kB of `<a <a <a`, and lexbor 24 s for 500 kB of
nested `<div>`: time quadratic in what a stranger sends. Telling tags from text needs no tree, and
the steps of the HTML standard's tokenizer are each linear, so this reads any input in one pass.

Source: https://html.spec.whatwg.org/multipage/parsing.html#tokenization
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape as _unescape

_NAME = re.compile(r"[a-zA-Z][^\s/>]*+")
_ATTRIBUTE = re.compile(
    r"[\s/]*+(?P<name>[^\s/>][^\s/>=]*+)"
    r"(?:\s*+=\s*+(?P<value>\"[^\"]*+\"|'[^']*+'|(?![\"'])[^\s>]*+)|(?!\s*+=))"
)
_TAG_END = re.compile(r"[\s/]*+>")

_RAW_TEXT = frozenset(
    {"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"}
)
"""Elements in which nothing but their own end tag is a tag."""

_UNSEEN = frozenset({"script", "style", "title", "iframe", "noembed", "noframes", "template"})
_BLOCKS = frozenset(
    (
        "address article aside blockquote center dd div dl dt figcaption figure footer form "
        "h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section table tr ul"
    ).split()
)
_PARAGRAPHS = frozenset("blockquote h1 h2 h3 h4 h5 h6 ol p pre table ul".split())
_LANGUAGE = re.compile(r"[a-zA-Z]{2,8}(?:-[a-zA-Z0-9]{1,8}){0,8}")


_HUGE_REFERENCE = re.compile(r"&#[0-9]{9,};?")
"""More digits than any character has; the standard library refuses to read some thousands."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a tag; *start* and *end* are the place of its value as written.

    The place includes the quotes; *value* has neither quotes nor character references.
    """

    name: str
    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tag:
    """A start tag, or with *is_end* an end tag, from *start* up to *end* in its document."""

    name: str
    is_end: bool
    attributes: tuple[Attribute, ...]
    start: int
    end: int

    def get(self, name: str) -> str | None:
        """Return the value of the first attribute with that lower-case name."""
        return next((a.value for a in self.attributes if a.name == name), None)


@dataclass(frozen=True, slots=True)
class Text:
    """Text as written, character references included; *is_raw* inside a script and its like."""

    content: str
    is_raw: bool


def read_tokens(html: str) -> Iterator[Tag | Text]:
    """Yield the tags and texts of *html* in order; comments and declarations are left out.

    As in a browser, what follows an unfinished tag or comment is no part of the document.
    """
    position = 0
    while (opening := html.find("<", position)) >= 0:
        if opening > position:
            yield Text(html[position:opening], is_raw=False)
        following = html[opening + 1 : opening + 3]
        if following[:1].isalpha() and following[:1].isascii():
            is_end = False
        elif following[:1] == "/" and following[1:].isalpha() and following.isascii():
            is_end = True
        elif following[:1] in ("!", "?", "/"):
            position = _end_of_comment(html, opening)
            if position < 0:
                return
            continue
        else:
            yield Text("<", is_raw=False)
            position = opening + 1
            continue
        tag = _read_tag(html, opening, is_end)
        if tag is None:
            return
        yield tag
        position = tag.end
        if not is_end and tag.name in _RAW_TEXT:
            end = _end_of_raw_text(html, tag)
            if end > position:
                yield Text(html[position:end], is_raw=True)
            position = end
    if position < len(html):
        yield Text(html[position:], is_raw=False)


def declared_language(html: str) -> str:
    """Return the language tag that the document *html* says it is in; "" if it says none."""
    for token in read_tokens(html):
        if isinstance(token, Tag) and token.name == "html":
            tag = token.get("lang") or ""
            return tag if _LANGUAGE.fullmatch(tag) else ""
        # Past the start of the document, `<html>` is no longer the one tag that says it.
        if isinstance(token, Tag) or token.content.strip():
            break
    return ""


def text_from_html(html: str) -> str:
    """Return what a reader of *html* would see, as plain text with the addresses of links.

    Lines end in a bare line feed; nothing is wrapped.
    """
    writer = _TextWriter()
    hidden: str | None = None
    for token in read_tokens(html):
        if isinstance(token, Text):
            if hidden is None:
                writer.write(unescape(token.content))
        elif hidden is not None:
            if token.is_end and token.name == hidden:
                hidden = None
        elif token.name in _UNSEEN and not token.is_end:
            hidden = token.name
        else:
            writer.mark(token)
    return writer.finish()


def unescape(text: str) -> str:
    """Return *text* with its character references replaced; no input makes it fail."""
    return _unescape(_HUGE_REFERENCE.sub("\ufffd", text))


class _TextWriter:
    """Collects visible text: white space collapsed, blocks on lines of their own."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._breaks = 2  # line ends since the last text; 2 is an empty line
        self._has_space = False
        self._link: tuple[str, int] | None = None
        self._preformatted = 0

    def write(self, text: str) -> None:
        if self._preformatted:
            lines = text.replace("\r\n", "\n").split("\n")
            for index, line in enumerate(lines):
                if index:
                    self._pieces.append("\n")
                    self._breaks += 1
                if line:
                    self._append(line)
            return
        words = text.split()
        # A no-break space splits here too: as text it is only a space.
        self._has_space = self._has_space or text[:1].isspace()
        if not words:
            return
        self._append(" ".join(words))
        self._has_space = text[-1].isspace()

    def mark(self, tag: Tag) -> None:
        name = tag.name
        if name == "br" and not tag.is_end:
            self._break(self._breaks + 1)
        elif name in _BLOCKS:
            self._break(2 if name in _PARAGRAPHS else 1)
            if name == "li" and not tag.is_end:
                self._append("- ")
            elif name == "hr" and not tag.is_end:
                self._append("---")
                self._break(1)
        elif name in ("td", "th"):
            self._has_space = True
        elif name == "img" and not tag.is_end and (alt := tag.get("alt")):
            self.write(alt)
        elif name == "a":
            self._mark_link(tag)
        if name == "pre":
            self._preformatted = max(0, self._preformatted + (-1 if tag.is_end else 1))

    def finish(self) -> str:
        self._end_link()
        return "".join(self._pieces).strip("\n ")

    def _append(self, text: str) -> None:
        if self._has_space and not self._breaks and not self._pieces[-1].endswith(" "):
            self._pieces.append(" ")
        self._pieces.append(text)
        self._breaks = 0
        self._has_space = False

    def _break(self, wanted: int) -> None:
        # Never more than one empty line, and none before the first text.
        for _ in range(min(wanted, 2) - self._breaks):
            self._pieces.append("\n")
            self._breaks += 1
        self._has_space = False

    def _mark_link(self, tag: Tag) -> None:
        self._end_link()
        target = (tag.get("href") or "").strip()
        if not tag.is_end and target.lower().startswith(("http:", "https:", "mailto:", "tel:")):
            self._link = ("".join(target.split()), len(self._pieces))

    def _end_link(self) -> None:
        if self._link is None:
            return
        target, since = self._link
        self._link = None
        shown = "".join(self._pieces[since:]).strip()
        bare = target.partition(":")[2].lstrip("/") if target.startswith("mailto:") else target
        if shown not in (target, bare):
            self._has_space = True
            self._append(f"({target})" if shown else target)


def _read_tag(html: str, opening: int, is_end: bool) -> Tag | None:
    """Return the tag that begins at *opening*, or None where the document ends within it."""
    match = _NAME.match(html, opening + 1 + is_end)
    assert match is not None
    name, position = match[0].lower(), match.end()
    attributes: list[Attribute] = []
    while not (end := _TAG_END.match(html, position)):
        match = _ATTRIBUTE.match(html, position)
        if match is None:
            return None
        start, stop = match.span("value") if match["value"] is not None else (match.end(),) * 2
        value = match["value"] or ""
        if value[:1] in ("'", '"'):
            value = value[1:-1]
        attributes.append(Attribute(match["name"].lower(), unescape(value), start, stop))
        position = match.end()
    return Tag(name, is_end, tuple(attributes), opening, end.end())


def _end_of_comment(html: str, opening: int) -> int:
    """Return where the comment or declaration ends, or -1 if it does not."""
    if not html.startswith("<!--", opening):
        return html.find(">", opening) + 1 or -1
    if html.startswith((">", "->"), opening + 4):
        return html.find(">", opening) + 1
    end = html.find("-->", opening + 4)
    return end + 3 if end >= 0 else -1


def _end_of_raw_text(html: str, tag: Tag) -> int:
    pattern = re.compile(rf"</{tag.name}(?=[\s/>])", re.IGNORECASE)
    match = pattern.search(html, tag.end)
    return match.start() if match else len(html)
