"""Relay works unchanged: its compiler on the committed schema, its runtime on the server."""

from pathlib import Path

import pytest

from tests.node import copied, json_of_node, run_node
from tests.parts import TOOLS, needs_npm_package

from .conftest import Account

COMPILER = TOOLS / "node_modules" / "relay-compiler" / "cli.js"
TYPESCRIPT = TOOLS / "node_modules" / "typescript" / "bin" / "tsc"

pytestmark = needs_npm_package("relay-compiler")


@pytest.mark.slow
async def test_relay_compiles_pages_sends_and_refetches(account: Account, tmp_path: Path) -> None:
    place = copied("relay", tmp_path)
    made = place / "src" / "__generated__"
    made.mkdir()

    await run_node(COMPILER, "relay.config.json", cwd=place)
    await run_node(TYPESCRIPT, "--project", ".", cwd=place)
    seen = await json_of_node("built/client.js", cwd=place, **account.variables)

    assert sorted(path.name.removesuffix(".graphql.ts") for path in made.iterdir()) == [
        "messagesAgainQuery",
        "messagesDetailQuery",
        "messagesListQuery",
        "messagesPageQuery",
        "messagesSendMutation",
        "messagesSuppressMutation",
        "messages_detail",
        "messages_list",
        "messages_row",
    ]
    assert seen == {
        "kind": "API_KEY",
        "pages": [["5", "4"], ["5", "4", "3", "2"], ["5", "4", "3", "2", "1"]],
        "afterSending": ["6", "5", "4", "3", "2", "1"],
        "again": {
            "row": "6",
            "deliveries": [{"address": "ada@example.net", "state": "QUEUED", "attempts": []}],
        },
        "refused": {"code": "INVALID_INPUT", "field": "to[0]"},
        "suppressed": {"address": "gone@example.net", "reason": "MANUAL", "expiresAt": None},
    }
