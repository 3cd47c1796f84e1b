"""The page about clients: its examples are run as they stand, and print what it says."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from postlane.domains.tables import Domain
from tests.client import Client
from tests.factories import make_domain
from tests.node import LONGEST_SECONDS, SCHEMA
from tests.parts import NODE, TOOLS, needs_npm_package

from .conftest import Account

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
BLOCK = re.compile(r"^```(js|python|json|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOMAIN = "clients.example"
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { receipt { uuid } } }"


def programs() -> dict[str, tuple[str, str]]:
    """Return the page's programs by the name in their first line: text, and what it prints."""
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))
    found = {}
    for (language, text), (_, shown) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language in ("js", "python"):
            found[text.split("\n")[0].split()[-1]] = (text, shown)
    return found


PROGRAMS = programs()


async def run(name: str, account: Account, client: Client, folder: Path) -> str:
    """Run a program of the page and return what it printed; messages are sent meanwhile."""
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    (folder / name).write_text(PROGRAMS[name][0], "utf-8")
    runner = sys.executable if name.endswith(".py") else str(NODE.path())
    process = await asyncio.create_subprocess_exec(
        *(runner, name),
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "POSTLANE_URL": account.url,
            "POSTLANE_KEY": account.key,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    reading = asyncio.ensure_future(process.communicate())
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            while not reading.done():
                if "follow" in name:
                    await send(account, client, subject="Followed")
                await asyncio.wait([reading], timeout=0.3)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    printed = (await reading)[0].decode()
    assert process.returncode == 0, printed
    return printed


async def send(account: Account, client: Client, *, subject: str) -> None:
    message = {"from": account.sender, "to": ["ada@example.net"], "subject": subject}
    await client.data(SEND, {"input": message | {"text": "Hello."}}, actor=account.actor)


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n.endswith(".mjs")])
@needs_npm_package("@apollo/client")
async def test_the_examples_for_node_print_what_the_page_shows(
    account: Account, client: Client, tmp_path: Path, name: str
) -> None:
    await prepare(account, client, name)

    assert await run(name, account, client, tmp_path) == PROGRAMS[name][1]


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n.endswith(".py")])
async def test_the_examples_for_python_print_what_the_page_shows(
    account: Account, client: Client, tmp_path: Path, name: str
) -> None:
    await prepare(account, client, name)

    assert await run(name, account, client, tmp_path) == PROGRAMS[name][1]


async def prepare(account: Account, client: Client, name: str) -> None:
    """Give the account what the program takes for granted."""
    if name in ("apollo.mjs", "send.py"):
        # A verified domain has one owner; each example has an organization of its own.
        await Domain.delete().where(Domain.name == DOMAIN)
        await make_domain(account.organization.id, name=DOMAIN)
    if name == "urql.mjs":
        for subject in ("1001", "1002", "1003"):
            await send(account, client, subject=subject)


@pytest.mark.parametrize("name", ["relay/relay.config.json", "codegen/codegen.json"])
def test_the_configurations_are_those_that_are_tested(name: str) -> None:
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))

    assert ("json", (TOOLS / name).read_text("utf-8")) in blocks


def test_every_scalar_is_told_and_mapped() -> None:
    scalars = re.findall(r"^scalar (\w+)", SCHEMA.read_text("utf-8"), re.MULTILINE)
    page = PAGE.read_text("utf-8")

    assert [name for name in scalars if page.count(f'"{name}": ') != 2] == []
    assert [name for name in scalars if f"`{name}`" not in page] == []
