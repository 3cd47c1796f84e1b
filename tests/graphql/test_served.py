"""The whole way, over a socket: Granian, a real credential, a client that others wrote."""

import asyncio
from urllib.parse import urlsplit

import httpx
import pytest
from gql import Client as GqlClient
from gql import gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport

from postlane.server.app import build_app
from tests.factories import make_api_key, make_domain, make_organization
from tests.serving import served

SEND = """
mutation ($input: SendMessageInput!) {
  sendMessage(input: $input) { receipt { uuid accepted } }
}
"""


async def test_a_common_client_works_unchanged(database: None) -> None:
    organization = await make_organization()
    domain = await make_domain(organization.id)
    key = await make_api_key(organization)
    message = {"from": f"shop@{domain.name}", "to": ["ada@example.net"], "subject": "Hello"}

    async with served(build_app(opens_pool=False)) as url:
        transport = HTTPXAsyncTransport(
            url=f"{url}/graphql", headers={"Authorization": f"Bearer {key.secret}"}
        )
        client = GqlClient(transport=transport, fetch_schema_from_transport=True)
        async with client as session:
            document = gql(SEND)
            document.variable_values = {"input": {**message, "text": "Hello."}}
            sent = await session.execute(document)
            document.variable_values = {"input": message}
            with pytest.raises(TransportQueryError) as refused:
                await session.execute(document)

    assert sent["sendMessage"]["receipt"]["accepted"] == 1
    assert refused.value.errors is not None
    assert refused.value.errors[0]["extensions"]["code"] == "INVALID_INPUT"


async def test_the_largest_message_is_taken_and_one_byte_more_is_not(database: None) -> None:
    organization = await make_organization()
    key = await make_api_key(organization)
    headers = {"x-api-key": key.secret, "content-type": "application/json"}
    start = b'{"query": "query ($x: String) { __typename }", "variables": {"x": "'
    end = b'"}}'

    async with served(build_app(opens_pool=False)) as url, httpx.AsyncClient() as client:
        largest = start + b"x" * (35 * 2**20 - len(start) - len(end)) + end
        answers = [
            await client.post(f"{url}/graphql", content=body, headers=headers, timeout=60)
            for body in (largest, largest + b" ")
        ]

    assert [answer.status_code for answer in answers] == [200, 413]
    assert (
        answers[1]
        .json()["errors"][0]["message"]
        .startswith("The request's body has 36700161 bytes; at most 36700160 bytes are taken.")
    )


@pytest.mark.parametrize(
    "head",
    [
        b"GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n1a\r\n"
        + b'{"query":"{ __typename }"}'
        + b"\r\n0\r\n\r\n",
    ],
    ids=["get", "chunked"],
)
async def test_plain_http_is_enough(database: None, head: bytes) -> None:
    answer = await exchange(head)

    assert answer.startswith(b"HTTP/1.1 200")
    assert b'{"data":{"__typename":"Query"}' in answer


@pytest.mark.parametrize(
    "head",
    [
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /graphql HTTP/9.9\r\n\r\n",
        b"\r\n" * 100,
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 500_000,
    ],
    ids=["cut off", "tls", "version", "blank", "long path", "long header"],
)
async def test_broken_http_harms_nobody_else(database: None, head: bytes) -> None:
    async with served(build_app(opens_pool=False)) as url, httpx.AsyncClient() as client:
        await exchange(head, url=url, wait=0.3)
        answer = await client.post(f"{url}/graphql", json={"query": "{ __typename }"})

    assert answer.json()["data"] == {"__typename": "Query"}


async def exchange(sent: bytes, *, url: str | None = None, wait: float = 5.0) -> bytes:
    """Send bytes to the server and return what comes back within *wait* seconds."""
    if url is None:
        async with served(build_app(opens_pool=False)) as started:
            return await exchange(sent, url=started, wait=wait)
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(65_536), wait)
    except (TimeoutError, ConnectionError):
        return b""
    finally:
        writer.close()
