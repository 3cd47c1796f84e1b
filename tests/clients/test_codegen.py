"""GraphQL Code Generator makes types of the schema that TypeScript takes and that are true."""

from pathlib import Path

import pytest

from tests.node import copied, json_of_node, run_node
from tests.parts import TOOLS, needs_npm_package

from .conftest import Account

TYPESCRIPT = TOOLS / "node_modules" / "typescript" / "bin" / "tsc"


@pytest.mark.slow
@needs_npm_package("@graphql-codegen/core")
async def test_generated_types_compile_and_say_what_the_server_does(
    account: Account, tmp_path: Path
) -> None:
    place = copied("codegen", tmp_path)

    await run_node("generate.mjs", cwd=place)
    await run_node(TYPESCRIPT, "--project", ".", cwd=place)
    seen = await json_of_node("built/use.js", cwd=place, **account.variables)

    assert seen == {
        "scalars": [True] * 6,
        "recipients": ["TO"],
        "subject": "Typed",
        "metadata": {"order": "1001"},
        "isNumber": True,
        "isTime": True,
        "total": 1,
    }
