"""GraphQL requests, made from the schema: such as fit it, such as nearly do, and such as hurt.

hypothesis-graphql makes the documents, for each field that one can begin at. Then values become
variables, some of them are exchanged for what nobody expects, and some documents are bent. Whose
things are named is left open, as `@@ours:Message@@` and `@@theirs:Message@@`, so that what is kept
means the same to every run.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from graphql import (
    REMOVE,
    ArgumentNode,
    DocumentNode,
    GraphQLObjectType,
    GraphQLSchema,
    NameNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    get_named_type,
    is_required_argument,
    parse,
    parse_value,
    print_ast,
    visit,
)
from graphql.utilities import value_from_ast_untyped
from hypothesis import strategies as st
from hypothesis_graphql import Mode, nodes, queries

from postlane.graphql.schema import CORE
from tests.graphql.test_hostile import HOSTILE, TEXTS
from tests.test_tenancy import KINDS

Request = dict[str, Any]

BEGINNINGS = {
    "Query": "{}",
    "Organization": "{{ organization {} }}",
    "Mutation": "mutation {}",
    "Subscription": "subscription {}",
}
"""The types whose fields a document begins at, and how it gets to them."""


def type_of(name: str) -> GraphQLObjectType:
    found = CORE.type_map[name]
    assert isinstance(found, GraphQLObjectType)
    return found


FIELDS = [(on, field) for on in BEGINNINGS for field in type_of(on).fields]


def connections() -> Iterator[str]:
    """Yield the lists of an organization that have cursors and take no more than a page."""
    for name, field in type_of("Organization").fields.items():
        named = get_named_type(field.type)
        if isinstance(named, GraphQLObjectType) and "pageInfo" in named.fields:
            yield name


THINGS = sorted({*KINDS.values(), *(f"cursor of {name}" for name in connections())})
"""What a text may refer to in a world."""
DEEP = 400
PIECES = (*'{}()[]!$:@#"|&=.', '"""', "...", "\ufeff", "\0", "\ud800", "on", "1e", "\\u")
DIRECTIVES = (
    "@skip(if: true)",
    "@include(if: $nothing)",
    "@skip(if: null) @skip(if: false)",
    "@skip",
    "@nothing",
    '@deprecated(reason: "\\u0000")',
)


def deep(inner: Any, *, in_list: bool) -> Any:
    for _ in range(DEEP):
        inner = [inner] if in_list else {"a": inner}
    return inner


VALUES: tuple[Any, ...] = (
    *(None, True, -1, 2**31, 2**53 + 1, 2**63, 10**40, -(10**400), 1e308, 0.1, [], {}, [[]]),
    *("\0", "\ud800", "9" * 400, {"__proto__": {}}, {"": None}, ["x"] * 10_001, {"id": "\udfff"}),
    *(deep("x", in_list=True), deep(1, in_list=False), *TEXTS),
)
"""What any place may be sent."""

named = st.builds(
    "@@{}:{}@@".format, st.sampled_from(["ours", "ours", "theirs"]), st.sampled_from(THINGS)
)
texts = st.one_of(named, named, st.text(max_size=20), st.sampled_from([t[:200] for t in TEXTS]))
SCALARS = {
    "BigInt": st.one_of(st.sampled_from(HOSTILE["BigInt"]), st.integers()).map(nodes.Int),
    "Date": st.sampled_from(["2026-06-01", "0001-01-01", "9999-12-31", "x"]).map(nodes.String),
    "DateTime": st.sampled_from([*HOSTILE["DateTime"], "2026-06-01T12:00:00Z"]).map(nodes.String),
    "EmailAddress": st.one_of(texts, st.just("ada@example.net")).map(nodes.String),
    "ID": texts.map(nodes.String),
    "JSON": st.sampled_from(['"x"', "1", "[]", "{}", "{a: {b: [1, null]}}", "[[[[{}]]]]"]).map(
        parse_value
    ),
    "String": texts.map(nodes.String),
    "URL": st.one_of(texts, st.just("https://hooks.example/a")).map(nodes.String),
    "UUID": named.map(nodes.String),
}
"""Literals of each scalar; the other types are known to hypothesis-graphql."""


@cache
def begun_at(on: str) -> GraphQLSchema:
    """Return the schema as if *on* were its root."""
    return GraphQLSchema(query=type_of(on))


@cache
def fitting(on: str, field: str) -> st.SearchStrategy[str]:
    """Return documents that begin at a field."""
    return queries(
        begun_at(on),
        fields=(field,),
        custom_scalars=SCALARS,
        print_ast=lambda document: written(on, document),
    )


