"""`postlane up --demo`: what `make run` does, twice."""

import asyncio
import json
import re
import stat
import time
from pathlib import Path

import httpx
import pytest

from tests.server.commands import environment, postlane_command
from tests.server.running import Up, free_port

pytestmark = pytest.mark.slow
START_SECONDS = 60.0
"""From the command to the summary; installing comes before it, three minutes are for both."""


async def summary_of(up: Up) -> str:
    for _ in range(600):
        if b"Ctrl-C stops Postlane." in up.out:
            return up.out.decode()
        await asyncio.sleep(0.1)
    raise AssertionError(up.log.decode())


def line_of(summary: str, name: str) -> str:
    [found] = re.findall(rf"^  {re.escape(name)} +(.*)$", summary, re.MULTILINE)
    return found


async def test_the_demonstration_sends_a_real_message_and_keeps_what_it_made(
    tmp_path: Path,
) -> None:
    up = Up(tmp_path / "var")

    began = time.monotonic()
    await up.start("--demo")
    first = await summary_of(up)
    took = time.monotonic() - began
    key = line_of(first, "API key")
    async with httpx.AsyncClient(base_url=up.url, trust_env=False) as client:
        message_id = line_of(first, "Sent").split()[1]
        shown = await client.get(
            f"/api/v1/messages/{message_id}", headers={"Authorization": f"Bearer {key}"}
        )
    assert await up.stop() == 0
    up.out = b""
    await up.start("--demo")
    second = await summary_of(up)
    assert await up.stop() == 0

    assert took < START_SECONDS
    assert line_of(first, "Outcome").startswith("you@inbox.postlane.test: delivered after ")
    assert line_of(first, "SMTP reply").startswith("250 ")
    assert line_of(first, "DKIM").startswith(
        "pass (d=demo.postlane.test, s=pmta; verified by dkimpy"
    )
    assert shown.json()["status"] == "delivered"
    assert line_of(second, "Sign-in") == line_of(first, "Sign-in")
    assert line_of(second, "API key") == key
    assert line_of(second, "Sent") != line_of(first, "Sent")
    kept = tmp_path / "var" / "demo.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text())["api_key"] == key


async def test_a_sign_in_that_the_database_does_not_know_is_a_sentence(tmp_path: Path) -> None:
    kept = {"email": "a@b.example", "password": "x", "api_key": "pmta_00000000_unknown"}
    (tmp_path / "demo.json").write_text(json.dumps(kept))
    env = environment(tmp_path, listen=f"127.0.0.1:{free_port()}")

    answer = await postlane_command("up", "--demo", env=env)

    assert answer.code == 1
    assert f"The sign-in in {tmp_path / 'demo.json'} is not known to this database" in answer.err
    assert "Remove the file" in answer.err
    assert "Traceback" not in answer.err


async def test_the_demonstration_refuses_to_send_away(tmp_path: Path) -> None:
    env = environment(tmp_path, delivery="direct", listen="127.0.0.1:0")

    answer = await postlane_command("up", "--demo", env=env)

    assert answer.code == 1
    assert "--demo sends to an address that does not exist" in answer.err
