"""Sample values for a JSON schema, so that every answer in OpenAPI comes with an example."""

from collections.abc import Mapping
from typing import Any

from .fields import JsonSchema

_FORMATS = {
    "uuid": "0197a000-0000-7000-8000-000000000301",
    "date": "2026-06-01",
    "date-time": "2026-06-01T12:00:00.000Z",
    "email": "ada@example.com",
}
_PLAIN: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True}


def sample(schema: JsonSchema, schemas: Mapping[str, JsonSchema], words: Mapping[str, Any]) -> Any:
    """Return a value that fits *schema*.

    *schemas* are those that it may refer to; *words* are values for fields by their name,
    where the type alone would say nothing.
    """
    return _value(schema, schemas, words, "")


def _value(
    schema: JsonSchema, schemas: Mapping[str, JsonSchema], words: Mapping[str, Any], name: str
) -> Any:
    if "$ref" in schema:
        target = schemas[schema["$ref"].rpartition("/")[2]]
        return _value(target, schemas, words, name)
    if "anyOf" in schema:
        return _value(schema["anyOf"][0], schemas, words, name)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "examples" in schema:
        return schema["examples"][0]
    if "properties" in schema:
        fields = schema["properties"]
        return {each: _value(inner, schemas, words, each) for each, inner in fields.items()}
    if name in words:
        return words[name]
    kinds = schema.get("type")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "array":
        return [_value(schema["items"], schemas, words, name.removesuffix("s"))]
    if kind == "object":
        return {}
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), "text")
    return _PLAIN.get(kind or "")
