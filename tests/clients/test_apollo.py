"""Apollo's client works unchanged: its cache, its pages, its errors, its persisted queries."""

from typing import Any

import pytest

from tests.node import json_of_node
from tests.parts import needs_npm_package

from .conftest import Account

pytestmark = needs_npm_package("@apollo/client")
NEWEST_FIRST = ["5", "4", "3", "2", "1"]


@pytest.fixture
async def seen(account: Account) -> Any:
    return await json_of_node("apollo/client.mjs", **account.variables)


async def test_apollo_sends_pages_and_understands_refusals(seen: Any) -> None:
    assert seen["paged"] == {
        "pages": 3,
        "subjects": NEWEST_FIRST,
        "recipients": [f"ada{number}@example.net" for number in NEWEST_FIRST],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False},
    }
    assert seen["cached"] == {"subject": "1", "same": True, "requests": 1}
    assert seen["refused"] == {
        "isGraphQL": True,
        "code": "INVALID_INPUT",
        "fields": ["to[0]", "subject", "html"],
        "hasRequestId": True,
        "path": ["sendMessage"],
    }
    assert seen["unauthorized"] == {"status": None, "code": "INVALID_API_KEY"}
    assert seen["byHash"] == [
        {"method": "POST", "hasText": False},
        {"method": "POST", "hasText": True},
        {"method": "POST", "hasText": False},
    ]
    assert seen["byHashAndGet"] == [{"method": "GET", "hasText": False}] * 2
