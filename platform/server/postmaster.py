"""What the file postmaster.pid says, and ending a server that nobody supervises."""

import asyncio
import contextlib
import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A server process as its lock file describes it."""

    pid: int
    socket_folder: Path | None

    def alive(self, folder: Path) -> bool:
        """Say whether that process runs and is the server of *folder*.

        After a reboot or in a container the number may be another program's by now.
        """
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            command = process.cmdline()
        except psutil.Error:
            return False
        return bool(command) and "postgres" in Path(command[0]).name and str(folder) in command


def read_postmaster(folder: Path) -> Postmaster | None:
    """Return what postmaster.pid in *folder* says; None if it is absent or half written.

    Source: https://www.postgresql.org/docs/18/storage-file-layout.html
    """
    try:
        lines = (folder / "postmaster.pid").read_text("utf-8").splitlines()
        pid = int(lines[0])
    except (OSError, ValueError, IndexError):
        return None
    sockets = Path(lines[4].strip()) if len(lines) > 4 and lines[4].strip() else None
    return Postmaster(pid, sockets)


async def end_leftover(folder: Path) -> None:
    """Stop the server that runs in *folder*, if any, and remove a lock file that lies.

    To be called by whoever holds the data directory: a server that runs in it has lost
    its supervisor.
    """
    found = read_postmaster(folder)
    if found is not None:
        for ending in (signal.SIGINT, signal.SIGQUIT):
            if not found.alive(folder):
                break
            log.info("stopping the database that an earlier process left behind")
            with contextlib.suppress(ProcessLookupError):
                os.kill(found.pid, ending)
            await _gone(found, folder)
    with contextlib.suppress(FileNotFoundError):
        (folder / "postmaster.pid").unlink()


async def _gone(found: Postmaster, folder: Path) -> None:
    for _ in range(int(PATIENCE_SECONDS / 0.05)):
        if not found.alive(folder):
            return
        await asyncio.sleep(0.05)
