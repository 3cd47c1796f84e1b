"""The OpenAPI document says what is true."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from postlane.rest_compat.dialects import POSTMTA, openapi
from postlane.rest_compat.postmta.reference import ELSEWHERE
from tests.client import Client

from .matching import filled
from .table import EXAMPLES, read
from .world import GIVEN, World


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document as it is served."""
    return openapi("http://postlane.test")


def test_the_document_is_openapi(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


async def test_it_is_served(client: Client, document: dict[str, Any]) -> None:
    answer = await client.get("/openapi.json")
    head = await client.head("/openapi.json")

    assert answer.json() == document
    assert answer.headers["content-type"] == "application/json"
    assert (head.status_code, head.content) == (200, b"")


def test_every_route_is_described(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }

    assert described == {(route.method, route.path) for route in POSTMTA.routes} | set(ELSEWHERE)


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [op["operationId"] for item in document["paths"].values() for op in item.values()]

    assert len(set(names)) == len(names) == len(POSTMTA.routes) + len(ELSEWHERE)


def test_every_field_and_parameter_is_explained(document: dict[str, Any]) -> None:
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation["parameters"]:
                if parameter.get("in") == "query":
                    assert parameter["description"], parameter["name"]
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for name, field in body.get("schema", {}).get("properties", {}).items():
                assert field["description"].endswith("."), name


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "components": document["components"]}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
async def test_every_answer_is_what_the_document_says(
    world: World, document: dict[str, Any], path: Path
) -> None:
    example = read(path)
    for name in example["given"]:
        await GIVEN[name](world)
    request = filled(example["request"], world.names)
    method, template = example["route"].split()
    operation = document["paths"][template][method.lower()]

    answer = await world.request(method, request["path"], request.get("body"))

    if "body" in request:
        sent = operation["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(request["body"], _resolved(document, sent))
    content = operation["responses"][str(answer.status_code)].get("content", {})
    if "application/json" not in content:
        kind = answer.headers.get("content-type", "").partition(";")[0]
        assert kind in {each.partition(";")[0] for each in content} or not answer.content
        return
    schema = content["application/json"]["schema"]
    checker = jsonschema.FormatChecker()
    jsonschema.validate(answer.json(), _resolved(document, schema), format_checker=checker)


async def test_a_refusal_is_what_the_document_says(world: World, document: dict[str, Any]) -> None:
    answer = await world.request("POST", "/api/v1/messages/send", {"from": 1})

    schema = _resolved(document, {"$ref": "#/components/schemas/Error"})
    jsonschema.validate(answer.json(), schema)


def test_examples_of_bodies_fit_their_schemas(document: dict[str, Any]) -> None:
    found = 0
    for item in document["paths"].values():
        for operation in item.values():
            media = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if media and "example" in media:
                jsonschema.validate(media["example"], _resolved(document, media["schema"]))
                found += 1
    assert found >= 8


def test_examples_of_answers_fit_their_schemas(document: dict[str, Any]) -> None:
    checker = jsonschema.FormatChecker()
    for item in document["paths"].values():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                media = answer.get("content", {}).get("application/json")
                if media is None:
                    assert int(status) < 400, operation["operationId"]
                    continue
                schema = _resolved(document, media["schema"])
                jsonschema.validate(media["example"], schema, format_checker=checker)
                assert "text" not in _strings(media["example"]), operation["operationId"]
                if int(status) >= 400 and "error" in media["example"]:
                    assert media["example"]["error"]["status"] == int(status)


def _strings(value: Any) -> set[str]:
    """Return every string in *value*; `text` is what nobody gave a better sample for."""
    if isinstance(value, dict):
        return {each for inner in value.values() for each in _strings(inner)}
    if isinstance(value, list):
        return {each for inner in value for each in _strings(inner)}
    return {value} if isinstance(value, str) else set()
