"""A page of the documents, read by a program: its commands are run as they stand, in one shell.

Blocks of the language `sh` are run. A block of `json` or `output` says what the command before it
answers, with `...` for what differs from time to time.
"""

import asyncio
import contextlib
import json
import os
import re
import textwrap
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
WITHIN = 90
"""Seconds for one block."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page: its language, and its text without the indentation."""

    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """Return all blocks of docs/*page*, in order."""
    found = BLOCK.findall((DOCS / page).read_text("utf-8"))
    return [Block(language, textwrap.dedent(text)) for _, language, text in found]


def fits(answer: Any, shown: Any) -> bool:
    """Say whether *answer* has what is *shown*; "..." stands for any text."""
    if isinstance(shown, dict):
        return isinstance(answer, dict) and all(
            key in answer and fits(answer[key], value) for key, value in shown.items()
        )
    if isinstance(shown, list):
        return (
            isinstance(answer, list) and len(answer) == len(shown) and all(map(fits, answer, shown))
        )
    return bool(answer == shown or (shown == "..." and isinstance(answer, str) and answer))


def is_shown(printed: str, shown: str) -> bool:
    """Say whether *printed* is what is *shown*, line by line; `...` stands for anything in one."""
    pattern = ".+".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, printed.strip()) is not None


class Shell:
    """One shell, which keeps its variables and functions from block to block."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._blocks = 0

    async def run(self, text: str) -> str:
        """Return what the commands of *text* print; none of them may fail."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        self._blocks += 1
        mark = f"---- end of block {self._blocks} ----\n"
        stdin.write(f"{text}\necho '{mark.strip()}'\n".encode())
        await stdin.drain()
        printed = ""
        try:
            async with asyncio.timeout(WITHIN):
                while not printed.endswith(mark):
                    line = await stdout.readline()
                    assert line, f"it failed:\n{text}\n{printed}"
                    printed += line.decode()
        except TimeoutError:
            raise AssertionError(f"it took longer than {WITHIN} s:\n{text}\n{printed}") from None
        return printed.removesuffix(mark)


@asynccontextmanager
async def shell(folder: Path, **variables: str) -> AsyncIterator[Shell]:
    """Give a shell in *folder* that ends at the first command that fails."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith("POSTLANE_")}
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail"),
        cwd=folder,
        env={**kept, "no_proxy": "*", **variables},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**20,
    )
    try:
        yield Shell(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def replaced(text: str, instead: Mapping[str, str]) -> str:
    """Return *text* with the names that only readers have replaced by ours."""
    for name, ours in instead.items():
        text = text.replace(name, ours)
    return text


async def read(
    page: str, running: Shell, *, instead: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[Block, str]]:
    """Run the page's commands one by one, and yield each with what it printed.

    What the page says about it is compared before the next one runs.
    """
    for command, answers in _commands(page):
        text = replaced(command.text, instead or {})
        printed = await running.run(text)
        for answer in answers:
            if answer.language == "json":
                assert fits(json.loads(printed), json.loads(answer.text)), printed
            else:
                assert is_shown(printed, replaced(answer.text, instead or {})), printed
        yield command, printed


def _commands(page: str) -> Iterator[tuple[Block, list[Block]]]:
    """Yield each command with the blocks behind it that say what it prints."""
    command: Block | None = None
    answers: list[Block] = []
    for block in blocks(page):
        if block.language == "sh":
            if command is not None:
                yield command, answers
            command, answers = block, []
        elif block.language in ("json", "output"):
            assert command is not None, f"nothing comes before {block.text}"
            answers.append(block)
    if command is not None:
        yield command, answers
