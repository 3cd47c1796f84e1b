"""Short ways through a document come to what graphql-core comes to, errors and all."""

import asyncio
import gc
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
import strawberry
from graphql import ExecutionResult, OperationDefinitionNode, graphql, parse
from strawberry.execution import optimized_is_awaitable
from strawberry.scalars import JSON

from postlane.graphql.coercing import coerced
from postlane.graphql.executor import LeanExecutor, plain_fields, plain_reads, shorten
from postlane.graphql.inputs import compile_inputs
from postlane.graphql.remembering import Remembered
from postlane.graphql.writing import Writers


@strawberry.enum
class Kind(StrEnum):
    NOVEL = "long"
    POEM = "short"


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Page(Named):
    number: int


@strawberry.type
class Author:
    first: str
    last: str | None = None

    @strawberry.field
    def full(self) -> str:
        return f"{self.first} {self.last}"

    @strawberry.field
    def broken(self) -> str:
        raise ValueError("no such luck")

    @strawberry.field
    def greeting(self, word: str = "Hello") -> str:
        return f"{word} {self.first}"

    @strawberry.field
    async def books(self) -> "list[Book]":
        return [Book(title="Later", author=self)]


@strawberry.type
class Book:
    title: str
    author: Author
    editor: Author | None = None
    readers: list[Author] = strawberry.field(default_factory=list)
    tags: list[str] = strawberry.field(default_factory=list)
    wrong: int = 2**40
    kind: Kind = Kind.POEM
    other_kind: Kind | None = None
    kinds: list[Kind] = strawberry.field(default_factory=lambda: [Kind.NOVEL, Kind.POEM])
    no_kind: Kind = "POEM"  # type: ignore[assignment]
    page: Page = strawberry.field(default_factory=lambda: Page(name="one", number=1))

    @strawberry.field
    def critics(self) -> list[Author | None]:
        return [Author(first="Zoë"), None]

    @strawberry.field
    def missing(self) -> Author:
        return None  # type: ignore[return-value]


class Torn(Exception):
    """It has attributes of an author's names."""

    first, last = "Torn", "Page"


@strawberry.type
class Odd:
    """Its fields hold what the code should never put there."""

    word: str | None
    sure_word: str
    key: strawberry.ID | None
    number: int | None
    ratio: float | None
    is_so: bool | None
    kind: Kind | None
    other: UUID | None
    data: JSON | None
    words: list[str] | None
    sure_words: list[str]
    keys: list[UUID] | None
    kinds: list[Kind] | None
    loose: list[str | None] | None
    author: Author | None
    authors: list[Author] | None
    rows: list[list[Author]] | None
    grid: list[list[int]] | None
    either: Annotated[Author | Page, strawberry.union("Either")] | None
    some: list[Annotated[Author | Page, strawberry.union("Either")]] | None

    @strawberry.field
    def method(self) -> str | None:
        return self.word


class Few:
    """It can be gone through, and is neither a list nor a tuple."""

    def __init__(self, *items: object) -> None:
        self.items = items

    def __iter__(self) -> Any:
        return iter(self.items)


def _raisable(value: object) -> object:
    if isinstance(value, list):
        return [_raisable(each) for each in value]
    return value("no such luck") if value in (ValueError, Torn) else value


def _odd(value: object) -> Odd:
    odd: Odd = object.__new__(Odd)
    vars(odd).update(dict.fromkeys(Odd.__annotations__, _raisable(value)))
    return odd


ADA, PAGE = Author(first="Ada"), Page(name="one", number=1)
ODD_VALUES: dict[str, object] = {
    # Classes here, as one that has been raised keeps hold of who did.
    "exception": ValueError,
    "exception with attributes": Torn,
    "exception in a list": ["a", Torn],
    "exception in a row": [[ADA], [ADA, Torn]],
    "none in a list": ["a", None],
    "none in a row": [[1, None], [ADA, None]],
    "dict": {"0": "a", "1": "b"},
    "empty dict": {},
    "set": {"a"},
    "tuple": ("a", "b"),
    "tuples of tuples": ((1, 2), ()),
    "iterable": Few("a", "b"),
    "iterable with none": Few("a", None),
    "text": "ab",
    "bytes": b"ab",
    "number": 3,
    "large number": 2**40,
    "not a number": float("nan"),
    "object": ADA,
    "another": PAGE,
    "objects": [ADA, PAGE],
    "objects in an iterable": Few(ADA, Few(ADA)),
    "rows": [[ADA, ADA], []],
    "rows of iterables": [Few(ADA), (ADA,)],
    "dict of objects": {"0": ADA},
    "empty": [],
    "none": None,
    "enum": Kind.POEM,
    "enums": [Kind.POEM, "POEM"],
    "id": UUID(int=1),
    "ids": [UUID(int=1), "x"],
}


