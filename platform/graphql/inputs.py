"""Input objects built from coerced values by steps that are worked out once.

Strawberry finds out the type of every field of every input object anew for every value,
about 0.4 ms for one message, which would be half of what accepting it costs. Its hook
`from_input` lets a type build its own values; this makes that hook for plain ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any

import strawberry
from strawberry.types.arguments import InputContext
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryObjectDefinition,
    StrawberryOptional,
    has_object_definition,
)
from strawberry.types.lazy_type import LazyType
from strawberry.types.unset import UNSET

Convert = Callable[[Any, InputContext], Any]
Step = tuple[str, str, Convert | None]


class NotPlain(Exception):
    """A type that is left to Strawberry."""


def compile_inputs(schema: strawberry.Schema) -> None:
    """Give every input type of *schema* that has only plain fields its own way to be built."""
    for found in schema.schema_converter.type_map.values():
        definition = found.definition
        if isinstance(definition, StrawberryObjectDefinition) and definition.is_input:
            try:
                definition.from_input = _builder(definition, schema)
            except NotPlain:
                continue


def _builder(
    definition: StrawberryObjectDefinition, schema: strawberry.Schema
) -> Callable[[type, Mapping[str, Any], InputContext], Any]:
    names = schema.config.name_converter
    steps: list[Step] = [
        (
            names.from_field(field),
            field.python_name,
            _converter(field.resolve_type(type_definition=definition)),
        )
        for field in definition.fields
    ]
    # What may be left out and has no default of its own is None.
    absent = {
        field.python_name: None
        for field in definition.fields
        if field.default_value is MISSING and field.default_factory is MISSING
    }

    def build(kind: type, value: Mapping[str, Any], context: InputContext) -> Any:
        given: dict[str, Any] = dict(absent)
        for graphql_name, python_name, convert in steps:
            if graphql_name in value:
                item = value[graphql_name]
                if convert is not None and item is not None and item is not UNSET:
                    item = convert(item, context)
                given[python_name] = item
        return kind(**given)

    return build


def argument_converter(kind: Any) -> Callable[[Any], Any] | None:
    """Return what turns a coerced argument into one of *kind*; None leaves it as it is.

    Raises:
        NotPlain: it holds an input type that is left to Strawberry.
    """
    _require_plain(kind, set())
    convert = _converter(kind)
    if convert is None:
        return None
    # A context is for types that are left to Strawberry.
    nothing: Any = None

    def converted(value: Any) -> Any:
        return value if value is None or value is UNSET else convert(value, nothing)

    return converted


def _require_plain(kind: Any, seen: set[str]) -> None:
    if isinstance(kind, StrawberryMaybe):
        raise NotPlain
    if isinstance(kind, StrawberryOptional | StrawberryList):
        _require_plain(kind.of_type, seen)
    elif isinstance(kind, LazyType):
        _require_plain(kind.resolve_type(), seen)
    elif has_object_definition(kind):
        definition: StrawberryObjectDefinition = kind.__strawberry_definition__
        if definition.from_input is None:
            raise NotPlain
        if definition.name not in seen:
            seen.add(definition.name)
            for field in definition.fields:
                _require_plain(field.resolve_type(type_definition=definition), seen)


def _converter(kind: Any) -> Convert | None:
    """Return what turns a coerced value into one of *kind*; None leaves it as it is."""
    if isinstance(kind, StrawberryMaybe):
        raise NotPlain
    if isinstance(kind, StrawberryOptional):
        return _converter(kind.of_type)
    if isinstance(kind, StrawberryList):
        return _list_converter(_converter(kind.of_type))
    if isinstance(kind, LazyType):
        return _converter(kind.resolve_type())
    if has_object_definition(kind):
        return _object_converter(kind)
    return None


def _list_converter(convert: Convert | None) -> Convert:
    if convert is None:
        # Copied: a default is one object for all requests.
        return lambda values, context: list(values)
    return lambda values, context: [
        None if value is None else convert(value, context) for value in values
    ]


def _object_converter(kind: Any) -> Convert:
    definition = kind.__strawberry_definition__

    def convert(value: Any, context: InputContext) -> Any:
        if definition.from_input is not None:
            return definition.from_input(kind, value, context)
        return context.convert(value, kind)

    return convert
