"""The file that translations begin with: every text that is marked, and where it is.

Marked are texts in templates of pages and notices, `{{ _("…") }}` and `{% trans %}`, in Python,
`_("…")`, `N_("…")` and `ngettext(…)`, and in the scripts of pages. Names of the schema's values
are shown as words, so those are in it as well.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import write_po
from graphql import GraphQLEnumType

from postlane.dashboard.format import words
from postlane.graphql.schema import CORE

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "platform" / "core" / "locales"
PLATFORM = ROOT / "platform"
TEMPLATE = "jinja2.ext:babel_extract"
METHODS = {".py": "python", ".html": TEMPLATE, ".jinja": TEMPLATE, ".js": "javascript"}
OTHERS = frozenset({"htmx.min.js", "editor.min.js", "uplot.min.js"})
"""Scripts that are not ours."""
KEYWORDS: dict[str, Any] = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
OPTIONS = {"trimmed": "true", "newstyle": "true", "trim_blocks": "true", "lstrip_blocks": "true"}
HEADER = """\
# Every text of pages and of mail to people. Made by `make docs`; a language is a copy of it,
# named by its tag, such as pt-BR.po, with what each text is in it.
#"""
NOT_SAID = (
    *('"Project-Id', '"Report-', '"POT-', '"PO-', '"Last-Translator', '"Language-Team'),
    '"Generated-By',
)
NOT_SHOWN = ("__Directive", "ErrorCode", "DetailCode")


def marked() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Yield every marked text, or both of one that differs by a number, with its file."""
    for path in sorted(PLATFORM.rglob("*")):
        if path.suffix in METHODS and path.name not in OTHERS:
            with path.open("rb") as file:
                found = extract(METHODS[path.suffix], file, KEYWORDS, options=OPTIONS)
                for _, message, _, _ in found:
                    yield path.relative_to(ROOT).as_posix(), message


def names() -> Iterator[tuple[str, str]]:
    """Yield the words for every value of the schema's enumerations, with the schema's file."""
    shown = (
        type_
        for name, type_ in CORE.type_map.items()
        if isinstance(type_, GraphQLEnumType) and not name.startswith(NOT_SHOWN)
    )
    for type_ in shown:
        yield from (("platform/graphql/schema.graphql", words(each)) for each in type_.values)


def template() -> str:
    """Return the file."""
    catalog = Catalog(header_comment=HEADER, charset="utf-8", fuzzy=False)
    for file, message in (*marked(), *names()):
        catalog.add(message, locations=[(file, 0)])
    written = io.BytesIO()
    write_po(written, catalog, width=100, sort_output=True, include_lineno=False)
    # When it was made, and by what and whom, is no part of what it says.
    lines = written.getvalue().decode().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(NOT_SAID))
