"""Variables coerced by steps that are worked out once for each input type.

graphql-core asks every value of every input anew what type it should have, which for a message
with values of its own for 500 recipients is a tenth of what accepting it costs. What does not fit
is left to it: it says what is wrong, and where.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableDefinitionNode,
    assert_leaf_type,
    is_required_input_field,
    is_specified_scalar_type,
)
from graphql.execution.get_variable_signature import (
    GraphQLVariableSignature,
    get_variable_signature,
)
from graphql.execution.values import VariableValues, VariableValueSource
from graphql.pyutils import Undefined
from graphql.utilities.coerce_input_value import coerce_default_value

from .remembering import Remembered

Coerce = Callable[[Any], Any]


class Unfit(Exception):
    """It is not of the type, or of one that is left to graphql-core."""


def coerced(
    schema: GraphQLSchema, operation: OperationDefinitionNode, given: Mapping[str, Any]
) -> VariableValues | None:
    """Return the variables of *operation*; None if not all of *given* fits."""
    sources: dict[str, VariableValueSource] = {}
    values: dict[str, Any] = {}
    for definition in operation.variable_definitions or ():
        known = _steps.of(definition, schema)
        if known is None:
            return None
        signature, coerce = known
        name, value = signature.name, given.get(signature.name, Undefined)
        sources[name] = VariableValueSource(signature, value)
        if value is Undefined:
            if signature.default is not None or isinstance(signature.type, GraphQLNonNull):
                return None
            continue
        try:
            values[name] = coerce(value)
        except Exception:  # an edge: whatever it is, graphql-core finds it again and tells it
            return None
    return VariableValues(sources, values)


def _steps_of(
    definition: VariableDefinitionNode, schema: GraphQLSchema
) -> tuple[GraphQLVariableSignature, Coerce] | None:
    signature = get_variable_signature(schema, definition)
    if isinstance(signature, GraphQLError):
        return None
    try:
        return signature, _coercer(signature.type)
    except Unfit:
        return signature, _unfit


def _unfit(value: Any) -> Any:
    raise Unfit


_steps: Remembered[tuple[GraphQLVariableSignature, Coerce] | None] = Remembered(_steps_of)


def _coercer(type_: GraphQLInputType) -> Coerce:
    """Return what coerces values of *type_*, null among them unless it forbids that."""
    if isinstance(type_, GraphQLNonNull):
        return _not_null(_coercer(type_.of_type))
    if isinstance(type_, GraphQLList):
        return _list(_coercer(type_.of_type))
    if isinstance(type_, GraphQLInputObjectType):
        return _object_coercer(type_)
    return _leaf(assert_leaf_type(type_))


_AS_THEY_ARE: dict[str, type] = {"String": str, "Boolean": bool}
"""Scalars of GraphQL's own whose values are what came, if it is of this type."""


def _leaf(type_: GraphQLLeafType) -> Coerce:
    coerce_value = type_.coerce_input_value
    kind = _AS_THEY_ARE.get(type_.name) if is_specified_scalar_type(type_) else None

    def coerce(value: Any) -> Any:
        return value if value is None or type(value) is kind else coerce_value(value)

    return coerce


def _not_null(inner: Coerce) -> Coerce:
    def coerce(value: Any) -> Any:
        if value is None:
            raise Unfit
        return inner(value)

    return coerce


def _list(inner: Coerce) -> Coerce:
    def coerce(values: Any) -> Any:
        if values is None:
            return None
        if not isinstance(values, list | tuple):
            raise Unfit
        return [inner(value) for value in values]

    return coerce


_open: set[str] = set()
"""Types that are being worked out; one that holds itself is left to graphql-core."""


@lru_cache(maxsize=1024)
def _object_coercer(type_: GraphQLInputObjectType) -> Coerce:
    if type_.name in _open:
        raise Unfit
    _open.add(type_.name)
    try:
        steps = [
            (name, field.out_name or name, _coercer(field.type), *_without(field))
            for name, field in type_.fields.items()
        ]
    finally:
        _open.remove(type_.name)

    def coerce(value: Any) -> Any:
        if value is None:
            return None
        if type(value) is not dict:
            raise Unfit
        found: dict[str, Any] = {}
        known = 0
        for name, out_name, inner, is_required, default in steps:
            item = value.get(name, Undefined)
            if item is not Undefined:
                found[out_name] = inner(item)
                known += 1
            elif is_required:
                raise Unfit
            elif default is not Undefined:
                found[out_name] = default
        if known != len(value):
            raise Unfit
        if type_.is_one_of and (len(found) != 1 or None in found.values()):
            raise Unfit
        return type_.out_type(found)

    return coerce


def _without(field: GraphQLInputField) -> tuple[bool, Any]:
    """Return whether the field must be given, and what it is if it is not."""
    is_required = is_required_input_field(field)
    return is_required, Undefined if is_required else coerce_default_value(field)
