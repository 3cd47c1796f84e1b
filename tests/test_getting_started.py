"""The page for those who begin: its commands are run as they stand, and answer as they say."""

import asyncio
import json
import os
import re
import textwrap
from pathlib import Path
from typing import Any

from postlane.server.app import build_app
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


@needs(CURL)
async def test_every_command_does_what_the_page_shows(database: None, tmp_path: Path) -> None:
    commands = [text for language, text in blocks() if language == "sh"]
    script = "set -euo pipefail\n" + "".join(f"{text}\necho '{MARK}'\n" for text in commands)

    async with served(build_app(opens_pool=False)) as url:
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-c", script),
            cwd=tmp_path,
            env={"URL": url, "PATH": os.environ["PATH"]},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await asyncio.wait_for(shell.communicate(), 60)

    assert shell.returncode == 0, printed.decode()
    outputs = iter(printed.decode().split(f"{MARK}\n"))
    output = ""
    for language, text in blocks():
        if language == "sh":
            output = next(outputs)
        else:
            assert fits(json.loads(output), json.loads(text)), output
