"""The page about webhooks: its receivers take what is genuine, and its documents fit."""

import asyncio
import os
import re
import sys
from pathlib import Path

import httpx
import pytest
from graphql import parse, validate

from postlane.graphql.payloads import stored_document
from postlane.graphql.schema import CORE
from postlane.webhooks import postal
from postlane.webhooks.rules import LARGEST_BODY, MAX_GRACE, WAITS
from tests.parts import NODE, TOOLS, needs_npm_package

from .conftest import Hooks
from .receiver import ADDRESS, HOST

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
RECEIVERS = {kind: text for kind, text in BLOCKS if kind in ("python", "js")}


def free_port() -> int:
    import socket

    with socket.create_server((ADDRESS, 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "kind", ["python", pytest.param("js", marks=needs_npm_package("standardwebhooks"))]
)
@pytest.mark.usefixtures("server")
async def test_the_receivers_take_what_is_genuine_and_nothing_else(
    hooks: Hooks, tmp_path: Path, kind: str
) -> None:
    port = free_port()
    webhook = await hooks.create(f"http://{HOST}:{port}/hooks", "vmta.*")
    (tmp_path / "node_modules").symlink_to(TOOLS / "node_modules")
    program = tmp_path / ("receiver.py" if kind == "python" else "receiver.mjs")
    # Only where it listens is another one: the tests allow one address inside.
    program.write_text(RECEIVERS[kind].replace('"127.0.0.1"', f'"{ADDRESS}"'), "utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable if kind == "python" else str(NODE.path()), str(program)),
        env={"PATH": os.environ["PATH"], "WEBHOOK_SECRET": hooks.secret, "PORT": str(port)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        await _until_listening(port)
        async with httpx.AsyncClient(trust_env=False) as client:
            forged = await client.post(
                f"http://{ADDRESS}:{port}/hooks",
                json={"id": "1", "type": "vmta.paused", "data": {}},
                headers={
                    "webhook-id": "1",
                    "webhook-timestamp": "1780000000",
                    "webhook-signature": "v1,AAAA",
                },
            )
        await hooks.emit("tx-1")
        await hooks.round()
        printed = await asyncio.wait_for(process.stdout.readline(), 10)
    finally:
        process.kill()
        await process.wait()

    (call,) = await hooks.calls(webhook)
    assert forged.status_code == 401
    assert (call["state"], call["attempts"][0]["status"]) == ("DELIVERED", 204)
    assert printed.startswith(b"vmta.paused")
    assert b"tx-1" in printed


async def _until_listening(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection(ADDRESS, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise AssertionError("the receiver does not listen")


async def test_the_documents_fit_the_schema(hooks: Hooks) -> None:
    documents = [text for kind, text in BLOCKS if kind == "graphql"]

    assert len(documents) == 4
    assert all(validate(CORE, parse(text)) == [] for text in documents)
    assert stored_document(hooks.actor, documents[2]) is not None


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    written = "5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h"

    assert written in PAGE
    assert [wait.total_seconds() for wait in WAITS] == [5, 300, 1800, 7200, 18000, 36000, 36000]
    assert "2, 3, 6, 10 and 15 minutes" in PAGE
    assert [wait.total_seconds() / 60 for wait in postal.WAITS] == [2, 3, 6, 10, 15]
    assert (MAX_GRACE.days, LARGEST_BODY) == (7, 262_144)
