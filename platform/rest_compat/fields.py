"""What a client may send: fields with a JSON type, each declared once.

From a declaration come the reading of bodies into GraphQL variables, the translation of
our field paths into the client's, and the schema in OpenAPI. Only what JSON and GraphQL
could stumble over is decided here: types, missing fields, unknown words, numbers out of
range. Whether a value is allowed is decided by the operation, for every edge alike.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from ..core.errors import Detail, DetailCode
from .times import read_time

MOST_DETAILS = 100
"""More than this says nothing new, and an answer must not grow with a hostile body."""

MOST_ITEMS = 10_000
"""Of one list or map; our schema takes no more, and looking at each item takes time."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
UUID_PATTERN = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
INT_MIN, INT_MAX = -(2**31), 2**31 - 1
"""What GraphQL's `Int` can hold."""

JsonSchema = dict[str, Any]


class Findings:
    """What is wrong with one request, in the order it was found."""

    __slots__ = ("details",)

    def __init__(self) -> None:
        self.details: list[Detail] = []

    def add(self, at: str, code: DetailCode, message: str) -> None:
        """Note that the value at path *at* is wrong."""
        if len(self.details) < MOST_DETAILS:
            self.details.append(Detail(at, code, message))

    def wrong_type(self, at: str, wanted: str) -> None:
        """Note that the value at path *at* has another JSON type than *wanted*."""
        self.add(at, DetailCode.INVALID_TYPE, f"This must be {wanted}.")


class Kind(Protocol):
    """A JSON type with the rules that a client is told about."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        """Return the GraphQL variable that *value* is, or note why it is none."""

    def schema(self) -> JsonSchema:
        """Return the type as OpenAPI shows it."""

    @property
    def parts(self) -> "Fields | None":
        """The fields within, if it is an object or a list of objects."""


class _Scalar:
    @property
    def parts(self) -> "Fields | None":
        return None


@dataclass(frozen=True, slots=True)
class Text(_Scalar):
    """A string; its lengths and form are told here and judged by the operation."""

    shortest: int | None = None
    longest: int | None = None
    pattern: str | None = None
    format: str | None = None

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, str):
            found.wrong_type(at, "a string")
        elif "\0" in value:
            found.add(at, DetailCode.INVALID_FORMAT, "The character U+0000 is not allowed.")
        return value

    def schema(self) -> JsonSchema:
        limits = {
            "minLength": self.shortest,
            "maxLength": self.longest,
            "pattern": self.pattern,
            "format": self.format,
        }
        return {"type": "string", **{k: v for k, v in limits.items() if v is not None}}


class Uuid(_Scalar):
    """A UUID; what is none could not be found anyway, and is told from a typing error."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, str):
            found.wrong_type(at, "a string")
        elif not UUID_PATTERN.fullmatch(value):
            found.add(at, DetailCode.INVALID_FORMAT, "This must be a UUID.")
        return value

    def schema(self) -> JsonSchema:
        return {"type": "string", "format": "uuid"}


@dataclass(frozen=True, slots=True)
class Integer(_Scalar):
    """A whole number within what GraphQL can carry."""

    least: int = INT_MIN
    most: int = INT_MAX

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            found.wrong_type(at, "a whole number")
        elif value < max(self.least, INT_MIN):
            found.add(at, DetailCode.TOO_SMALL, f"This must be at least {self.least}.")
        elif value > min(self.most, INT_MAX):
            found.add(at, DetailCode.TOO_LARGE, f"This must be at most {self.most}.")
        return value

    def schema(self) -> JsonSchema:
        limits = {
            "minimum": self.least if self.least != INT_MIN else None,
            "maximum": self.most if self.most != INT_MAX else None,
        }
        return {"type": "integer", **{k: v for k, v in limits.items() if v is not None}}


@dataclass(frozen=True, slots=True)
class Number(_Scalar):
    """A number, whole or not; whether it is in range is judged by the operation."""

    least: int | None = None

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            found.wrong_type(at, "a number")
        elif not -(2**53) <= value <= 2**53:
            too = DetailCode.TOO_SMALL if value < 0 else DetailCode.TOO_LARGE
            found.add(at, too, "A number has at most 53 bits.")
        return value

    def schema(self) -> JsonSchema:
        return {"type": "number", **({} if self.least is None else {"minimum": self.least})}


@dataclass(frozen=True, slots=True)
class Flag(_Scalar):
    """True or false."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, bool):
            found.wrong_type(at, "true or false")
        return value

    def schema(self) -> JsonSchema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice(_Scalar):
    """One of several words, each with the name of our enum's value."""

    words: Mapping[str, Any]
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other spellings that are understood but never written."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, str):
            found.wrong_type(at, "a string")
            return None
        word = self.aliases.get(value, value)
        if word not in self.words:
            found.add(at, DetailCode.NOT_ALLOWED, f"Choose one of {', '.join(self.words)}.")
        return self.words.get(word)

    def schema(self) -> JsonSchema:
        return {"type": "string", "enum": [*self.words, *self.aliases]}


