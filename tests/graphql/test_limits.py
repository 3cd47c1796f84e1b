"""What is refused before it runs, and what the refusal says."""

import gc
from collections.abc import Iterator
from weakref import WeakSet

import pytest
from graphql import Source, get_introspection_query

from postlane.core.errors import OperationError
from postlane.graphql import limits
from postlane.graphql.documents import DocumentRefused, Documents, prepare
from postlane.graphql.remembering import Remembered
from tests.client import Client
from tests.factories import make_actor


def cost(query: str, **variables: object) -> int:
    (operation,) = prepare(query).operations.values()
    return operation.price.of(variables)


def chain(length: int) -> str:
    """Fragments that each spread the next one twice: written short, run for ever."""
    links = (
        f"fragment F{i} on Query {{ a{i}: __typename ...F{i + 1} ... on Query {{ ...F{i + 1} }} }}"
        for i in range(length)
    )
    return " ".join(["{ ...F0 }", *links, f"fragment F{length} on Query {{ __typename }}"])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("#" * 100_001, "The document has 100001 characters; at most 100000 are taken."),
        (
            "{" + " __typename" * 5000 + "}",
            "The document has more than 4000 tokens; at most that many are taken.",
        ),
        (
            "{" + "".join(f" a{i}: __typename" for i in range(101)) + "}",
            "The document has 101 aliases; at most 100 are taken.",
        ),
        (
            "{" + " __typename" * 1001 + "}",
            "The document has 1001 fields and fragment spreads; at most 1000 are taken.",
        ),
        (
            "{" + " organization { id }" * 51 + "}",
            "The document has 51 fields of the same name; at most 50 are taken.",
        ),
        (
            "{ __typename }" + "".join(f" fragment F{i} on Query {{ a }}" for i in range(101)),
            "The document has 101 fragments; at most 100 are taken.",
        ),
        (
            "{ __schema { types { fields { type { "
            + "ofType { " * 20
            + "name"
            + " }" * 20
            + " } } } } }",
            "The document has 25 levels of fields; at most 20 are taken.",
        ),
        (
            "{ " + "... { " * 101 + "__typename" + " }" * 101 + " }",
            "The document has 101 levels of fields and fragments; at most 100 are taken.",
        ),
        (
            "mutation {" + "".join(f" a{i}: __typename" for i in range(11)) + "}",
            "The document has 11 mutations; at most 10 are taken.",
        ),
    ],
)
def test_each_limit_names_itself_and_both_numbers(query: str, message: str) -> None:
    with pytest.raises(OperationError) as caught:
        prepare(query)

    assert str(caught.value) == message
    assert caught.value.error_code == "DOCUMENT_TOO_COMPLEX"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "#",
        "{",
        "{}",
        "{ a",
        "}" * 100,
        "{" * 5000,
        "query",
        "fragment F on Query { __typename }",
        "{ ...F } fragment F on Query { ...F }",
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "subscription { __typename }",
        "type Query { a: Int }",
        "{ __typename } type Query { a: Int }",
        "query ($a: Int = $b) { __typename }",
        "query A { __typename } query A { __typename }",
        '{ __typename @include(if: "yes") }',
        "{ __typename @nope }",
        "{ organization }",
        "{ __typename { x } }",
        "\ufeff\u200b{ __typename ",
        '{ a(b: """',
    ],
)
def test_a_document_that_cannot_run_is_refused_in_words(query: str) -> None:
    with pytest.raises((DocumentRefused, OperationError)) as caught:
        prepare(query)

    assert str(caught.value)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ __typename }", 1),
        ("{ organization { id uuid } }", 3),
        ("{ a: organization { id } b: organization { id } }", 4),
        ("{ organization { messages(first: 10) { nodes { id uuid } } } }", 32),
        ("{ organization { messages(first: 10) { edges { node { id } } } } }", 32),
        ("{ organization { messages { nodes { id } } } }", 102),
        ("{ organization { messages(last: 3) { nodes { id } } } }", 8),
        ("{ organization { messages(first: 1000000) { nodes { id } } } }", 1002),
        ("{ organization { messages(first: -5) { nodes { id } } } }", 4),
        ('{ nodes(ids: ["a", "b", "c"]) { id } }', 4),
        ("{ ...F ...F } fragment F on Query { organization { id } }", 4),
        ("mutation { __typename }", 1),
    ],
)
def test_a_page_costs_as_much_as_its_items(query: str, expected: int) -> None:
    assert cost(query) == expected


def test_the_page_size_is_read_from_variables() -> None:
    query = "query ($n: Int) { organization { messages(first: $n) { nodes { id } } } }"

    assert cost(query, n=7) == 2 + 7 * 2
    assert cost(query) == 2 + 50 * 2
    assert cost(query, n="many") == 2 + 50 * 2


def test_pages_in_pages_multiply() -> None:
    query = """{ organization { messages(first: 500) { nodes {
      deliveries { attempts { number startedAt } } } } } }"""

    assert cost(query) > limits.COST


def test_nested_fragments_are_priced_without_being_expanded() -> None:
    """Written out, two spreads in each of forty fragments are a million million fields."""
    assert cost(chain(40)) > 2**40


