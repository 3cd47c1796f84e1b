"""GraphQL-ESLint's rules for Relay find nothing in the committed schema."""

from pathlib import Path

import pytest

from tests.node import SCHEMA, run_node
from tests.parts import TOOLS, needs_npm_package

ESLINT = TOOLS / "node_modules" / "eslint" / "bin" / "eslint.js"

pytestmark = needs_npm_package("@graphql-eslint/eslint-plugin")


async def lint(schema: Path) -> str:
    """Return the complaints about *schema*, none as an empty text."""
    config = TOOLS / "eslint" / "config.mjs"
    arguments = ("--no-config-lookup", "--config", config, schema)
    return await run_node(ESLINT, *arguments, cwd=schema.parent, SCHEMA=str(schema))


@pytest.mark.slow
async def test_the_schema_keeps_relays_rules() -> None:
    assert await lint(SCHEMA) == ""


@pytest.mark.parametrize(
    ("written", "instead", "rule"),
    [
        ("  pageInfo: PageInfo!", "  page: PageInfo!", "relay-connection-types"),
        ("  node: Domain!", "  node: [Domain!]!", "relay-edge-types"),
        ("  cursor: String!", "  position: String!", "relay-edge-types"),
        ("  hasNextPage: Boolean!", "  hasNextPage: Boolean", "relay-page-info"),
        ("    first: Int = null", "    first: String = null", "relay-arguments"),
    ],
)
async def test_the_rules_are_looked_at(
    tmp_path: Path, written: str, instead: str, rule: str
) -> None:
    broken = tmp_path / "schema.graphql"
    broken.write_text(SCHEMA.read_text("utf-8").replace(written, instead), "utf-8")

    with pytest.raises(AssertionError, match=rule):
        await lint(broken)
