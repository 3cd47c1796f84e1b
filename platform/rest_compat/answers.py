"""What a client gets: shapes that are a GraphQL selection, a JSON object and a schema at once.

A shape is declared once. From it come the selection that a route's document asks for, the
object written from what GraphQL answered, and the schema in OpenAPI.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .fields import JsonSchema, camel_case, enum_name
from .times import restyle_time

_FIRST_NAME = re.compile(r"\w+")


class Written(Protocol):
    """A JSON type as it is written."""

    def write(self, value: Any) -> Any:
        """Return what the client gets for what GraphQL answered, which is not null."""

    def selection(self) -> str:
        """Return the sub-selection, or nothing for a leaf."""

    def schema(self) -> JsonSchema:
        """Return the type as OpenAPI shows it."""


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value without a selection of its own."""

    type: JsonSchema
    convert: Callable[[Any], Any] = _as_it_is

    def write(self, value: Any) -> Any:
        return self.convert(value)

    def selection(self) -> str:
        return ""

    def schema(self) -> JsonSchema:
        return dict(self.type)


def _rate(value: float) -> float:
    return round(value, 4)


TEXT = Leaf({"type": "string"})
UUID = Leaf({"type": "string", "format": "uuid"})
TIME = Leaf({"type": "string", "format": "date-time"}, restyle_time)
INTEGER = Leaf({"type": "integer"}, int)
NUMBER = Leaf({"type": "number"}, _rate)
FLAG = Leaf({"type": "boolean"})
FREE = Leaf({"type": "object", "additionalProperties": True})
TEXT_MAP = Leaf({"type": "object", "additionalProperties": {"type": "string"}})


def word(*words: str, others: Mapping[str, str] | None = None) -> Leaf:
    """Return the leaf that writes our enum's names as *words*.

    *others* are words whose name in our schema is not the same in capitals.
    """
    theirs = {enum_name(w): w for w in words} | {ours: w for w, ours in (others or {}).items()}
    return Leaf({"type": "string", "enum": list(theirs.values())}, theirs.__getitem__)


@dataclass(frozen=True, slots=True)
class Many:
    """A list."""

    item: Written

    def write(self, value: Any) -> Any:
        write = self.item.write
        return [write(item) for item in value]

    def selection(self) -> str:
        return self.item.selection()

    def schema(self) -> JsonSchema:
        return {"type": "array", "items": self.item.schema()}


@dataclass(frozen=True, slots=True)
class Nodes:
    """A connection, of which the client gets the nodes as a list."""

    item: Written

    def write(self, value: Any) -> Any:
        write = self.item.write
        return [write(item) for item in value["nodes"]]

    def selection(self) -> str:
        return f"{{ nodes {self.item.selection()} }}"

    def schema(self) -> JsonSchema:
        return {"type": "array", "items": self.item.schema()}


@dataclass(frozen=True, slots=True)
class Out:
    """One field of an answer: its name, its type, and what our schema calls it.

    *of* is a GraphQL selection such as `uuid`, `deliveries(first: 50)` or `key: name`;
    without it the name in camelCase. With *from_whole*, it is written from the whole
    object and asks GraphQL for nothing by itself.
    """

    name: str
    type: Written = TEXT
    of: str | None = None
    maybe: bool = False
    """It may be null."""
    optional: bool = False
    """It may be left out, when the document leaves it out."""
    about: str = ""
    default: Any = None
    """What is written instead of null."""
    from_whole: Callable[[Mapping[str, Any]], Any] | None = None

    @property
    def asked(self) -> str:
        """The selection in our schema."""
        return camel_case(self.name) if self.of is None else self.of

    @property
    def key(self) -> str:
        """The key under which GraphQL answers."""
        found = _FIRST_NAME.match(self.asked)
        return found[0] if found else self.name


@dataclass(frozen=True, slots=True)
class Group:
    """An object of the client's whose fields lie side by side in ours."""

    shape: "Shape"

    def write(self, value: Any) -> Any:
        return self.shape.write(value)

    def selection(self) -> str:
        return self.shape.fields_selection

    def schema(self) -> JsonSchema:
        return self.shape.schema()


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that is always the same."""

    value: Any
    type: JsonSchema = field(default_factory=dict)

    def write(self, value: Any) -> Any:
        return self.value

    def selection(self) -> str:
        return ""

    def schema(self) -> JsonSchema:
        return dict(self.type) | {"const": self.value}


class Shape:
    """A named object of the foreign API."""

    def __init__(self, name: str, *fields: Out, extra: str = "") -> None:
        self.name = name
        self.fields = fields
        selections = [_selection(f) for f in fields]
        self.fields_selection = " ".join([s for s in dict.fromkeys(selections) if s] + [extra])
        self._writers = tuple(_writer(f) for f in fields)

    def write(self, data: Any) -> dict[str, Any]:
        """Return the client's object made of what GraphQL answered."""
        return {
            name: write(data) for name, write, key in self._writers if key is None or key in data
        }

    def selection(self) -> str:
        """Return what a document asks for, in braces."""
        return f"{{ {self.fields_selection} }}"

    def schema(self) -> JsonSchema:
        """Return a reference to the object among OpenAPI's components."""
        return {"$ref": f"#/components/schemas/{self.name}"}

    def definition(self) -> JsonSchema:
        """Return the object as OpenAPI shows it."""
        return {
            "type": "object",
            "properties": {f.name: _out_schema(f) for f in self.fields},
            "required": [f.name for f in self.fields if not f.optional],
        }

    def nested(self) -> "list[Shape]":
        """Return the shapes within this one."""
        found: list[Shape] = []
        for declared in self.fields:
            inner: Any = declared.type
            while isinstance(inner, Many | Nodes):
                inner = inner.item
            if isinstance(inner, Group):
                inner = inner.shape
            if isinstance(inner, Shape):
                found.append(inner)
        return found


def _selection(declared: Out) -> str:
    if isinstance(declared.type, Group):
        return declared.type.selection()
    if declared.from_whole is not None or isinstance(declared.type, Fixed):
        return ""
    return f"{declared.asked} {declared.type.selection()}".strip()


def _writer(declared: Out) -> tuple[str, Callable[[Any], Any], str | None]:
    key, write, default = declared.key, declared.type.write, declared.default
    if declared.from_whole is not None:
        return declared.name, declared.from_whole, None
    if isinstance(declared.type, Group | Fixed):
        return declared.name, write, None

    def written(data: Mapping[str, Any]) -> Any:
        value = data[key]
        return default if value is None else write(value)

    return declared.name, written, key if declared.optional else None


def _out_schema(declared: Out) -> JsonSchema:
    found = declared.type.schema()
    if declared.maybe:
        found = {"anyOf": [found, {"type": "null"}]}
    return found | ({"description": declared.about} if declared.about else {})