def choice(*words: str, aliases: Mapping[str, str] | None = None) -> Choice:
    """Return the choice whose words are our enum's names in lower case."""
    return Choice({word: enum_name(word) for word in words}, aliases or {})


def enum_name(word: str) -> str:
    """Return the GraphQL name of a word: `rsa-2048` is `RSA_2048`."""
    return word.upper().replace("-", "_").replace(".", "_")


@dataclass(frozen=True, slots=True)
class Time(_Scalar):
    """A time with any offset and up to nine fractional digits."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, str):
            found.wrong_type(at, "a string")
            return None
        time = read_time(value)
        if time is None:
            found.add(
                at, DetailCode.INVALID_FORMAT, "This must be a time such as 2026-06-01T12:00:00Z."
            )
            return None
        return time.isoformat()

    def schema(self) -> JsonSchema:
        return {"type": "string", "format": "date-time"}


@dataclass(frozen=True, slots=True)
class Date(_Scalar):
    """A date without a time, such as 2026-06-01."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, str):
            found.wrong_type(at, "a string")
            return None
        try:
            if not _DATE.fullmatch(value):
                raise ValueError(value)
            return date.fromisoformat(value).isoformat()
        except ValueError:
            message = "This must be a date such as 2026-06-01."
            found.add(at, DetailCode.INVALID_FORMAT, message)
            return None

    def schema(self) -> JsonSchema:
        return {"type": "string", "format": "date"}


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array; with *lone*, one item may stand without the brackets."""

    item: Kind
    fewest: int | None = None
    most: int | None = None
    lone: bool = False

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if self.lone and isinstance(value, str):
            return [self.item.read(value, at, found)]
        if not isinstance(value, list):
            found.wrong_type(at, "an array or a string" if self.lone else "an array")
            return None
        if len(value) > MOST_ITEMS:
            # Before the items are looked at: three million of them take seconds, in which
            # this process answers nobody.
            found.add(at, DetailCode.TOO_MANY, f"At most {MOST_ITEMS} items are taken.")
            return None
        return [self.item.read(item, f"{at}[{n}]", found) for n, item in enumerate(value)]

    def schema(self) -> JsonSchema:
        limits = {"minItems": self.fewest, "maxItems": self.most}
        array = {
            "type": "array",
            "items": self.item.schema(),
            **{k: v for k, v in limits.items() if v is not None},
        }
        return {"oneOf": [array, self.item.schema()]} if self.lone else array

    @property
    def parts(self) -> "Fields | None":
        return self.item.parts


@dataclass(frozen=True, slots=True)
class TextMap(_Scalar):
    """An object whose values are strings."""

    most: int
    longest_key: int | None = None
    longest: int | None = None
    pairs: bool = False
    """Our schema takes a list of names and values, so that a name may come twice."""

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, dict):
            found.wrong_type(at, "an object")
            return None
        if len(value) > MOST_ITEMS:
            found.add(at, DetailCode.TOO_MANY, f"At most {MOST_ITEMS} pairs are taken.")
            return None
        for key, text in value.items():
            TEXT.read(text, f"{at}.{key}", found)
            if "\0" in key:
                TEXT.read(key, at, found)
        if self.pairs:
            return [{"name": key, "value": text} for key, text in value.items()]
        return value

    def schema(self) -> JsonSchema:
        values = Text(longest=self.longest).schema()
        found = {"type": "object", "maxProperties": self.most, "additionalProperties": values}
        if self.longest_key is not None:
            found["propertyNames"] = {"maxLength": self.longest_key}
        return found


@dataclass(frozen=True, slots=True)
class FreeObject(_Scalar):
    """An object of the client's own making, nested at most *deepest* levels."""

    deepest: int = 32

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, dict):
            found.wrong_type(at, "an object")
        elif not _is_storable(value, self.deepest):
            found.add(
                at,
                DetailCode.INVALID_FORMAT,
                f"Nesting ends at {self.deepest} levels, and U+0000 is not allowed.",
            )
        return value

    def schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": True}


def _is_storable(value: Any, deepest: int) -> bool:
    if isinstance(value, str):
        return "\0" not in value
    if not isinstance(value, dict | list):
        return True
    if deepest == 0:
        return False
    if isinstance(value, list):
        return all(_is_storable(item, deepest - 1) for item in value)
    return all("\0" not in k and _is_storable(v, deepest - 1) for k, v in value.items())


