"""What Postal's clients may send: nearly anything, read as Postal reads it."""

from typing import Any

from ...core.errors import DetailCode
from ..fields import Fields, Findings, JsonSchema

LARGEST_NUMBER = 2**63 - 1


def as_text(value: Any) -> str | None:
    """Return a value that stands for a text as one, or None if it does not."""
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else None


def is_blank(value: Any) -> bool:
    """Say whether a value counts as not given."""
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or value is False or value == [] or value == {}


class AnyKind:
    """A parameter of any form; whether it is there is its own affair."""

    parts: Fields | None = None

    def is_missing(self, value: Any) -> bool:
        """Say whether *value* counts as not given, where something has to be."""
        return is_blank(value)


class Line(AnyKind):
    """A text; numbers and truth values are taken for theirs."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        text = as_text(value)
        if text is None:
            found.add(at, DetailCode.INVALID_TYPE, f"`{at}` must be a string")
        return text

    def schema(self) -> JsonSchema:
        return {"type": "string"}


class Strict(Line):
    """A text and nothing else."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        return super().read(value if isinstance(value, str) else None, at, found)


class Addresses(AnyKind):
    """A list of addresses, or one text with commas between them."""

    def __init__(self, most: int) -> None:
        self._most = most

    def read(self, value: Any, at: str, found: Findings) -> Any:
        items = split(value) if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(each, str) for each in items):
            found.add(at, DetailCode.INVALID_TYPE, f"`{at}` must be an array of strings")
            return None
        # One more than may be is enough to be refused for it.
        return items[: self._most + 1]

    def schema(self) -> JsonSchema:
        return {"type": ["array", "string"]}


class AddressArray(Addresses):
    """A list of addresses, which may be empty; a text is none."""

    def is_missing(self, value: Any) -> bool:
        return not isinstance(value, list)

    def schema(self) -> JsonSchema:
        return {"type": "array"}


def split(text: str) -> list[str]:
    """Return what stands between the commas, without empty pieces at the end."""
    items = [item.strip() for item in text.split(",")]
    while items and not items[-1]:
        items.pop()
    return items


class Truth(AnyKind):
    """Anything but `false` is true."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        return value is not False

    def schema(self) -> JsonSchema:
        return {"type": "boolean"}


class Headers(AnyKind):
    """An object of names and values; anything else is passed over."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, dict):
            return []
        pairs = ((name, as_text(text)) for name, text in value.items())
        return [{"name": name, "value": text} for name, text in pairs if text is not None]

    def schema(self) -> JsonSchema:
        return {"type": "object"}


class Files(AnyKind):
    """A list of objects with `name`, `content_type` and `data`; what is no object is skipped."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, list):
            if not isinstance(value, dict):
                found.add(at, DetailCode.INVALID_TYPE, f"`{at}` must be an array of objects")
            return []
        return [
            {
                "filename": as_text(each.get("name")),
                "contentType": as_text(each.get("content_type")),
                "content": self._data(each.get("data"), at, found),
            }
            for each in value
            if isinstance(each, dict)
        ]

    def _data(self, value: Any, at: str, found: Findings) -> str | None:
        if value is None or isinstance(value, str):
            return value
        found.add(at, DetailCode.INVALID_TYPE, f"`data` in `{at}` must be a string")
        return None

    def schema(self) -> JsonSchema:
        return {"type": "array"}


class Number(AnyKind):
    """The id of a message; a text with its digits is taken, too."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if isinstance(value, str) and value.isascii() and value.lstrip("-").isdigit():
            value = int(value) if len(value) < 20 else LARGEST_NUMBER + 1
        if isinstance(value, bool) or not isinstance(value, int):
            found.add(at, DetailCode.INVALID_TYPE, f"`{at}` must be an integer")
        return value

    def schema(self) -> JsonSchema:
        return {"type": "integer"}


class Expansions(AnyKind):
    """`true`, or a list of names."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if value is True:
            return True
        return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []

    def schema(self) -> JsonSchema:
        return {"type": ["boolean", "array"]}
