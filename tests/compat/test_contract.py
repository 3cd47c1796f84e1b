"""Every route has an example, and every example passes."""

from pathlib import Path

import pytest

from postlane.core.errors import ErrorCode
from postlane.graphql.variables import LARGEST_ARRAY
from postlane.rest_compat.dialects import POSTMTA
from postlane.rest_compat.fields import MOST_ITEMS
from postlane.rest_compat.postmta.dialect import ERRORS
from postlane.rest_compat.postmta.reference import ELSEWHERE, ENDPOINTS, EXTENSIONS, key_of
from postlane.rest_compat.route import Fault

from .matching import differences, filled
from .table import EXAMPLES, GROUPS, MISSING, ROUTES, lines, read
from .world import GIVEN, World

SERVED = {
    f"{route.method} {route.path}" for route in POSTMTA.routes if key_of(route) not in EXTENSIONS
} | {f"{method} {path}" for method, path in ELSEWHERE}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
async def test_every_example_passes(world: World, path: Path) -> None:
    example = read(path)
    for name in example["given"]:
        await GIVEN[name](world)
    request = filled(example["request"], world.names)

    method = example["route"].split()[0]
    answer = await world.request(method, request["path"], request.get("body"))

    assert answer.status_code == example["status"], answer.text
    if "headers" in example:
        # What is no JSON: a picture, and a way to somewhere else.
        assert {name: answer.headers[name] for name in example["headers"]} == example["headers"]
        return
    if "text" in example:
        assert answer.text == example["text"]
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    else:
        assert differences(filled(example["answer"], world.names), answer.json()) == []
        assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


def test_every_route_has_an_example() -> None:
    examples = [read(path)["route"] for path in EXAMPLES]

    assert set(examples) == SERVED
    assert len(examples) == len(SERVED)


def test_what_is_missing_is_listed_and_nothing_else_is() -> None:
    """Whoever adds a route takes it from the list of tests/compat/table.py."""
    assert {number for route, number in ROUTES.items() if route not in SERVED} == MISSING
    assert sum(GROUPS.values()) == len(ROUTES) == 81


async def test_what_is_missing_is_not_there(world: World) -> None:
    """A path may have another method."""
    for route, number in ROUTES.items():
        if number in MISSING:
            method, path = route.split()
            answer = await world.request(method, path.replace("{", "").replace("}", ""))

            assert answer.status_code in (404, 405), f"{number} {route} is served"


def test_the_table_counts_what_passed() -> None:
    *groups, total = lines(passed=["me", "login"], failed=["register", "user"])

    assert groups[1] == "Authentication        2 of  3 green; red E03"
    assert groups[2] == "Users                 0 of  3 green; red E07"
    assert total == f"The 81: 2 green, 2 red, {len(MISSING)} missing."


def test_every_route_is_one_of_the_reference() -> None:
    assert {key_of(route) for route in POSTMTA.routes} <= {*ENDPOINTS, *EXTENSIONS}
    assert not EXTENSIONS & set(ENDPOINTS)
    assert len(set(ENDPOINTS)) == 81


def test_every_refusal_has_a_status_and_a_code() -> None:
    assert set(ERRORS) == {*ErrorCode, *Fault}
    assert all(400 <= status < 600 and code == code.lower() for status, code in ERRORS.values())


def test_lists_end_where_our_schema_ends_them() -> None:
    assert MOST_ITEMS == LARGEST_ARRAY
