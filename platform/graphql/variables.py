"""Variables of a request: text that the database can hold, and what is wrong with a value."""

from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import (
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    is_non_null_type,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.pyutils import Undefined
from graphql.utilities.validate_input_value import validate_input_value

from ..core.errors import Detail, DetailCode, ErrorCode, InvalidInput

LARGEST_ARRAY = 10_000
"""Items of one list in variables or in a document."""
MOST_DETAILS = 50
"""Wrong fields that one answer names."""


def check_text(variables: Mapping[str, Any]) -> None:
    """Do nothing if every text in *variables* can be stored and no list is too long.

    PostgreSQL refuses U+0000 in text, and a lone surrogate has no UTF-8 form.

    Raises:
        InvalidInput: naming the first place that is wrong.
    """
    if _is_clean_at_a_glance(variables) or _is_clean(variables):
        return
    # Not recursive: how deep variables go is the client's choice.
    waiting: list[tuple[str, Any]] = [("", variables)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            if fault := text_fault(value):
                raise InvalidInput.of(path, DetailCode.INVALID_FORMAT, fault)
        elif isinstance(value, Mapping):
            for name, item in value.items():
                if text_fault(name):
                    raise InvalidInput.of(path, DetailCode.UNKNOWN_FIELD, "A name is not text.")
                waiting.append((_joined(path, name), item))
        elif isinstance(value, list):
            if len(value) > LARGEST_ARRAY:
                message = f"A list has {len(value)} items; at most {LARGEST_ARRAY} are taken."
                raise InvalidInput.of(path, DetailCode.TOO_MANY, message)
            waiting.extend((f"{path}[{i}]", item) for i, item in enumerate(value))


def _is_clean_at_a_glance(variables: Mapping[str, Any]) -> bool:
    """Say whether nothing can be wrong; where something might be, every value has to be looked at.

    As JSON they are written, and searched, in a fifth of the time of looking at each.
    """
    try:
        written = _encode(variables)
    except Exception:  # an edge: whatever cannot be written is looked at
        return False
    # Between the items of a list that is too long there are as many commas.
    return rb"\u0000" not in written and written.count(b",") < LARGEST_ARRAY


_encode = msgspec.json.Encoder().encode


def _is_clean(variables: Mapping[str, Any]) -> bool:
    """Say whether nothing is wrong; where something is, a slower look finds the place."""
    waiting: list[Any] = [variables]
    # Of ten thousand recipients each has the same names: they are looked at once.
    names: set[Any] = set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if "\x00" in value or (not value.isascii() and text_fault(value)):
                return False
        elif isinstance(value, dict):
            names.update(value)
            waiting += value.values()
        elif isinstance(value, list):
            if len(value) > LARGEST_ARRAY:
                return False
            waiting += value
        elif value is not None and isinstance(value, Mapping):
            return False
    # One after another they are text just where each of them is.
    return text_fault("".join(name for name in names if isinstance(name, str))) is None


def text_fault(value: str) -> str | None:
    """Return what keeps *value* from being stored as text, or None."""
    if "\x00" in value:
        return "The character U+0000 cannot be stored."
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return "A half of a surrogate pair stands alone; it is no character."
    return None


def coercion_error(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    *,
    names_types: bool = True,
) -> InvalidInput | None:
    """Return what is wrong with *variables* field by field, or None if the types fit.

    With *names_types* it says which types of the schema the values do not fit.
    """
    found: list[Detail] = []
    for definition in operation.variable_definitions or ():
        signature = get_variable_signature(schema, definition)
        if isinstance(signature, GraphQLError):
            return None
        value = variables.get(signature.name, Undefined)
        optional = definition.default_value or not is_non_null_type(signature.type)
        if value is Undefined and optional:
            continue
        validate_input_value(
            value,
            signature.type,
            lambda error, path, name=signature.name: found.append(  # type: ignore[misc]
                _detail(error, [name, *path], names_types=names_types)
            ),
            hide_suggestions=True,
        )
    if not found:
        return None
    if len(found) == 1:
        return InvalidInput(found[0].message, code=ErrorCode.INVALID_INPUT, details=found)
    return InvalidInput.all(found[:MOST_DETAILS])


def _detail(error: GraphQLError, path: list[str | int], *, names_types: bool) -> Detail:
    code, name = _classified(error)
    if name:
        path = [*path, name]
    field = _path_text(path)
    return Detail(field, code, _sentence(error, code, field, names_types=names_types))


def _classified(error: GraphQLError) -> tuple[DetailCode, str]:
    """Return the code for an error of graphql-core, and the field that its path leaves out."""
    # It has no codes of its own; the words are pinned by tests.
    message = error.message
    if isinstance(error.original_error, ValueError):
        return DetailCode.INVALID_FORMAT, ""
    if " to include required field '" in message:
        return DetailCode.REQUIRED, _quoted(message, "required field '")
    if " not to include unknown field '" in message:
        return DetailCode.UNKNOWN_FIELD, _quoted(message, "unknown field '")
    if message.startswith("Expected a value of non-null") or message.endswith("not to be None."):
        return DetailCode.REQUIRED, ""
    if "exactly one" in message.lower():
        return DetailCode.MUTUALLY_EXCLUSIVE, ""
    if "does not exist in" in message:
        return DetailCode.NOT_ALLOWED, ""
    return DetailCode.INVALID_TYPE, ""


_OTHERWISE = {
    DetailCode.NOT_ALLOWED: "This is not one of the values that may stand here.",
    DetailCode.MUTUALLY_EXCLUSIVE: "Exactly one of the fields must be given.",
}


def _quoted(message: str, before: str) -> str:
    return message.partition(before)[2].partition("'")[0]


def _sentence(error: GraphQLError, code: DetailCode, field: str, *, names_types: bool) -> str:
    if code is DetailCode.REQUIRED:
        return f"{field} is required."
    if code is DetailCode.UNKNOWN_FIELD:
        return f"There is no field {field}."
    if isinstance(error.original_error, ValueError):
        return f"{field} is not valid: {error.original_error}"
    if not names_types:
        return _OTHERWISE.get(code, f"{field} has a value of another type than it takes.")
    # What was sent is not repeated: it may be a password, and it may be long.
    said = error.message.partition(", found:")[0].rstrip(".")
    if code is DetailCode.NOT_ALLOWED:
        said = "The value" + said[said.rindex(" does not exist in") :]
    return said + "."


def _path_text(path: list[str | int]) -> str:
    """Return `to[0].email` for the path in the variable `input`; others keep their name."""
    text = ""
    for step in path if path[0] != "input" or len(path) == 1 else path[1:]:
        text = f"{text}[{step}]" if isinstance(step, int) else _joined(text, step)
    return text


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path and path != "input" else name