@strawberry.input
class AuthorInput:
    first: str
    last: str | None = None


@strawberry.input
class BookInput:
    title: str
    author: AuthorInput
    readers: list[AuthorInput] = strawberry.field(default_factory=list)
    tags: list[str] = strawberry.field(default_factory=lambda: ["new"])


@strawberry.type
class Query:
    @strawberry.field
    def odd(self, info: strawberry.Info, of: str) -> Odd | None:
        return _odd(ODD_VALUES[of])

    @strawberry.field
    def odds(self, info: strawberry.Info, of: str) -> list[list[Odd]] | None:
        return [[_odd(None), _odd(ODD_VALUES[of])]]

    @strawberry.field
    def fails(self, info: strawberry.Info) -> str:
        raise ValueError("it fails")

    @strawberry.field
    async def book(self, info: strawberry.Info, times: int = 1) -> Book | None:
        ada = Author(first="Ada", last="Lovelace")
        return Book(title="Notes" * times, author=ada, readers=[ada, ada]) if times else None


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def add(self, info: strawberry.Info, input: BookInput, count: int = 1) -> list[Book]:
        people = [Author(**vars(each)) for each in (input.author, *input.readers)]
        book = Book(title=input.title, author=people[0], readers=people[1:], tags=input.tags)
        return [book] * count

    @strawberry.mutation
    async def refuse(self, info: strawberry.Info, input: BookInput) -> Book:
        raise ValueError(f"no {input.title}")


def _schema() -> strawberry.Schema:
    return strawberry.Schema(query=Query, mutation=Mutation)


THEIRS = _schema()._schema
OUR_SCHEMA = _schema()
OURS = OUR_SCHEMA._schema
compile_inputs(OUR_SCHEMA)
shorten(OURS, OUR_SCHEMA.config.name_converter)


class Executor(LeanExecutor):
    plain = plain_fields(OURS)
    writers = Writers(plain_reads(OURS))


def _ours(text: str, variables: dict[str, Any]) -> ExecutionResult:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    values = coerced(OURS, operation, variables)
    assert values is not None

    async def run() -> Any:
        executor = Executor.of(
            *(OURS, document, operation, values),
            root=None,
            context=None,
            is_awaitable=optimized_is_awaitable,
        )
        running: Any = executor.execute_operation()
        return running if isinstance(running, ExecutionResult) else await running

    found: ExecutionResult = asyncio.run(run())
    return found


GIVEN = {"title": "New", "author": {"first": "Ada"}, "readers": [{"first": "Bo", "last": "C"}]}


@pytest.mark.parametrize(
    "text",
    [
        "{ book { title author { first last full } readers { full } tags } }",
        "{ book { name: title again: title by: author { f: first } } }",
        "{ found: book(times: 2) { title editor { first } critics { first last } } }",
        "{ book(times: 0) { title } }",
        "{ book { title title author { first } author { last } } }",
        "{ book { ...Parts } } fragment Parts on Book { title author { full } }",
        "{ book { ... on Book { title } __typename author { __typename } } }",
        "query ($no: Boolean = false) { book { title @include(if: $no) tags @skip(if: $no) } }",
        '{ book { author { greeting(word: "Bye") } } }',
        "{ book { author { books { title author { full } } } } }",
        "{ book { page { name number } } }",
        "{ book { kind otherKind kinds } }",
        "{ book { kind noKind } }",
        "{ book { author { books { kinds otherKind } } } }",
        "{ book { title missing { first } } }",
        "{ book { title wrong } }",
        "{ book { title author { first broken } } }",
        "{ book { title editor { broken } } fails }",
        "{ fails }",
        "{ fails book { title } }",
        "{ __typename }",
        "{ __typename book { title } }",
        "{ book @include(if: false) { title } }",
        "mutation ($i: BookInput!) { add(input: $i) { title tags author { full } } }",
        "mutation ($i: BookInput!) { add(input: $i, count: 2) { readers { first last } } }",
        "mutation ($i: BookInput!) { one: add(input: $i) { title } two: add(input: $i) { tags } }",
        "mutation ($i: BookInput!) { add(input: $i) { title author { broken } } }",
        "mutation ($i: BookInput!) { refuse(input: $i) { title } }",
        'mutation { add(input: {title: "x", author: {first: "y"}, tags: []}) { title tags } }',
    ],
)
async def test_a_document_comes_to_the_same(text: str) -> None:
    variables = {"i": GIVEN} if "$i" in text else {}
    if "$no" in text:
        variables = {"no": False}
    theirs = await graphql(THEIRS, text, variable_values=variables)
    ours = await asyncio.to_thread(_ours, text, variables)

    assert ours.formatted == theirs.formatted