TEXT = Text()
UUID_TEXT = Uuid()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object, under the client's name and under ours."""

    name: str
    kind: Kind
    about: str
    required: bool = False
    ours: str = ""
    """Its name in our input; the same in camelCase unless it differs."""
    default: Any = None
    """What absence means, as the client is told."""
    example: Any = None
    clearable: bool = False
    """Null is not absence: it takes away what is there."""


@dataclass(frozen=True, slots=True)
class Object:
    """A nested object."""

    fields: "Fields"

    def read(self, value: Any, at: str, found: Findings) -> Any:
        if not isinstance(value, dict):
            found.wrong_type(at, "an object")
            return None
        return self.fields.read(value, found, at=f"{at}.")

    def schema(self) -> JsonSchema:
        return self.fields.schema()

    @property
    def parts(self) -> "Fields | None":
        return self.fields


class Fields:
    """The fields of one object, in the order they are documented."""

    def __init__(self, *fields: Field, name: str | None = None) -> None:
        self.fields = fields
        self.name = name
        """What OpenAPI calls it; without one it is shown where it stands."""
        self._known = {f.name: f for f in fields}
        self._theirs = {f.ours or camel_case(f.name): f for f in fields}
        self._required = tuple(f.name for f in fields if f.required)

    def read(self, body: Mapping[str, Any], found: Findings, *, at: str = "") -> dict[str, Any]:
        """Return our input made of *body*, or note what is wrong with it.

        An optional field that is null counts as absent unless it is clearable, an unknown one
        is passed over.
        """
        read: dict[str, Any] = {}
        for name in self._required:
            if body.get(name) is None:
                found.add(at + name, DetailCode.REQUIRED, "This field is required.")
        for name, value in body.items():
            known = self._known.get(name)
            if known is None or (value is None and not known.clearable):
                continue
            ours = known.ours or camel_case(name)
            read[ours] = None if value is None else known.kind.read(value, at + name, found)
        return read

    def note_unknown(self, body: Mapping[str, Any], found: Findings, *, at: str = "") -> None:
        """Note every field of *body*, at any depth, that is not declared."""
        for name, value in body.items():
            declared = self._known.get(name)
            if declared is None:
                found.add(at + name, DetailCode.UNKNOWN_FIELD, "There is no such field.")
            elif (parts := declared.kind.parts) is not None:
                items = enumerate(value) if isinstance(value, list) else [(None, value)]
                for n, item in items:
                    if isinstance(item, dict):
                        place = f"{at}{name}." if n is None else f"{at}{name}[{n}]."
                        parts.note_unknown(item, found, at=place)

    def theirs(self, path: str) -> str:
        """Return the client's name for one of our input paths: `replyTo[1]`, `reply_to[1]`."""
        head, dot, rest = path.partition(".")
        name, bracket, index = head.partition("[")
        declared = self._theirs.get(name)
        if declared is None:
            return snake_case(path)
        parts = declared.kind.parts
        if rest and parts is not None:
            rest = parts.theirs(rest)
        return declared.name + bracket + index + dot + rest

    def schema(self) -> JsonSchema:
        """Return the object, or a reference to it, as OpenAPI shows it."""
        if self.name is not None:
            return {"$ref": f"#/components/schemas/{self.name}"}
        return self.definition()

    def definition(self) -> JsonSchema:
        """Return the object itself."""
        found: JsonSchema = {
            "type": "object",
            "properties": {f.name: _property(f) for f in self.fields},
        }
        if self._required:
            found["required"] = list(self._required)
        return found

    def named(self) -> "dict[str, Fields]":
        """Return this object and those within it that OpenAPI has a name for."""
        found = {self.name: self} if self.name is not None else {}
        for declared in self.fields:
            if declared.kind.parts is not None:
                found |= declared.kind.parts.named()
        return found

    def example(self) -> dict[str, Any]:
        """Return the examples of the fields that have one."""
        return {f.name: f.example for f in self.fields if f.example is not None}


def _property(declared: Field) -> JsonSchema:
    kind = declared.kind.schema()
    # Null counts as absent, so that what may be absent may be null.
    schema = kind if declared.required else {"anyOf": [kind, {"type": "null"}]}
    found = {**schema, "description": declared.about}
    if declared.clearable:
        found = {"anyOf": [declared.kind.schema(), {"type": "null"}], "description": declared.about}
    if declared.default is not None:
        found["default"] = declared.default
    if declared.example is not None:
        found["examples"] = [declared.example]
    return found


def camel_case(name: str) -> str:
    """Return a snake_case name in camelCase."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def snake_case(name: str) -> str:
    """Return a camelCase name in snake_case."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
