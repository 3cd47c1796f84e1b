"""Every route has an example, and every example passes."""

import json
from pathlib import Path
from typing import Any

import pytest

from postlane.core.errors import ErrorCode
from postlane.graphql.variables import LARGEST_ARRAY
from postlane.rest_compat.dialects import POSTMTA
from postlane.rest_compat.fields import MOST_ITEMS
from postlane.rest_compat.postmta.dialect import ERRORS
from postlane.rest_compat.postmta.reference import ENDPOINTS
from postlane.rest_compat.route import Fault

from .matching import differences, filled
from .world import GIVEN, World

EXAMPLES = sorted((Path(__file__).parent / "postmta" / "examples").glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    """Return the example in a file."""
    example: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return example


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
async def test_every_example_passes(world: World, path: Path) -> None:
    example = read(path)
    for name in example["given"]:
        await GIVEN[name](world)
    request = filled(example["request"], world.names)

    method = example["route"].split()[0]
    answer = await world.request(method, request["path"], request.get("body"))

    assert answer.status_code == example["status"], answer.text
    assert differences(filled(example["answer"], world.names), answer.json()) == []
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


def test_every_route_has_an_example() -> None:
    examples = {read(path)["route"] for path in EXAMPLES}

    assert examples == {f"{route.method} {route.path}" for route in POSTMTA.routes}


def test_every_route_is_one_of_the_reference() -> None:
    assert {(route.method, route.path) for route in POSTMTA.routes} <= set(ENDPOINTS)
    assert len(set(ENDPOINTS)) == 81


def test_every_refusal_has_a_status_and_a_code() -> None:
    assert set(ERRORS) == {*ErrorCode, *Fault}
    assert all(400 <= status < 600 and code == code.lower() for status, code in ERRORS.values())


def test_lists_end_where_our_schema_ends_them() -> None:
    assert MOST_ITEMS == LARGEST_ARRAY
