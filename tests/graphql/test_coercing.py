"""Variables are what graphql-core makes of them, or left to it."""

from typing import Any

import pytest
from graphql import OperationDefinitionNode, build_schema, parse
from graphql.execution.values import VariableValues, get_variable_values

from postlane.graphql.coercing import coerced

SCHEMA = build_schema("""
    enum Size { SMALL LARGE }
    input Person { name: String!, size: Size, tags: [String!] = ["a"], more: [Person!] }
    input Flat { id: ID!, size: Size = SMALL, counts: [[Int]], at: Float }
    input One @oneOf { id: ID, name: String }
    type Query { found(person: Person, flat: [Flat!]!, one: One, n: Int): Int }
""")
[OPERATION] = parse("""
    query ($person: Person, $flat: [Flat!]!, $one: One, $n: Int) {
      found(person: $person, flat: $flat, one: $one, n: $n)
    }
""").definitions
assert isinstance(OPERATION, OperationDefinitionNode)
FLAT = {"id": "x"}


@pytest.mark.parametrize(
    "given",
    [
        {"flat": []},
        {"flat": [FLAT, FLAT]},
        {"flat": ({"id": 7, "size": "LARGE", "counts": [[1, None], None], "at": 1},)},
        {"flat": [{"id": "x", "size": None, "counts": None, "at": None}]},
        {"flat": [FLAT], "one": {"id": "x"}},
        {"flat": [FLAT], "one": {"name": "x"}, "n": 3},
        {"flat": [FLAT], "one": None, "n": None},
    ],
)
def test_what_fits_is_the_same(given: dict[str, Any]) -> None:
    theirs = get_variable_values(SCHEMA, OPERATION.variable_definitions, given)
    assert isinstance(theirs, VariableValues)

    ours = coerced(SCHEMA, OPERATION, given)
    assert ours is not None
    assert ours.coerced == theirs.coerced
    assert {name: source.value for name, source in ours.sources.items()} == {
        name: source.value for name, source in theirs.sources.items()
    }


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"flat": None},
        {"flat": [None]},
        {"flat": ["x"]},
        {"flat": [{}]},
        {"flat": [{"id": None}]},
        {"flat": [{"id": "x", "no": 1}]},
        {"flat": [{"id": "x", "size": "HUGE"}]},
        {"flat": [{"id": "x", "counts": [["x"]]}]},
        {"flat": [], "one": {}},
        {"flat": [], "one": {"id": None}},
        {"flat": [], "one": {"id": "x", "name": "x"}},
        {"flat": [], "n": 2**31},
        {"flat": [], "n": "1"},
    ],
)
def test_what_does_not_fit_is_left_to_the_library(given: dict[str, Any]) -> None:
    assert isinstance(get_variable_values(SCHEMA, OPERATION.variable_definitions, given), list)

    assert coerced(SCHEMA, OPERATION, given) is None


@pytest.mark.parametrize(
    "given",
    # One for a list of one, and a type that holds itself.
    [{"flat": FLAT}, {"flat": [], "person": {"name": "x", "more": [{"name": "y"}]}}],
)
def test_what_is_rare_is_left_to_the_library(given: dict[str, Any]) -> None:
    assert coerced(SCHEMA, OPERATION, given) is None
