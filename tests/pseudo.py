"""A language that stands for any: each of its texts is the English one with other letters."""

import io
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.pofile import read_po, write_po
from docs import texts

from postlane.core import languages
from postlane.dashboard import assets
from tests.dashboard.test_marking import CODE, TOLD

PSEUDO = "eo"
SKIPPED = CODE | {"time", "textarea"}
OTHER_LETTERS = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "ÁƁĆĎÉƑĜĤÍĴĶĹḾŃÓṔǪŔŚŤÚṼŴẊÝŹáƀćďéƒĝĥíĵķĺḿńóṕǫŕśťúṽŵẋýź",
)
KEPT = re.compile(r"(<[^>]*>|%\(\w+\)s|%%|\{\w*\}|&\w+;)")


def pseudo(text: str) -> str:
    """Return *text* as the pseudo language has it; its places and tags stay."""
    parts = KEPT.split(text)
    return "".join(
        part if KEPT.fullmatch(part) else part.translate(OTHER_LETTERS) for part in parts
    )


@cache
def catalog() -> bytes:
    """Return a catalog with every text, as a file has it; made once, for it takes seconds."""
    made, found = io.BytesIO(), read_po(io.BytesIO(texts.template().encode()), locale=PSEUDO)
    for message in found:
        if message.id:
            both = isinstance(message.id, tuple)
            message.string = tuple(map(pseudo, message.id)) if both else pseudo(str(message.id))
    write_po(made, found)
    return made.getvalue()


@pytest.fixture
def another_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more language, whose catalog has every text."""
    (tmp_path / f"{PSEUDO}.po").write_bytes(catalog())
    known = (languages.catalogs, assets.assets, assets.by_url)
    with monkeypatch.context() as patched:
        patched.setattr(languages, "FOLDER", tmp_path)
        for each in known:
            each.cache_clear()
        yield
    for each in known:
        each.cache_clear()
    languages.speak(languages.SOURCE)


class Reader(HTMLParser):
    """Reads what people read: texts between tags, and attributes that are told."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.said += [value or "" for name, value in attrs if name in TOLD and tag != "time"]
        if tag not in ("input", "meta", "link", "br", "path", "use", "rect", "line", "img", "base"):
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._within and self._within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not SKIPPED & set(self._within):
            self.said.append(data)


def untranslated(page: str) -> set[str]:
    """Return every word of a page that is English: data, and names of programs, are none."""
    reader = Reader()
    reader.feed(page)
    words = " ".join(reader.said).split()
    # An address, a path, an event or the name of a time zone is the same in every language.
    plain = (
        word.strip("“”‘’(),;:!?…") for word in words if not re.search(r"[@/_<>=]|\w\.\w", word)
    )
    return {word for word in plain if re.fullmatch(r"[A-Z]?[a-z]{2,}\.?", word)}
