"""Rewriting: messages in which each recipient has a pixel and links of their own.

A message is read once, however many recipients it has, and written for each of them.
"""

import re
from dataclasses import dataclass, replace

from ..delivery.contents import ContentFormat, decode_parts
from ..delivery.work import Content
from ..mail.compose import Parts, compose, needs_smtputf8
from ..mail.links import Cut, cut_html, cut_text
from ..mail.markup import text_from_html
from ..mail.texts import TextPart, find_texts
from ..tracking.rules import Tracks
from ..tracking.work.linking import Links

_LEAVE_FIELD = re.compile(
    rb"(?m)^list-unsubscribe[ \t]*:((?:.*\r\n)(?:[ \t].*\r\n)*)", re.IGNORECASE
)
_ADDRESS = re.compile(r"<\s*(https?://[^>\s]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of the message, cut at its links; *part* is its place in one handed in whole."""

    cut: Cut
    is_html: bool
    part: TextPart | None = None

    def fill(self, links: Links, tracks: Tracks) -> str:
        """Return what it says to one recipient."""
        if not self.is_html:
            return self.cut.fill(link=links.link if tracks & Tracks.TEXT_LINKS else None)
        return self.cut.fill(
            link=links.link if tracks & Tracks.CLICKS else None,
            pixel=links.pixel() if tracks & Tracks.OPENS else None,
        )


@dataclass(frozen=True, slots=True)
class Outline:
    """A message before anybody's links are in it: of parts, or handed in whole."""

    texts: tuple[_Text, ...]
    parts: Parts | None = None
    data: bytes = b""

    @property
    def smtputf8(self) -> bool:
        """Whether only SMTPUTF8 can carry it."""
        if self.parts is not None:
            return needs_smtputf8(self.parts)
        return not self.data.partition(b"\r\n\r\n")[0].isascii()

    def write(self, links: Links, tracks: Tracks) -> bytes:
        """Return the message as one recipient gets it, without a signature."""
        if self.parts is None:
            return self._write_whole(links, tracks)
        said = {text.is_html: text.fill(links, tracks) for text in self.texts}
        return compose(replace(self.parts, html=said.get(True), text=said.get(False)))

    def _write_whole(self, links: Links, tracks: Tracks) -> bytes:
        pieces, at = [], 0
        for text in self.texts:
            assert text.part is not None
            said = text.fill(links, tracks)
            if said != text.part.text:
                pieces += [self.data[at : text.part.start], text.part.write(said)]
                at = text.part.end
        data = b"".join([*pieces, self.data[at:]])
        return data if data.endswith(b"\r\n") else data + b"\r\n"


def outline_of(content: Content, *, own: tuple[str, ...]) -> Outline:
    """Return the message that *content* is; *own* is how addresses of ours begin."""
    if content.format is ContentFormat.RAW:
        return _outline_of_whole(content.body, own)
    return outline_of_parts(decode_parts(content.body), own=own)


def outline_of_parts(given: Parts, *, own: tuple[str, ...]) -> Outline:
    """Return the message that parts make; *own* is how addresses of ours begin."""
    parts = with_text(given)
    fields = "".join(v for n, v in parts.headers if n.lower() == "list-unsubscribe")
    leave = (*own, *_ADDRESS.findall(fields))
    texts = []
    if parts.html is not None:
        texts.append(_Text(cut_html(parts.html, leave=leave), True))
    if parts.text is not None:
        first = sum(text.cut.link_count for text in texts)
        texts.append(_Text(cut_text(parts.text, leave=leave, first=first), False))
    return Outline(tuple(texts), parts)


def with_text(parts: Parts) -> Parts:
    """Return *parts* with a text for those who do not read HTML."""
    if parts.text is not None or parts.html is None:
        return parts
    return replace(parts, text=text_from_html(parts.html) or None)


def _outline_of_whole(data: bytes, own: tuple[str, ...]) -> Outline:
    head = data.partition(b"\r\n\r\n")[0] + b"\r\n"
    fields = " ".join(match.decode("latin-1") for match in _LEAVE_FIELD.findall(head))
    leave = (*own, *_ADDRESS.findall("".join(fields.split("\r\n"))))
    texts: list[_Text] = []
    count = 0
    for part in find_texts(data):
        if part.is_html:
            cut = cut_html(part.text, leave=leave, first=count)
        else:
            cut = cut_text(part.text, leave=leave, first=count)
        count += cut.link_count
        texts.append(_Text(cut, part.is_html, part))
    return Outline(tuple(texts), data=data)