async def test_a_costly_document_is_refused_before_it_runs(client: Client) -> None:
    actor = await make_actor()

    body = await client.graphql(chain(40), actor=actor)

    assert "data" not in body
    assert body["errors"][0]["extensions"]["code"] == "DOCUMENT_TOO_COMPLEX"
    assert body["errors"][0]["message"].endswith("points of cost; at most 50000 are taken.")


async def test_every_answer_says_what_it_cost(client: Client) -> None:
    body = await client.graphql("{ organization { id } }", actor=await make_actor())

    assert body["extensions"]["cost"] == {"requested": 2, "throttle": None}
    assert len(body["extensions"]["requestId"]) == 32


async def test_the_introspection_of_common_tools_is_within_the_limits(client: Client) -> None:
    query = get_introspection_query(
        specified_by_url=True, schema_description=True, input_value_deprecation=True
    )
    data = await client.data(query, actor=await make_actor())

    assert data["__schema"]["queryType"]["name"] == "Query"


async def test_a_long_list_of_variables_is_refused(client: Client) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"

    body = await client.graphql(query, {"ids": ["x"] * 10_001}, actor=await make_actor())

    assert body["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    assert body["errors"][0]["message"] == "A list has 10001 items; at most 10000 are taken."


async def test_a_document_that_takes_too_long_is_stopped(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXECUTION_SECONDS", 0.0)

    code = await client.refusal(
        "{ organization { messages { nodes { id } } } }", actor=await make_actor()
    )

    assert code == "TIME_LIMIT"


def test_documents_are_kept_by_their_size_and_the_unused_go_first() -> None:
    documents = Documents(kept_tokens=30)
    first = documents.prepared("{ __typename }")

    for i in range(20):
        documents.prepared(f"{{ a{i}: __typename }}")
        documents.prepared("{ __typename }")

    assert documents.prepared("{ __typename }") is first
    assert 1 < len(documents) < 10


def test_a_long_comment_weighs_what_it_takes() -> None:
    documents = Documents()

    for i in range(400):
        documents.prepared(f"{{ __typename }} #{i}" + "\N{GRINNING FACE}" * 90_000)

    # Each takes 720 kB: its text, and the copy that its last token has.
    assert len(documents) < 200


def test_what_is_remembered_of_a_document_goes_with_it() -> None:
    remembered: Remembered[str] = Remembered(lambda node, other: f"{node.kind} {other}")
    documents = Documents(kept_tokens=40)
    kinds = ["one", "other"]

    for i in range(30):
        node = documents.prepared(f"{{ a{i}: __typename }}").node
        assert [remembered.of(node, each) for each in kinds] == ["document one", "document other"]
        assert remembered.of(node, kinds[0]) is remembered.of(node, kinds[0])
    del node

    assert len(remembered) == 2 * len(documents) < 30


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeakSet[Source]]:
    """Return the texts that parts of documents still hold, while nothing is collected."""
    found: WeakSet[Source] = WeakSet()

    class Noted(Source):
        def __init__(self, body: str) -> None:
            super().__init__(body)
            found.add(self)

    monkeypatch.setattr("postlane.graphql.untying.Source", Noted)
    gc.collect()
    gc.disable()
    yield found
    gc.enable()


WHOLE = """
    query One($first: Int!, $with: Boolean = true) {
      organization { messages(first: $first) { nodes { ...Row uuid @include(if: $with) } } }
    }
    fragment Row on Message { subject ... on Message { tags } }
"""


def test_what_is_kept_no_more_is_gone_at_once(sources: WeakSet[Source]) -> None:
    documents = Documents(kept_tokens=100)

    for i in range(20):
        documents.prepared(WHOLE.replace("One", f"One{i}"))

    assert len(sources) == len(documents) < 5


@pytest.mark.parametrize(
    "text",
    [
        "{ organization { id",
        "{" * 500,
        "{ a(b: " + "[" * 500,
        "{" + " __typename" * 5000 + "}",
        "{ nothing }",
        "{" + "".join(f" nothing{i}" for i in range(90)) + "}",
        "{ ...F" + "".join(f" nothing{i}" for i in range(90)) + "} " + chain(3)[9:],
        "{ __typename @include(if: 3) }",
        "{ ...F } fragment F on Query { ...F }",
        "query ($a: Int) { ...F } fragment F on Query { node(id: $b) { id } }",
        "{" + " __schema { types { name } }" * 51 + "}",
        "{ __schema { types { fields { type {" + "ofType { " * 20 + "name" + " }" * 25,
    ],
)
def test_what_is_refused_is_gone_at_once(sources: WeakSet[Source], text: str) -> None:
    with pytest.raises((DocumentRefused, OperationError)):
        prepare(text)

    assert len(sources) == 0


async def test_what_was_run_is_gone_with_its_answer(
    client: Client, sources: WeakSet[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Documents, "prepared", lambda self, text, sha256=None: prepare(text))
    actor = await make_actor()

    answer = await client.data(WHOLE, {"first": 5}, actor=actor)
    refused = await client.refusal(WHOLE, {"first": 5000}, actor=actor)

    assert answer == {"organization": {"messages": {"nodes": []}}}
    assert refused == "INVALID_INPUT"
    assert len(sources) == 0
