"""A version of a template as a form has it: some languages, some variables, a layout."""

import json
from collections.abc import Mapping
from typing import Any

from .page import Call

SPARE_VARIABLES = 3
NAMES = {
    "version.texts[].locale": "locale-{}",
    "version.texts[].subject": "subject-{}",
    "version.texts[].html": "html-{}",
    "version.texts[].text": "text-{}",
    "version.variables[].name": "variable-{}",
    "version.variables[].default": "default-{}",
    "version.texts": "html-0",
    "version.variables": "variable-0",
    "version.sender": "sender",
    "version.layout": "layout",
    "version": "html-0",
    "number": "html-0",
}
"""What the form calls the parts of a version."""


def version_of(call: Call) -> dict[str, Any]:
    """Return the version that the form describes, for the schema."""
    return {
        "texts": [{n: v or None for n, v in text.items()} for text in _texts(call)],
        "variables": [
            {
                "name": each["variable"],
                "default": read_value(each["default"]),
                "isRequired": each["given"] == "yes",
            }
            for each in _variables(call)
        ],
        "layout": call.form.get("layout", "").strip() or None,
        "sender": call.form.get("sender", "").strip() or None,
    }


def shown_value(value: Any) -> str:
    """Return a default as a field holds it: a text as it is, unless it would be read as a value."""
    if value is None:
        return ""
    if isinstance(value, str) and read_value(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def read_value(text: str) -> Any:
    """Return what a field holds: a number, an object and so on in JSON, or else a text."""
    if not text:
        return None
    try:
        return json.loads(text, parse_constant=_no_value)
    except (ValueError, RecursionError):
        return text


def _no_value(word: str) -> Any:
    # Python reads NaN and Infinity, which JSON has not.
    raise ValueError(word)


def _name_of(layout: Mapping[str, Any]) -> str:
    """Return what names a layout: of two with one slug, that of all projects is meant by it."""
    return str(layout["uuid"] if layout["projectUuid"] else layout["slug"])


def _column(call: Call, name: str, nth: int) -> str:
    values = call.chosen.get(name, ())
    # Browsers send the lines of a form with CRLF, whatever it was filled with.
    return values[nth].replace("\r\n", "\n") if nth < len(values) else ""


def _texts(call: Call) -> list[dict[str, str]]:
    """Return the languages of the form; one in which nothing is written is none."""
    found = [
        {n: _column(call, n, nth) for n in ("locale", "subject", "html", "text")}
        for nth in range(len(call.chosen.get("html", ())))
    ]
    return [each for each in found if any(each.values())]


def _variables(call: Call) -> list[dict[str, str]]:
    found = [
        {n: _column(call, n, nth).strip() for n in ("variable", "default", "given")}
        for nth in range(len(call.chosen.get("variable", ())))
    ]
    return [each for each in found if each["variable"] or each["default"]]


def form_of(version: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the form says of a version; without one, of one that is begun."""
    if version is None:
        version = {"sender": None, "layout": None, "texts": [], "variables": []}
    layout = version["layout"]
    return {
        "sender": version["sender"] or "",
        "layout": _name_of(layout) if layout else "",
        "texts": [{k: v or "" for k, v in text.items()} for text in version["texts"]],
        "variables": [
            {
                "variable": each["name"],
                "default": shown_value(each["default"]),
                "given": "yes" if each["isRequired"] else "",
            }
            for each in version["variables"]
        ],
    }


def written(call: Call) -> dict[str, Any]:
    """Return what the form says that was sent."""
    return {
        "sender": call.form.get("sender", ""),
        "layout": call.form.get("layout", ""),
        "texts": _texts(call),
        "variables": _variables(call),
    }


def spared(form: dict[str, Any]) -> dict[str, Any]:
    """Return a form with room for one more language and some more variables."""
    text = {"locale": "", "subject": "", "html": "", "text": ""}
    variable = {"variable": "", "default": "", "given": ""}
    return form | {
        "texts": [*form["texts"], text],
        "variables": [*form["variables"], *[variable] * SPARE_VARIABLES],
    }
