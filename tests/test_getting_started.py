"""The page for those who begin: its commands are run as they stand, and answer as they say."""

import asyncio
import json
import os
import re
import textwrap
from pathlib import Path
from typing import Any

from postlane.server.app import build_app
from tests.factories import make_api_key, make_domain, make_organization
from tests.parts import CURL, needs
from tests.serving import served

PAGE = Path(__file__).resolve().parents[1] / "docs" / "getting-started.md"
BLOCK = re.compile(r"^( *)```(sh|json)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
MARK = "---- end of block ----"


def blocks() -> list[tuple[str, str]]:
    """Return the page's blocks that are run or compared: their language and text."""
    found = BLOCK.findall(PAGE.read_text("utf-8"))
    return [(language, textwrap.dedent(text)) for _, language, text in found]


def fits(answer: Any, shown: Any) -> bool:
    """Say whether *answer* has what is *shown*; "..." stands for any text."""
    if isinstance(shown, dict):
        return isinstance(answer, dict) and all(
            key in answer and fits(answer[key], value) for key, value in shown.items()
        )
    if isinstance(shown, list):
        return len(answer) == len(shown) and all(map(fits, answer, shown))
    return bool(answer == shown or (shown == "..." and isinstance(answer, str) and answer))


async def run_shell(script: str, folder: Path, **variables: str) -> str:
    """Run *script* in a shell of its own, and return what it printed; it must not fail."""
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        cwd=folder,
        env={"PATH": os.environ["PATH"], **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(shell.communicate(), 60)
    assert shell.returncode == 0, printed.decode()
    return printed.decode()


@needs(CURL)
async def test_every_command_does_what_the_page_shows(database: None, tmp_path: Path) -> None:
    commands = [text for language, text in blocks() if language == "sh"]
    script = "".join(f"{text}\necho '{MARK}'\n" for text in commands)

    async with served(build_app(opens_pool=False)) as url:
        printed = await run_shell(script, tmp_path, URL=url)

    outputs = iter(printed.split(f"{MARK}\n"))
    output = ""
    for language, text in blocks():
        if language == "sh":
            output = next(outputs)
        else:
            assert fits(json.loads(output), json.loads(text)), output


@needs(CURL)
async def test_the_first_request_of_the_front_page_sends(database: None, tmp_path: Path) -> None:
    organization = await make_organization()
    made = await make_api_key(organization)
    await make_domain(organization.id, name="demo.postlane.test")
    text = (PAGE.parents[1] / "README.md").read_text("utf-8")
    (command,) = re.findall(r"^(curl .*?)^```$", text, re.MULTILINE | re.DOTALL)

    async with served(build_app(opens_pool=False)) as url:
        command = command.replace("http://127.0.0.1:8000", url).replace("curl ", "curl -sS ", 1)
        printed = await run_shell(command, tmp_path, KEY=made.secret)

    assert fits(json.loads(printed), {"mode": "live", "accepted": 1, "status": "queued"}), printed
