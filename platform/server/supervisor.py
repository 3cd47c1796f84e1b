"""Keeps programs running: starts them, starts them again when they end, stops them in order."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..core.logs import JsonFormatter
from .nursery import Forked, Nursery

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
STEADY_SECONDS = 20.0
"""A part that ran this long is not failing at its start: the next wait is the first again."""
LONGEST_LINE_BYTES = 1 << 20


class Part(Protocol):
    """Something that is started, ends some time, and can be stopped."""

    name: str

    async def start(self) -> None:
        """Start it, and return once it runs."""

    async def wait(self) -> int:
        """Return its exit code, negative for a signal, once it has ended."""

    async def stop(self) -> None:
        """Ask it to finish, and return once it has ended."""

    def kill(self) -> None:
        """End it at once."""


class Program:
    """A command of ours as a part; its lines come out on our standard error.

    They are prefixed with its name for people, and each a JSON object for programs.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        nursery: Nursery,
        environment: dict[str, str],
        patience_seconds: float,
        prefixed: bool,
        niceness: int = 0,
    ) -> None:
        self.name = name
        self._arguments = list(arguments)
        self._nursery = nursery
        self._environment = environment
        self._patience = patience_seconds
        self._prefix = f"{name:8} | ".encode() if prefixed else b""
        self._niceness = niceness
        self._process: Forked | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the program, so that it ends with this process."""
        ours, theirs = os.pipe()
        lines = asyncio.StreamReader(limit=LONGEST_LINE_BYTES)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(ours, "rb", buffering=0)
        )
        self._reader = asyncio.create_task(self._pass_on(lines))
        try:
            self._process = await self._nursery.fork(
                self._arguments,
                environment=self._environment,
                output=theirs,
                niceness=self._niceness,
            )
        finally:
            os.close(theirs)

    async def wait(self) -> int:
        """Return its exit code once it has ended, and its last lines are out."""
        assert self._process is not None
        assert self._reader is not None
        code = await asyncio.shield(self._process.ended)
        # What it started may outlive it and hold the pipe open.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._reader, 1)
        return code

    async def stop(self) -> None:
        """Ask it to finish; after its time is up, end it and all that it started."""
        if self._process is None or self._process.ended.done():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(self._process.ended), self._patience)
        except TimeoutError:
            log.warning("%s did not finish within %g seconds", self.name, self._patience)
            self.kill()
            await asyncio.shield(self._process.ended)

    def kill(self) -> None:
        """End it and all that it started, at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _pass_on(self, lines: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await lines.readline()
            except ValueError:  # a line beyond the limit; what was read of it is dropped
                continue
            if not line:
                return
            sys.stderr.buffer.write(self._shown(line))
            sys.stderr.buffer.flush()

    def _shown(self, line: bytes) -> bytes:
        if self._prefix:
            return self._prefix + line
        if line.startswith(b"{"):
            return line
        # What was not logged but printed, a stack trace above all, among lines that are JSON.
        record = logging.LogRecord(self.name, logging.INFO, "", 0, "%s", (), None)
        record.args = (line.decode("utf-8", "replace").rstrip("\n"),)
        return JsonFormatter().format(record).encode() + b"\n"


@dataclass
class _Watch:
    part: Part
    task: "asyncio.Task[None]"


class Supervisor:
    """Runs parts until it is stopped; the last one added is stopped first."""

    def __init__(self) -> None:
        self._watches: list[_Watch] = []
        self.restarts: dict[str, int] = {}

    async def add(self, part: Part, *, after: Callable[[], Awaitable[None]] | None = None) -> None:
        """Start *part* and keep it running; *after* is called whenever it has been restarted.

        What the first start raises is raised; later ones are tried again and logged.
        """
        await part.start()
        self.restarts[part.name] = 0
        self._watches.append(_Watch(part, asyncio.create_task(self._keep(part, after))))

    async def stop(self) -> None:
        """Stop every part, one after the other, the last added first."""
        while self._watches:
            watch = self._watches.pop()
            # First the watching, then the part: its end must not look like a failure.
            watch.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch.task
            log.info("stopping %s", watch.part.name)
            try:
                await watch.part.stop()
            except asyncio.CancelledError:
                self._watches.append(watch)
                raise

    def kill(self) -> None:
        """End every part that has not been stopped, at once."""
        for watch in reversed(self._watches):
            watch.task.cancel()
            watch.part.kill()

    async def _keep(self, part: Part, after: Callable[[], Awaitable[None]] | None) -> None:
        wait = FIRST_WAIT_SECONDS
        while True:
            started = time.monotonic()
            code = await part.wait()
            if time.monotonic() - started > STEADY_SECONDS:
                wait = FIRST_WAIT_SECONDS
            while True:
                log.warning("%s %s; starting it again in %g s", part.name, how(code), wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
                try:
                    await part.start()
                except Exception as error:  # an edge: the next try may succeed
                    log.error("%s does not start: %s", part.name, error)
                else:
                    break
            self.restarts[part.name] += 1
            if after is not None:
                await after()


def how(code: int) -> str:
    """Say how a process ended, from its exit code."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
