"""urql works unchanged, with its normalizing cache and its persisted queries."""

from typing import Any

import pytest

from tests.node import json_of_node
from tests.parts import needs_npm_package

from .conftest import Account

pytestmark = needs_npm_package("@urql/core")


@pytest.fixture
async def seen(account: Account) -> Any:
    return await json_of_node("urql/client.mjs", **account.variables)


async def test_urql_sends_pages_and_understands_refusals(seen: Any) -> None:
    assert seen == {
        "paged": {"pages": 3, "subjects": ["5", "4", "3", "2", "1"]},
        "refused": {"code": "INVALID_INPUT", "field": "to[0]", "network": None},
        "cached": {"subjects": ["1", "1"], "requests": 1},
        "byHash": [
            {"method": "POST", "hasText": False},
            {"method": "POST", "hasText": True},
            {"method": "POST", "hasText": False},
        ],
        "byHashAndGet": [{"method": "GET", "hasText": False}] * 2,
    }
