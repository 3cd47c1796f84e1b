"""`gql`, Python's common client, works unchanged: its schema check, pages, ids, refusals."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from gql import Client, GraphQLRequest, gql
from gql.client import AsyncClientSession
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from graphql import GraphQLError

from .conftest import Account

SEND = """
mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) { receipt { uuid accepted } message { id } }
}
"""
LIST = """
query List($first: Int!, $after: String) {
  organization { messages(first: $first, after: $after) {
    nodes { subject createdAt number }
    pageInfo { hasNextPage endCursor }
  } }
}
"""


@pytest.fixture
async def session(account: Account) -> AsyncIterator[AsyncClientSession]:
    headers = {"Authorization": f"Bearer {account.key}"}
    transport = HTTPXAsyncTransport(url=account.url, headers=headers)
    async with Client(transport=transport, fetch_schema_from_transport=True) as opened:
        yield opened


async def send(session: AsyncClientSession, account: Account, **fields: str) -> Any:
    message = {"from": account.sender, "to": ["ada@example.net"], "text": "Hello."} | fields
    data = await session.execute(asked(SEND, input=message))
    return data["sendMessage"]


def asked(document: str, **variables: Any) -> GraphQLRequest:
    request = gql(document)
    request.variable_values = variables
    return request


async def test_gql_sends_and_reads_page_by_page(
    session: AsyncClientSession, account: Account
) -> None:
    for subject in "123":
        await send(session, account, subject=subject)

    subjects, after, more = [], None, True
    while more:
        data = await session.execute(asked(LIST, first=2, after=after))
        page = data["organization"]["messages"]
        subjects.append([node["subject"] for node in page["nodes"]])
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]

    assert subjects == [["3", "2"], ["1"]]


async def test_gql_shows_what_a_refusal_says(session: AsyncClientSession, account: Account) -> None:
    with pytest.raises(TransportQueryError) as refused:
        await send(session, account)

    assert refused.value.errors is not None
    assert refused.value.errors[0]["path"] == ["sendMessage"]
    assert refused.value.errors[0]["extensions"]["code"] == "INVALID_INPUT"
    assert refused.value.errors[0]["extensions"]["field"] == "subject"


async def test_gql_knows_our_schema_by_introspection(session: AsyncClientSession) -> None:
    assert session.client.schema is not None
    assert session.client.schema.mutation_type is not None
    assert "sendMessage" in session.client.schema.mutation_type.fields

    with pytest.raises(GraphQLError, match="Cannot query field 'color'"):
        await session.execute(gql("{ organization { color } }"))


async def test_gql_finds_an_object_again(session: AsyncClientSession, account: Account) -> None:
    sent = await send(session, account, subject="Again")

    again = "query ($id: ID!) { node(id: $id) { __typename ... on Message { subject } } }"
    found = await session.execute(asked(again, id=sent["message"]["id"]))

    assert found == {"node": {"__typename": "Message", "subject": "Again"}}