EITHER = "{ __typename ... on Author { first full } ... on Page { number } }"
PARTS = {
    "author": "{ first last }",
    "authors": "{ first full }",
    "rows": "{ first }",
    "either": EITHER,
    "some": EITHER,
}


def _odd_fields() -> Iterable[str]:
    for name in OURS.type_map["Odd"].fields:  # type: ignore[attr-defined]
        yield f"{name} {PARTS.get(name, '')}"


@pytest.mark.parametrize("value", ODD_VALUES)
@pytest.mark.parametrize(
    ("field", "more"), [("odd", "__typename"), ("odds", "")], ids=["by field", "in one go"]
)
async def test_a_value_that_should_not_be_there_comes_to_the_same(
    field: str, more: str, value: str
) -> None:
    for selected in _odd_fields():
        text = f'{{ {field}(of: "{value}") {{ {selected} {more} }} }}'
        theirs = await graphql(THEIRS, text)
        ours = await asyncio.to_thread(_ours, text, {})

        # As text, since JSON that holds an exception or no number is not equal to itself.
        assert repr(ours.formatted) == repr(theirs.formatted), text


def test_what_is_read_off_its_object_is_written_in_one_go() -> None:
    document = parse("{ book { title author { full } } }")
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    [node] = operation.selection_set.selections
    write = Executor.writers.find(OURS.query_type.fields["book"].type, node)  # type: ignore[union-attr, arg-type]

    assert write is not None
    book = Book(title="Notes", author=Author(first="Ada", last="Lovelace"))
    assert write(book) == {"title": "Notes", "author": {"full": "Ada Lovelace"}}
    assert write(None) is None


def test_the_default_of_a_list_is_nobodys_to_change() -> None:
    text = 'mutation { add(input: {title: "x", author: {first: "y"}}) { tags } }'
    first, second = (_ours(text, {}) for _ in range(2))

    assert first.data is not None
    first.data["add"][0]["tags"].append("mine")
    assert second.data == {"add": [{"tags": ["new"]}]}
    assert _ours(text, {}).data == {"add": [{"tags": ["new"]}]}


@pytest.mark.parametrize(
    "text",
    [
        "{ book { title } }",
        "{ book { title } again: book { title } }",
        "mutation ($i: BookInput!) { add(input: $i) { title } }",
    ],
)
def test_nothing_waits_for_the_collector(text: str) -> None:
    """A message of megabytes is let go of with its request."""
    gc.collect()
    gc.disable()
    try:
        assert _ours(text, {"i": GIVEN} if "$i" in text else {}).errors is None
        left = [each for each in gc.get_objects() if isinstance(each, Executor)]
        assert left == []
    finally:
        gc.enable()


def test_nodes_are_told_apart_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postlane.graphql.remembering.MOST", 2)
    made: list[object] = []

    def work(node: object, other: object) -> int:
        made.append(node)
        return len(made)

    remembered = Remembered(work)
    # They say the same, and are others.
    nodes = [parse("{ a }") for _ in range(3)]

    assert [remembered.of(node, None) for node in nodes[:2]] == [1, 2]
    assert [remembered.of(node, None) for node in nodes[:2]] == [1, 2]
    assert remembered.of(nodes[2], None) == 3
    assert remembered.of(nodes[2], None) == 3
    assert remembered.of(nodes[0], None) == 4