@cache
def misfitting(on: str) -> st.SearchStrategy[str]:
    """Return documents with one thing in them that does not fit."""
    return queries(
        begun_at(on),
        custom_scalars=SCALARS,
        mode=Mode.NEGATIVE,
        print_ast=lambda document: written(on, document),
    )


def written(on: str, document: DocumentNode) -> str:
    """Return the text of a document that was made as if *on* were the root."""
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    return BEGINNINGS[on].format(print_ast(operation.selection_set))


documents = st.one_of(
    st.sampled_from(FIELDS).flatmap(lambda place: fitting(*place)),
    st.sampled_from(FIELDS).flatmap(lambda place: fitting(*place)),
    st.sampled_from(sorted(BEGINNINGS)).flatmap(misfitting),
)


class Lifting(Visitor):
    """Leaves out some of the arguments that may be, and makes variables out of some others."""

    def __init__(self, draw: st.DrawFn, info: TypeInfo) -> None:
        super().__init__()
        self.values: dict[str, Any] = {}
        self.declared: list[str] = []
        self._draw, self._info = draw, info

    def enter_argument(self, node: ArgumentNode, *_: Any) -> Any:
        """Put a variable in the argument's place, with its value, or nothing."""
        type_, argument = self._info.get_input_type(), self._info.get_argument()
        # Of all of them at once, some always contradict others.
        if argument and not is_required_argument(argument) and self._draw(st.integers(0, 3)):
            return REMOVE
        if type_ is None or not self._draw(st.booleans()):
            return None
        name = f"v{len(self.values)}"
        self.values[name] = value_from_ast_untyped(node.value)
        self.declared.append(f"${name}: {type_}")
        return ArgumentNode(name=node.name, value=VariableNode(name=NameNode(value=name)))


def lifted(draw: st.DrawFn, text: str) -> tuple[str, dict[str, Any]]:
    """Return a document with variables, and their values."""
    info = TypeInfo(CORE)
    lifting = Lifting(draw, info)
    found = print_ast(visit(parse(text), TypeInfoVisitor(info, lifting)))
    if lifting.declared:
        kind, _, rest = found.partition("{")
        found = f"{kind.strip() or 'query'} ({', '.join(lifting.declared)}) {{{rest}"
    return found, lifting.values


def bent(draw: st.DrawFn, text: str) -> str:
    """Return a document with one thing in it that its author would not have written."""
    lines = text.split("\n")
    leaves = [number for number, line in enumerate(lines) if line.strip().isidentifier()]
    way = draw(st.sampled_from(["cut", "deep", "directive", "fragment", "many", "twice"]))
    if way in ("directive", "many") and leaves:
        at = draw(st.sampled_from(leaves))
        name = lines[at].strip()
        if way == "directive":
            lines[at] += " " + draw(st.sampled_from(DIRECTIVES))
        else:
            times = draw(st.sampled_from([2, 90, 101, 1001]))
            lines[at] = "\n".join(f"a{number}: {name}" for number in range(times))
        return "\n".join(lines)
    if way == "deep":
        times = draw(st.sampled_from([1, 19, 99, 1500]))
        return text.replace("{", "{" + " ... {" * times, 1) + "}" * times
    if way == "fragment":
        on = draw(st.sampled_from(["Query", "Mutation", "Organization", "Node", "Nothing"]))
        inner = draw(st.sampled_from(["...F", "__typename", "... on Node { ...F }", "id @skip"]))
        return text.replace("{", "{ ...F", 1) + f" fragment F on {on} {{ {inner} }}"
    if way == "twice":
        return f"{text} {text}"
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 30)))
    return text[:start] + draw(st.sampled_from(["", *PIECES])) + text[end:]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place in *value* as what it is in and its name or number there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(inner):
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)


def hurt(draw: st.DrawFn, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return variables with a place or two that hold something else."""
    found: dict[str, Any] = json.loads(json.dumps(variables))
    for _ in range(draw(st.integers(1, 2))):
        within, key = draw(st.sampled_from(list(places(found))))
        if isinstance(within, dict) and draw(st.integers(0, 9)) == 0:
            within["nothing"] = 1
        # A copy: what is put in may be changed itself the next time round.
        within[key] = json.loads(json.dumps(draw(st.one_of(st.sampled_from(VALUES), named))))
    return found


@st.composite
def requests(draw: st.DrawFn) -> list[Request]:
    """One document, as it is and with a few sets of variables that hurt."""
    text, variables = lifted(draw, draw(documents))
    if draw(st.integers(0, 3)) == 0:
        text = bent(draw, text)
    made: list[Request] = [{"query": text, "variables": variables}]
    for _ in range(draw(st.integers(0, 4)) if variables else 0):
        made.append({"query": text, "variables": hurt(draw, variables)})
    return made
