"""Query strings: parameters declared once, read strictly, echoed with normalised values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from ..core.errors import DetailCode
from .fields import TEXT, Choice, Findings, Flag, Integer, JsonSchema, Kind, Time, camel_case
from .times import read_time, write_time

MOST_PARAMETERS = 100


@dataclass(frozen=True, slots=True)
class Param:
    """One query parameter, under the client's name and under ours."""

    name: str
    kind: Kind = TEXT
    about: str = ""
    ours: str = ""
    many: bool = False
    """Several values, by commas or by repeating it."""
    default: Any = None
    is_filter: bool = True
    """Part of what a list answers as its `filters`."""
    normal: Callable[[str], str] | None = None
    """Brings a text into its normal form before it is used and echoed."""
    keyed: bool = False
    """Written `name[key]`, once for each key."""


class Unreadable(Exception):
    """The query string is not UTF-8, or holds too many parameters."""


class Params:
    """The query parameters of one route."""

    def __init__(self, *params: Param) -> None:
        self.params = params
        self._known = {p.name: p for p in params}

    def read(
        self, query: bytes, found: Findings
    ) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        """Return GraphQL variables, what the client is shown, and the unknown names.

        Raises:
            Unreadable: it cannot be taken apart at all.
        """
        values: dict[str, Any] = {}
        shown: dict[str, Any] = {}
        unknown: list[str] = []
        for name, texts in _pairs(query).items():
            head, bracket, key = name.partition("[")
            param = self._known.get(head if bracket else name)
            if param is None or bool(bracket) != param.keyed or (bracket and key[-1:] != "]"):
                unknown.append(name)
            elif param.keyed:
                self._read_keyed(param, key[:-1], texts, values, shown, found)
            else:
                self._read_one(param, texts, values, shown, found)
        return values, shown, unknown

    def _read_one(
        self,
        param: Param,
        texts: Sequence[str],
        values: dict[str, Any],
        shown: dict[str, Any],
        found: Findings,
    ) -> None:
        ours = param.ours or camel_case(param.name)
        if param.many:
            words = [word.strip() for text in texts for word in text.split(",")]
            words = list(dict.fromkeys(word for word in words if word))
            if words:
                values[ours] = [param.kind.read(word, param.name, found) for word in words]
                shown[param.name] = [_shown(word, param.kind) for word in words]
            return
        text = _single(param.name, texts, found)
        if param.normal is not None:
            text = param.normal(text)
        value = _typed(text, param.kind)
        values[ours] = param.kind.read(value, param.name, found)
        shown[param.name] = _shown(value, param.kind)

    def _read_keyed(
        self,
        param: Param,
        key: str,
        texts: Sequence[str],
        values: dict[str, Any],
        shown: dict[str, Any],
        found: Findings,
    ) -> None:
        place = f"{param.name}[{key}]"
        text = param.kind.read(_single(place, texts, found), place, found)
        values.setdefault(param.ours or camel_case(param.name), {})[key] = text
        shown.setdefault(param.name, {})[key] = text

    def theirs(self, path: str) -> str | None:
        """Return the client's name for one of our variables, or None if it is another's."""
        for param in self.params:
            if (param.ours or camel_case(param.name)) == path:
                return param.name
        return None

    def parameters(self) -> list[JsonSchema]:
        """Return the parameters as OpenAPI shows them."""
        return [_parameter(param) for param in self.params]


def _pairs(query: bytes) -> Mapping[str, list[str]]:
    if not query:
        return {}
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except ValueError as error:
        raise Unreadable from error
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _single(name: str, texts: Sequence[str], found: Findings) -> str:
    if len(texts) > 1:
        found.add(name, DetailCode.DUPLICATE, "This parameter may be given once.")
    return texts[0]


def _typed(text: str, kind: Kind) -> Any:
    """Return the JSON value that *text* stands for, if *kind* is no string."""
    if isinstance(kind, Integer):
        digits = text.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) <= 18:
            return int(text)
    elif isinstance(kind, Flag):
        return {"true": True, "false": False}.get(text, text)
    return text


def _shown(value: Any, kind: Kind) -> Any:
    if isinstance(kind, Choice):
        return kind.aliases.get(value, value)
    time = read_time(value) if isinstance(kind, Time) else None
    return write_time(time) if time is not None else value


def _parameter(param: Param) -> JsonSchema:
    schema = dict(param.kind.schema())
    if param.many:
        schema = {"type": "array", "items": schema}
    if param.keyed:
        schema = {"type": "object", "additionalProperties": schema}
    if param.default is not None:
        schema["default"] = param.default
    found: JsonSchema = {
        "name": param.name,
        "in": "query",
        "required": False,
        "description": param.about,
        "schema": schema,
    }
    if param.many:
        found |= {"style": "form", "explode": False}
    if param.keyed:
        found |= {"style": "deepObject", "explode": True}
    return found
