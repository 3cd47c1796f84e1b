"""What accepting costs the database: every message pays for each statement on this path."""

import pytest

from tests.client import Client
from tests.factories import make_api_key, make_domain, make_organization
from tests.statements import count_statements

SEND = "mutation ($input: SendMessagesInput!) { sendMessages(input: $input) { accepted } }"
TABLES = (
    "api_key_secrets",
    "BEGIN",
    "organizations",
    "domains",
    "suppressions",
    "credit_entries",
    "contents",
    "messages",
    "events",
    "COMMIT",
)
"""What each statement is about: who asks, what decides, and one for what each area writes."""


@pytest.mark.parametrize("number", [1, 100])
async def test_accepting_takes_ten_statements_however_many_messages_come(
    client: Client, number: int
) -> None:
    organization = await make_organization()
    domain = await make_domain(organization.id)
    key = await make_api_key(organization)
    message = {
        "from": f"shop@{domain.name}",
        "to": ["ada@example.net", "bob@example.org"],
        "subject": "Hello",
        "text": "Hi.",
    }
    # The first message makes the queues, which stay.
    await client.data(SEND, {"input": {"messages": [message]}}, key=key.secret)

    with count_statements() as sent:
        variables = {"input": {"messages": [message] * number}}
        data = await client.data(SEND, variables, key=key.secret)

    assert data["sendMessages"]["accepted"] == number
    assert [table for table, statement in zip(TABLES, sent, strict=True) if table in statement] == (
        list(TABLES)
    )
