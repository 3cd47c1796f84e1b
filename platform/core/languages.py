"""Languages: texts are English where they are written, and in the words of who reads them.

A text is marked, `_("Saved.")`, and looked up in the catalog of the language that is spoken: of
the request, or of whatever else a task does. `locales/postlane.pot` has every marked text, and a
language is one more file beside it, such as `locales/pt-BR.po`. Catalogs are read when they are
first asked for; a text that one lacks is shown in English.
"""

import gettext as standard
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDER = Path(__file__).parent / "locales"
SOURCE = "en"
"""What texts are written in: complete, and without a catalog."""
LONGEST_HEADER = 500
"""Characters of a browser's wishes; no person has more."""
WEIGHT = re.compile(r"q\s*=")

_spoken: ContextVar[str] = ContextVar("spoken", default=SOURCE)


@lru_cache(maxsize=1)
def catalogs() -> dict[str, standard.NullTranslations]:
    """Return the catalog of each language that there is, by its tag (RFC 5646)."""
    found = {SOURCE: standard.NullTranslations()}
    for path in sorted(FOLDER.glob("*.po")):
        compiled = io.BytesIO()
        with path.open("rb") as file:
            catalog = read_po(file, locale=path.stem.replace("-", "_"))
        for message, _faults in catalog.check():
            # It has other places than the English text, and no page may break of that.
            message.string = ""
        write_mo(compiled, catalog)
        compiled.seek(0)
        found[path.stem] = standard.GNUTranslations(compiled)
    return found


def names() -> dict[str, str]:
    """Return what each language calls itself, by its tag."""
    return {tag: locale_of(tag).get_display_name() or tag for tag in catalogs()}


def locale_of(tag: str) -> Locale:
    """Return how dates and numbers are written in a language."""
    return Locale.parse(tag, sep="-")


def speak(tag: str) -> None:
    """Speak a language from here on, in this task; English if there is no catalog for it."""
    _spoken.set(tag if tag in catalogs() else SOURCE)


@contextmanager
def speaking(tag: str) -> Iterator[None]:
    """Speak a language for a while, in this task; where *tag* is empty, what is spoken already."""
    before = _spoken.set(tag if tag in catalogs() else SOURCE if tag else _spoken.get())
    try:
        yield
    finally:
        _spoken.reset(before)


def spoken() -> str:
    """Return the tag of the language that is spoken."""
    return _spoken.get()


def written(at: datetime) -> str:
    """Return a time to the minute, as the language that is spoken has it."""
    if spoken() == SOURCE:
        return f"{at.day} {at:%b %Y, %H:%M}"
    return format_datetime(at, "d MMM y, HH:mm", locale=locale_of(spoken()))


def written_in(at: datetime, zone: str) -> str:
    """Return a time as `written` does, in a time zone (IANA) and with its name; UTC if empty."""
    try:
        found = ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):  # it was known once, and this machine lacks it
        found = ZoneInfo("UTC")
    told = written(at.astimezone(found))
    return f"{told} UTC" if found.key == "UTC" else f"{told} ({found.key})"


def wished(header: str) -> str:
    """Return the language of ours that an `Accept-Language` header asks for first."""
    wishes = []
    for each in header[:LONGEST_HEADER].split(","):
        tag, *parameters = (part.strip().lower() for part in each.split(";"))
        weights = [part.partition("=")[2] for part in parameters if WEIGHT.match(part)]
        try:
            wishes.append((float(weights[0] if weights else 1), tag))
        except ValueError:
            continue
    # Sorting keeps the order of what is wished for alike.
    wishes.sort(key=lambda wish: -wish[0])
    found = (_nearest(tag) for weight, tag in wishes if tag and weight > 0)
    return next((tag for tag in found if tag is not None), SOURCE)


def _nearest(wish: str) -> str | None:
    """Return the tag of ours for one in small letters: itself or what it belongs to, or for a
    bare language the first of its regions."""
    ours = {tag.lower(): tag for tag in catalogs()}
    part = wish
    while part:
        if part in ours:
            return ours[part]
        part = part.rpartition("-")[0]
    return next((tag for low, tag in ours.items() if low.startswith(f"{wish}-")), None)


def marked(text: str) -> str:
    """Return *text* as it is: it is known to be a text, and looked up where it is shown."""
    return text


def gettext(text: str, /, **values: object) -> str:
    """Return *text* in the language that is spoken, with *values* in its places."""
    tag = _spoken.get()
    # English is looked up nowhere, and the empty text would be a catalog's own head.
    told = text if tag == SOURCE or not text else catalogs()[tag].gettext(text)
    return told % values if values else told


def ngettext(one: str, many: str, n: float, /, **values: object) -> str:
    """Return the text for *n* things in the language that is spoken."""
    return open_plural(one, many, n) % {"n": n, **values}


def open_plural(one: str, many: str, n: float, /) -> str:
    """Return the text for *n* things with its places still open, as templates fill them."""
    tag = _spoken.get()
    return catalogs()[tag].ngettext(one, many, _whole_like(n, tag))


WHOLE = range(1, 201)
"""Numbers among which each form that a language has for whole ones is found."""


def _whole_like(n: float, tag: str) -> int:
    """Return a whole number that has the form which a language gives to *n* things.

    Catalogs tell forms apart for whole numbers alone: of a day and a half they would see one day,
    which is right in French and wrong in English. Where a fraction has a form of its own, which no
    catalog has, it is that of two: in Russian it is just that.

    Source: https://www.unicode.org/cldr/charts/latest/supplemental/language_plural_rules.html
    """
    if n == int(n):
        return int(n)
    form = locale_of(tag).plural_form
    wanted = form(Decimal(str(n)))
    return next((whole for whole in WHOLE if form(whole) == wanted), 2)
