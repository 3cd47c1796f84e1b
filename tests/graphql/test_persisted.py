"""Documents sent by their hash, as Apollo's and urql's clients do it."""

import hashlib
from typing import Any

import pytest

from tests.client import Client

TEXT = "query Persisted { __typename }"
"""Which no other test sends, for what was sent is known from then on."""
HASH = hashlib.sha256(TEXT.encode()).hexdigest()


async def send(client: Client, query: str | None, persisted: Any) -> dict[str, Any]:
    body = {"extensions": {"persistedQuery": persisted}} | ({"query": query} if query else {})
    answer: dict[str, Any] = (await client.post("/graphql", json=body)).json()
    return answer


async def test_a_hash_is_enough_once_the_text_was_sent(client: Client) -> None:
    persisted = {"version": 1, "sha256Hash": HASH}

    unknown = await send(client, None, persisted)
    first = await send(client, TEXT, persisted)
    second = await send(client, None, persisted)

    assert unknown["errors"][0]["message"] == "PersistedQueryNotFound"
    assert unknown["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert first["data"] == second["data"] == {"__typename": "Query"}


async def test_a_text_under_another_hash_is_refused(client: Client) -> None:
    answer = await send(client, TEXT, {"version": 1, "sha256Hash": "0" * 64})

    assert answer["errors"][0]["extensions"]["code"] == "DOCUMENT_INVALID"


@pytest.mark.parametrize(
    "persisted",
    [
        {},
        [],
        "x",
        1,
        {"version": 2, "sha256Hash": HASH},
        {"version": 1, "sha256Hash": "xyz"},
        {"version": 1, "sha256Hash": None},
        {"version": 1, "sha256Hash": [HASH]},
    ],
)
async def test_a_broken_extension_is_a_clear_400(client: Client, persisted: Any) -> None:
    body = {"query": TEXT, "extensions": {"persistedQuery": persisted}}

    answer = await client.post("/graphql", json=body)

    assert answer.status_code == 400


async def test_a_query_by_hash_can_be_a_get(client: Client) -> None:
    await send(client, TEXT, {"version": 1, "sha256Hash": HASH})
    extensions = f'{{"persistedQuery":{{"version":1,"sha256Hash":"{HASH}"}}}}'

    answer = await client.get("/graphql", params={"extensions": extensions})

    assert answer.json()["data"] == {"__typename": "Query"}
