"""Every argument of the schema is given values that fit its type and nothing else.

Each is answered or refused with a code; nothing is a bug of ours. New fields are found by
themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_required_input_field,
)

from postlane.graphql.context import Context
from postlane.graphql.documents import prepare
from postlane.graphql.execute import run
from postlane.graphql.schema import CORE
from tests.client import Client
from tests.factories import make_actor
from tests.test_tenancy import KINDS, PERSONAL, World, given, make_world

TEXTS = (
    "",
    " \t\u00a0",
    "a\r\nBcc: eve@example.net\r\n\r\nb",
    "'\";--\\{}%s$1",
    "\U0001f4a5\u202e\u0301\u200d\ufeff",
    "@",
    "a@b",
    "x" * 70_000,
    "00000000-0000-0000-0000-000000000000",
    "xn--a..example.",
    "\x01\x7f\x85",
)
NUMBERS = (0, -1, 1, 2**31 - 1, -(2**31))
SENSIBLE = {"password": "a quite unusual pass phrase", "data": "RnJvbTogYQoKYg=="}
"""For fields whose type does not say what would do."""
HOSTILE: dict[str, tuple[Any, ...]] = {
    "BigInt": (*NUMBERS, 2**63 - 1, -(2**63) + 1),
    "Boolean": (True, False),
    "DateTime": (
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00+14:00",
    ),
    "Float": (*NUMBERS, 1e308),
    "Int": NUMBERS,
    "JSON": (0, "", [], {}, {"": [{}]}, {"a" * 5000: "b"}, {"a": {"b": "c"}}, [[[[1]]]]),
    "UUID": ("00000000-0000-0000-0000-000000000000",),
}


@dataclass(frozen=True, slots=True)
class Values:
    """Makes values for one field, in a tenant that has an object of every kind."""

    on: str
    field: str
    world: World

    def plain(self, type_: GraphQLInputType, *path: str) -> Any:
        """Return a harmless value of the type, with nothing in it that may be left out."""
        type_ = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        if isinstance(type_, GraphQLList):
            return [self.plain(type_.of_type, *path)]
        if isinstance(type_, GraphQLEnumType):
            return next(iter(type_.values))
        if isinstance(type_, GraphQLInputObjectType):
            fields = {n: f for n, f in type_.fields.items() if is_required_input_field(f)}
            if type_.is_one_of:
                fields = dict([next(iter(type_.fields.items()))])
            made = {name: self.plain(f.type, *path, name) for name, f in fields.items()}
            if type_.name == "MessageInput":
                return made | given("sendMessage", self.world)
            return made | (given(self.field, self.world) if path == ("input",) else {})
        kind = KINDS.get(f"{self.on}.{self.field}({'.'.join(path)})")
        harmless = {
            "BigInt": 1,
            "Boolean": True,
            "DateTime": "2026-06-01T12:00:00Z",
            "Float": 1.0,
            "Int": 1,
            "JSON": {},
        }
        address = f"shop@{self.world.domain}"
        if path[-1] in SENSIBLE:
            return SENSIBLE[path[-1]]
        return self.world.names[kind] if kind else harmless.get(type_.name, address)

    def hostile(self, type_: GraphQLInputType, *path: str) -> Iterator[Any]:
        """Yield values of the type, each with one thing in it that is meant to hurt."""
        if isinstance(type_, GraphQLNonNull):
            type_ = type_.of_type
        else:
            yield None
        if isinstance(type_, GraphQLList):
            yield []
            yield [self.plain(type_.of_type, *path)] * 1001
            yield from ([value] for value in self.hostile(type_.of_type, *path))
        elif isinstance(type_, GraphQLEnumType):
            yield from type_.values
        elif isinstance(type_, GraphQLInputObjectType):
            base = {} if type_.is_one_of else self.plain(type_, *path)
            for name, field in type_.fields.items():
                for value in self.hostile(field.type, *path, name):
                    yield base | {name: value}
        else:
            yield from HOSTILE.get(type_.name, TEXTS)

    def attempts(self) -> Iterator[dict[str, Any]]:
        """Yield variables with one hostile value each."""
        arguments = fields_of(self.on)[self.field].args
        base = {
            name: self.plain(argument.type, name)
            for name, argument in arguments.items()
            if isinstance(argument.type, GraphQLNonNull)
        }
        for name, argument in arguments.items():
            yield from (base | {name: value} for value in self.hostile(argument.type, name))


def fields() -> Iterator[tuple[str, str]]:
    for on in ("Query", "Organization", "Mutation"):
        yield from ((on, name) for name, field in fields_of(on).items() if field.args)


def fields_of(on: str) -> dict[str, GraphQLField]:
    type_ = CORE.type_map[on]
    assert isinstance(type_, GraphQLObjectType)
    return type_.fields


def document(on: str, name: str) -> str:
    field = fields_of(on)[name]
    declared = ", ".join(f"${a}: {arg.type}" for a, arg in field.args.items())
    given = ", ".join(f"{a}: ${a}" for a in field.args)
    named = get_named_type(field.type)
    inner = " { __typename }"
    if isinstance(named, GraphQLObjectType) and "pageInfo" in named.fields:
        inner = " { totalCount nodes { __typename } }"
    call = f"{name}({given}){inner}"
    call = f"organization {{ {call} }}" if on == "Organization" else call
    return f"{'mutation' if on == 'Mutation' else 'query'} ({declared}) {{ {call} }}"


@pytest.mark.parametrize(("on", "name"), list(fields()))
async def test_no_value_is_a_bug(client: Client, on: str, name: str) -> None:
    world = await make_world(client)
    actor = world.person if name in PERSONAL else world.actor
    (operation,) = (prepared := prepare(document(on, name))).operations.values()

    bugs = []
    for variables in Values(on, name, world).attempts():
        context = Context(actor, request_id="r")
        result = await run(prepared.node, operation.node, variables, context)
        for refusal in result.errors:
            assert len(refusal.message) < 2_000
            if refusal.message.endswith("which is not set."):
                continue  # what this deployment does not have
            if refusal.code in ("INTERNAL", "SERVICE_UNAVAILABLE", "DOCUMENT_INVALID"):
                bugs.append((str(variables)[:300], refusal.code, refusal.message))

    assert bugs == []


async def test_a_value_that_is_none_of_a_list_is_not_repeated(client: Client) -> None:
    query = "query ($f: MessageFilter) { organization { messages(filter: $f) { nodes { id } } } }"

    body = await client.graphql(query, {"f": {"statuses": ["x" * 5_000]}}, actor=await make_actor())

    (error,) = body["errors"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert error["message"] == "The value does not exist in 'MessageStatus' enum."
