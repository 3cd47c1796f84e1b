"""What an auditor from outside says of how we speak GraphQL over HTTP."""

import asyncio
import json
from collections.abc import Callable

from postlane.server.app import build_app
from tests.parts import FIGURE, NODE, TOOLS, needs_npm_package
from tests.serving import served


async def nobody(scope: object) -> None:
    return None


@needs_npm_package("graphql-http")
async def test_the_outside_audit_finds_nothing(
    database: None, record_property: Callable[[str, object], None]
) -> None:
    async with served(build_app(authenticate=nobody, opens_pool=False)) as url:
        audit = await asyncio.create_subprocess_exec(
            str(NODE.path()),
            str(TOOLS / "audit.mjs"),
            f"{url}/graphql",
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await audit.communicate()

    found = json.loads(printed)
    assert [entry for entry in found.values() if entry[1] != "ok"] == []
    assert len(found) == 61
    record_property(FIGURE, f"graphql-http audits GraphQL over HTTP: {len(found)} of 61 ok.")
