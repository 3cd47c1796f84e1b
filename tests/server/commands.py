"""Runs `postlane` as people do: as a process of its own, with an environment of its own."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import postlane.server.cli

SOURCE = str(Path(postlane.server.cli.__file__).resolve().parents[2] / "src")


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """Return an environment with no setting of ours but the data directory and *settings*.

    Nothing takes mail over SMTP unless they say where: tests run side by side.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTLANE_")}
    settings = {"smtp_listen": "", "inbound_listen": ""} | settings
    given = {f"POSTLANE_{name.upper()}": value for name, value in settings.items()}
    return {**kept, "PYTHONPATH": SOURCE, "POSTLANE_DATA_DIR": str(data_dir), **given}


def put_program(folder: Path) -> str:
    """Put a program `postlane` into *folder*, and return a PATH that finds it."""
    program = folder / "postlane"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m postlane.server.cli "$@"\n')
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


async def start(*arguments: str, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    """Start a command and return its process."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "postlane.server.cli",
        *arguments,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def postlane_command(
    *arguments: str, env: Mapping[str, str], timeout: float = 60
) -> Finished:
    """Run a command to its end."""
    process = await start(*arguments, env=env)
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout)
    except TimeoutError:
        process.send_signal(signal.SIGTERM)
        out, err = await process.communicate()
        raise AssertionError(f"{arguments} took longer than {timeout} s: {err.decode()}") from None
    assert process.returncode is not None
    return Finished(process.returncode, out.decode(), err.decode())
