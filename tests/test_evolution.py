"""The schema only grows: what was released stays, unless it was deprecated in good time.

`released.graphql` is the schema of the last release; `python -m docs release` renews it.
"""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from graphql import (
    BreakingChange,
    BreakingChangeType,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
)

from postlane.graphql.schema import CORE

RELEASED = Path(__file__).with_name("released.graphql")
DATE = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")


def deprecations(schema: GraphQLSchema) -> dict[str, str | None]:
    """Return why each field, argument, input field and enum value is deprecated, if it is."""
    found: dict[str, str | None] = {}
    for name, type_ in schema.type_map.items():
        if isinstance(type_, GraphQLEnumType):
            for value, declared in type_.values.items():
                found[f"{name}.{value}"] = declared.deprecation_reason
        if isinstance(type_, GraphQLInputObjectType):
            for field, taken in type_.fields.items():
                found[f"{name}.{field}"] = taken.deprecation_reason
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for field, shown in type_.fields.items():
                found[f"{name}.{field}"] = shown.deprecation_reason
                for argument, needed in shown.args.items():
                    found[f"{name}.{field}({argument}:)"] = needed.deprecation_reason
    return found


def last_day(reason: str | None) -> date | None:
    """Return the day that a deprecation names, until which what it is about stays."""
    match = DATE.search(reason or "")
    return date.fromisoformat(match[1]) if match else None


def faults(before: GraphQLSchema, after: GraphQLSchema, *, today: date) -> list[str]:
    """Return what breaks clients of *before* though it was not to be expected."""
    known = deprecations(before)
    return [
        change.description
        for change in find_breaking_changes(before, after)
        if not was_announced(change, known, today)
    ]


def was_announced(change: BreakingChange, known: dict[str, str | None], today: date) -> bool:
    removals = (
        BreakingChangeType.FIELD_REMOVED,
        BreakingChangeType.ARG_REMOVED,
        BreakingChangeType.VALUE_REMOVED_FROM_ENUM,
    )
    if change.type not in removals:
        return False
    reason = next((why for name, why in known.items() if mentions(change, name) and why), None)
    until = last_day(reason)
    return until is not None and until < today


def mentions(change: BreakingChange, name: str) -> bool:
    """Say whether *name* (`Type.field`, or with `(argument:)`) is what was removed."""
    return f" {change.description}".endswith(f" {name} was removed.")


def test_nothing_that_was_released_breaks() -> None:
    before = build_schema(RELEASED.read_text("utf-8"))

    assert faults(before, CORE, today=datetime.now(UTC).date()) == []


def test_every_deprecation_says_why_and_until_when() -> None:
    vague = [
        name
        for name, reason in deprecations(CORE).items()
        if reason is not None and (last_day(reason) is None or len(reason) < 20)
    ]

    assert vague == []


TODAY = date(2026, 6, 1)
BASE = """
type Query {
  kept(a: Int, b: Int @deprecated(reason: "Use a, until 2026-05-01.")): String
  soon: String @deprecated(reason: "Use kept. It stays until 2026-05-31.")
  later: String @deprecated(reason: "Use kept. It stays until 2026-07-01.")
  undated: String @deprecated(reason: "Use kept.")
  kind(given: Given): Kind
}
enum Kind { ONE TWO OLD @deprecated(reason: "Never used; until 2026-01-01.") }
input Given { a: Int }
"""


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (("", ""), 0),
        (('  soon: String @deprecated(reason: "Use kept. It stays until 2026-05-31.")', ""), 0),
        (('  later: String @deprecated(reason: "Use kept. It stays until 2026-07-01.")', ""), 1),
        (('  undated: String @deprecated(reason: "Use kept.")', ""), 1),
        (("kept(a: Int, ", "kept("), 1),
        ((', b: Int @deprecated(reason: "Use a, until 2026-05-01.")', ""), 0),
        (("kept(a: Int,", "kept(a: Int!,"), 1),
        (("kept(a: Int,", "kept(new: Int!, a: Int,"), 1),
        (("kept(a: Int,", "kept(new: Int, a: Int,"), 0),
        ((" TWO", ""), 1),
        ((' OLD @deprecated(reason: "Never used; until 2026-01-01.")', ""), 0),
        (("input Given { a: Int }", "input Given { a: Int, b: Int! }"), 1),
        (("input Given { a: Int }", "input Given { a: Int, b: Int }"), 0),
        (("kind(given: Given): Kind", "kind(given: Given): String"), 1),
        (("kind(given: Given): Kind", "kind(given: Given): Kind!"), 0),
    ],
)
def test_only_what_was_announced_may_go(change: tuple[str, str], broken: int) -> None:
    after = BASE.replace(*change) if change[0] else BASE

    found = faults(build_schema(BASE), build_schema(after), today=TODAY)

    assert len(found) == broken, found
