"""Templates as layers of sources, and what each recipient's values make of them.

The first layer is what a message says; each further one is a layout around those before it. A
layer is written in one of two syntaxes. *Braces* are filled in here, in time that grows with
the length of what comes out. *Jinja* is a language: it runs in processes of its own, which
`renderers` keeps and `sandbox` is.
"""

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

MAX_OUTPUT_BYTES = 5 * 2**20
"""What one part of a message may become."""
MAX_SUBJECT_CHARACTERS = 998
CONTENT = "content"
"""The name by which a layout in Jinja takes what it is put around."""


class Syntax(StrEnum):
    """How a source says where values go."""

    JINJA = "jinja"
    BRACES = "braces"


class Part(StrEnum):
    """What a source becomes."""

    SUBJECT = "subject"
    HTML = "html"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Layer:
    """The sources of one template; a part that it does not have is None."""

    syntax: Syntax
    subject: str | None = None
    html: str | None = None
    text: str | None = None

    def source(self, part: Part) -> str | None:
        """Return the source of one part."""
        found: str | None = getattr(self, part.value)
        return found


@dataclass(frozen=True, slots=True)
class Rendered:
    """What layers became with somebody's values."""

    subject: str | None
    html: str | None
    text: str | None


class Unrenderable(ValueError):
    """A source cannot be read, or nothing comes of it with these values."""

    def __init__(self, part: Part, reason: str, *, is_boundless: bool = False) -> None:
        super().__init__(reason)
        self.part = part
        self.reason = reason
        self.is_boundless = is_boundless
        """It goes beyond a limit, and not just wrong."""


Render = Callable[[Part, Layer, Mapping[str, Any], str | None], str]
"""Returns a part of one layer with values and, for layouts, what it is put around."""


def render_layers(layers: Sequence[Layer], values: Mapping[str, Any], render: Render) -> Rendered:
    """Return what *layers* make of *values*.

    The innermost subject counts. Parts are put into the same part of the layouts around them;
    a layout that takes content makes no part that there is no content for.

    Raises:
        Unrenderable: one of the sources cannot be rendered.
    """
    made: dict[Part, str | None] = {}
    for part in (Part.HTML, Part.TEXT):
        content: str | None = None
        for nth, layer in enumerate(layers):
            source = layer.source(part)
            if source is None or (nth and content is None and takes_content(layer.syntax, source)):
                continue
            content = render(part, layer, values, content)
        made[part] = content
    subject = None
    titled = next((layer for layer in layers if layer.subject is not None), None)
    if titled is not None:
        # A subject is one line, whatever a value holds.
        subject = " ".join(render(Part.SUBJECT, titled, values, None).split())
        if len(subject) > MAX_SUBJECT_CHARACTERS:
            raise Unrenderable(
                Part.SUBJECT, "It becomes longer than 998 characters.", is_boundless=True
            )
    return Rendered(subject, made[Part.HTML], made[Part.TEXT])


# Nothing here is tried twice: a source may be one pair of braces and half a megabyte of blanks.
_BRACES = re.compile(
    r"\{\{\{(?P<literal>[^{}]{1,200}+)\}\}\}"
    r"|\{\{\s*+(?P<how>[=&%$*]?+)\s*+(?P<name>[\w.-]{0,200}+)\s*+\}\}"
)
_BRACES_SLOT = re.compile(r"\{\{\s*+\*\s*+\}\}")
_JINJA_SLOT = re.compile(r"\{[{%][^{}]*\bcontent\b")


def takes_content(syntax: Syntax, source: str) -> bool:
    """Say whether a layout has a place for what it is put around."""
    slot = _BRACES_SLOT if syntax is Syntax.BRACES else _JINJA_SLOT
    return slot.search(source) is not None


def names_in_braces(source: str) -> set[str]:
    """Return the names whose values a source in braces takes, in lower case."""
    found = {match["name"].lower() for match in _BRACES.finditer(source) if match["name"]}
    return found - {""}


def render_braces(part: Part, layer: Layer, values: Mapping[str, Any], content: str | None) -> str:
    """Return a source in braces with its values in it; a name that has none leaves nothing.

    Names are compared in lower case, as those of *values* have to be. Values stand as they are;
    `{{&name}}` escapes for HTML, `{{%name}}` for addresses, `{{$name}}` for JavaScript.
    `{{{name}}}` is `{{name}}` itself.

    Raises:
        Unrenderable: it becomes too large.
    """
    source = layer.source(part) or ""
    if "{{" not in source and len(source) <= MAX_OUTPUT_BYTES:
        return source
    pieces: list[str] = []
    at = size = 0
    for match in _BRACES.finditer(source):
        said = _value(match, values, content)
        pieces += (source[at : match.start()], said)
        size += len(said)
        at = match.end()
        if size > MAX_OUTPUT_BYTES:
            break
    if size + len(source) > MAX_OUTPUT_BYTES:
        raise Unrenderable(part, TOO_LARGE, is_boundless=True)
    pieces.append(source[at:])
    return "".join(pieces)


TOO_LARGE = "It becomes larger than 5 MiB."


def _value(match: re.Match[str], values: Mapping[str, Any], content: str | None) -> str:
    if match["literal"] is not None:
        return f"{{{{{match['literal'].strip()}}}}}"
    how, name = match["how"], match["name"]
    if how == "*" and not name:
        return content or ""
    if not name or how == "*":
        return match[0] if not how else ""
    return _ESCAPES[how](as_text(values.get(name.lower())))


_ESCAPES: Mapping[str, Callable[[str], str]] = {
    "": str,
    "=": str,
    "&": html.escape,
    "%": lambda text: quote(text, safe=""),
    "$": lambda text: json.dumps(text)[1:-1].replace("</", "<\\/"),
}


def as_text(value: Any) -> str:
    """Return a value as braces write it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def folded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values* with their names in lower case, as braces look for them."""
    return {name.lower(): value for name, value in values.items()}
