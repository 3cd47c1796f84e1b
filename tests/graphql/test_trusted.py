"""Documents that were registered beforehand, and a deployment that takes no others."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from postlane.core.settings import SettingsError, load, settings
from postlane.graphql.execute import DocumentsBroken
from postlane.graphql.trusted import read_trusted
from postlane.server.app import build_app
from tests.client import Client

TEXT = "query Kind { __typename }"
HASH = hashlib.sha256(TEXT.encode()).hexdigest()
BY_HASH = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": HASH}}}
OTHER = '{ node(id: "x") { id } }'


@asynccontextmanager
async def deployment(tmp_path: Path, documents: str, content: Any = None) -> AsyncIterator[Client]:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps({HASH: TEXT} if content is None else content))
    found = replace(settings(), documents=documents, trusted_documents=path)
    async with Client(build_app(found, opens_pool=False), {}) as client:
        yield client


async def ask(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.post("/graphql", json=body)).json()
    return answer


def code(answer: dict[str, Any]) -> str:
    assert "data" not in answer
    text: str = answer["errors"][0]["extensions"]["code"]
    return text


async def test_a_trusted_document_runs_by_hash_that_nobody_sent_before(
    database: None, tmp_path: Path
) -> None:
    async with deployment(tmp_path, "trusted") as client:
        by_hash = await ask(client, BY_HASH)
        by_text = await ask(client, {"query": TEXT})

    assert by_hash["data"] == by_text["data"] == {"__typename": "Query"}


async def test_no_other_document_runs_where_only_trusted_ones_may(
    database: None, tmp_path: Path
) -> None:
    unknown = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}}
    spaced = TEXT + " "

    async with deployment(tmp_path, "trusted") as client:
        answers = [
            await ask(client, body)
            for body in (
                {"query": OTHER},
                {"query": spaced},
                {"query": "{ nonsense"},
                {"query": "{ __schema { types { name } } }"},
                {"query": OTHER, "extensions": {"persistedQuery": None}},
                unknown,
            )
        ]
        disguised = await ask(client, {"query": OTHER} | BY_HASH)

    assert [code(answer) for answer in answers] == ["DOCUMENT_NOT_TRUSTED"] * 6
    assert code(disguised) == "DOCUMENT_INVALID"


async def test_automatic_hashes_can_be_switched_off(database: None, tmp_path: Path) -> None:
    other = hashlib.sha256(OTHER.encode()).hexdigest()
    persisted = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": other}}}

    async with deployment(tmp_path, "text") as client:
        sent = await ask(client, {"query": OTHER} | persisted)
        again = await ask(client, persisted)
        trusted = await ask(client, BY_HASH)

    assert code(again) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert again["errors"][0]["message"] == "PersistedQueryNotSupported"
    assert sent["data"] == {"node": None}
    assert trusted["data"] == {"__typename": "Query"}


async def test_trusted_documents_keep_to_the_limits(database: None, tmp_path: Path) -> None:
    text = "{ " + " ".join(f"a{n}: __typename" for n in range(200)) + " }"
    content = {hashlib.sha256(text.encode()).hexdigest(): text}

    with pytest.raises(DocumentsBroken, match="200 aliases"):
        async with deployment(tmp_path, "any", content):
            pass


@pytest.mark.parametrize(
    "content",
    [{"0" * 64: TEXT}, {HASH: "query Kind { __typename } "}],
    ids=["another hash", "a space"],
)
async def test_a_text_under_another_hash_stops_the_start(
    database: None, tmp_path: Path, content: Any
) -> None:
    with pytest.raises(DocumentsBroken, match="is not the SHA-256"):
        async with deployment(tmp_path, "any", content):
            pass


def test_apollos_manifest_and_prefixes_are_read(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    operation = {"id": HASH.upper(), "name": "Kind", "type": "query", "body": TEXT}
    manifest.write_text(
        json.dumps(
            {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [operation]}
        )
    )
    prefixed = tmp_path / "prefixed.json"
    prefixed.write_text(json.dumps({f"sha256:{HASH}": TEXT}))

    assert read_trusted(manifest) == read_trusted(prefixed) == {HASH: TEXT}
    assert read_trusted(None) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"md5": "{ a }"}',
        f'{{"{HASH}": 1}}',
        '{"format": "apollo-persisted-query-manifest"}',
        '{"format": "apollo-persisted-query-manifest", "operations": [1]}',
        '{"format": "apollo-persisted-query-manifest", "operations": [{"id": 1}]}',
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "documents.json"
    path.write_text(text)

    with pytest.raises(SettingsError, match="POSTLANE_TRUSTED_DOCUMENTS"):
        read_trusted(path)


def test_enforcing_needs_a_list() -> None:
    with pytest.raises(SettingsError, match="POSTLANE_TRUSTED_DOCUMENTS"):
        load({"POSTLANE_DOCUMENTS": "trusted"})
