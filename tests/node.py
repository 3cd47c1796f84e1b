"""Programs of `tests/tools`, run by Node: what others wrote, used as an application uses it."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

from .parts import NODE, TOOLS

SCHEMA = Path(__file__).resolve().parents[1] / "platform" / "graphql" / "schema.graphql"
LONGEST_SECONDS = 60.0


async def run_node(*command: str | Path, cwd: Path = TOOLS, **variables: str) -> str:
    """Run Node with *command* and return what it printed; it must end well.

    *variables* are added to its environment, which has nothing else but a path.
    """
    process = await asyncio.create_subprocess_exec(
        str(NODE.path()),
        *map(str, command),
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **variables},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        printed, complaints = await asyncio.wait_for(process.communicate(), LONGEST_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{printed.decode()}\n{complaints.decode()}"
    return printed.decode()


async def json_of_node(*command: str | Path, cwd: Path = TOOLS, **variables: str) -> Any:
    """Run Node with *command* and return the JSON that it printed."""
    return json.loads(await run_node(*command, cwd=cwd, **variables))


def copied(name: str, folder: Path) -> Path:
    """Copy the programs of `tests/tools/<name>` and our schema, to build something there.

    What is built beside them finds the installed packages, and the project stays clean.
    """
    place = folder / name
    shutil.copytree(TOOLS / name, place)
    shutil.copy(SCHEMA, place / SCHEMA.name)
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    (folder / "package.json").write_text("{}")
    return place
