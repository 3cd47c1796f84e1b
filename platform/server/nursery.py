"""Forks the programs of one machine from a process that has imported what they share.

Three programs that import a schema each would take the memory and the time of three. The
supervisor keeps one *nursery*, a process that does nothing but import and fork, and asks it for
a program over a socket: a JSON object, and beside it the file that its output goes to. The
nursery answers with the program's process id and, when it has ended, with its exit code.

Run as a module this is the nursery itself; `Nursery` is the supervisor's side of it.
"""

import argparse
import asyncio
import contextlib
import errno
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from .faults import CommandFailed
from .launch import LAUNCH, end_with_parent

ENTRY = "postlane.server.cli:run"
"""What a program does, given its arguments; it returns the exit code."""
SHARED = "postlane.server.shared"
"""What is imported before the first program is forked."""
LOOK_SECONDS = 0.1
ASKS_TO_END = (signal.SIGTERM, signal.SIGHUP)


class NurseryClosed(CommandFailed):
    """The nursery ended before it had forked what it was asked for."""


@dataclass(frozen=True, slots=True)
class Forked:
    """A program that was forked: its process id, and its exit code once it has ended."""

    pid: int
    ended: "asyncio.Future[int]"


class Nursery:
    """The supervisor's side: starts the nursery when a program is asked for, and if need be again.

    *entry* is `module:function`, *shared* a module that imports what programs share.
    """

    def __init__(self, *, entry: str = ENTRY, shared: str = SHARED) -> None:
        self._command = [sys.executable, "-P", "-m", __name__, entry, shared]
        self._channel: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._forking = asyncio.Lock()
        self._answer: asyncio.Future[Forked] | None = None
        self._running: dict[int, Forked] = {}
        self._outliving: set[asyncio.Task[None]] = set()

    async def fork(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        output: int,
        niceness: int = 0,
    ) -> Forked:
        """Run a program with *arguments*; what it writes goes to the file *output*.

        Raises:
            NurseryClosed: the nursery itself does not run.
            OSError: there is no room for another process now.
        """
        request = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "niceness": niceness,
        }
        asking = asyncio.create_task(self._ask(request, os.dup(output)))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            # What is forked all the same would be nobody's.
            asking.add_done_callback(_end)
            raise

    async def _ask(self, request: Mapping[str, Any], output: int) -> Forked:
        asked = json.dumps(request).encode() + b"\n"
        try:
            async with self._forking:
                channel = await self._ensure()
                loop = asyncio.get_running_loop()
                self._answer = loop.create_future()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    # The file goes with the first byte; a socket may not take all of the rest at
                    # once.
                    socket.send_fds(channel, [asked[:1]], [output])
                    await loop.sock_sendall(channel, asked[1:])
                return await self._answer
        finally:
            os.close(output)

    async def stop(self) -> None:
        """End the nursery; programs that still run are asked to end by the kernel."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        if self._listening is not None:
            await self._listening

    async def _ensure(self) -> socket.socket:
        if self._channel is not None and self._listening and not self._listening.done():
            return self._channel
        ours, theirs = socket.socketpair()
        launch = [sys.executable, "-I", str(LAUNCH), "--parent", str(os.getpid())]
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(*launch, "--signal", "SIGKILL", "--", *self._command),
                stdin=theirs.fileno(),
                stdout=sys.stderr,
                start_new_session=True,
            )
        ours.setblocking(False)
        self._channel = ours
        self._listening = asyncio.create_task(self._listen(ours))
        return ours

    async def _listen(self, channel: socket.socket) -> None:
        """Hear what the nursery says until it has gone, and its programs with it."""
        with channel:
            async for event in _events(channel):
                if "fault" in event:
                    self._answered(OSError(event["fault"], os.strerror(event["fault"])))
                elif "code" in event:
                    self._running.pop(event["pid"]).ended.set_result(event["code"])
                else:
                    forked = Forked(event["pid"], asyncio.get_running_loop().create_future())
                    self._running[forked.pid] = forked
                    self._answered(forked)
        self._answered(
            NurseryClosed("Postlane's programs cannot be started; the lines above say why.")
        )
        # The kernel asks them to end. How they do, nobody hears; when, has to be looked at: what
        # takes their places would find their ports taken.
        for forked in self._running.values():
            task = asyncio.create_task(_outlive(forked))
            self._outliving.add(task)
            task.add_done_callback(self._outliving.discard)
        self._running.clear()

    def _answered(self, answer: "Forked | Exception") -> None:
        if self._answer is None or self._answer.done():
            return
        if isinstance(answer, Forked):
            self._answer.set_result(answer)
        else:
            self._answer.set_exception(answer)


async def _outlive(forked: Forked) -> None:
    while _is_alive(forked.pid):  # noqa: ASYNC110 it is another process's
        await asyncio.sleep(LOOK_SECONDS)
    forked.ended.set_result(-signal.SIGTERM)


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _end(asking: "asyncio.Task[Forked]") -> None:
    if not asking.cancelled() and asking.exception() is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(asking.result().pid, signal.SIGTERM)


async def _events(channel: socket.socket) -> AsyncIterator[dict[str, int]]:
    loop, rest = asyncio.get_running_loop(), b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := await loop.sock_recv(channel, 4096):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)


def main() -> int:
    """Import what is shared, then fork what is asked for on standard input until it ends."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("entry")
    parser.add_argument("shared")
    given = parser.parse_args()
    # Ctrl-C, a terminal that closes and a service manager that signals every process mean the
    # supervisor; were this to go first, nobody would hear how the programs ended.
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    importlib.import_module(given.shared)
    nursery = os.getpid()
    asked = _serve(socket.socket(fileno=os.dup(0)))
    return 0 if asked is None else _become(given.entry, *asked, parent=nursery)


def _serve(channel: socket.socket) -> tuple[dict[str, Any], int] | None:
    """Fork until the supervisor is gone; in a fork, return what it is to become."""
    woken, waking = socket.socketpair()
    woken.setblocking(False)
    waking.setblocking(False)
    signal.set_wakeup_fd(waking.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with channel, woken, waking, selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                with contextlib.suppress(BlockingIOError):
                    woken.recv(4096)
                _tell_of_the_ended(channel)
            if channel in ready:
                asked = _read(channel)
                if asked is None:
                    return None
                if asked[1] < 0:
                    _tell(channel, fault=errno.EMFILE)
                    continue
                # Ignored here, what asks a program to end would be lost if it came between the
                # fork and the program's own handlers; blocked, it waits.
                signal.pthread_sigmask(signal.SIG_BLOCK, ASKS_TO_END)
                pid = _fork(channel)
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    return asked
                signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKS_TO_END)
                os.close(asked[1])


def _fork(channel: socket.socket) -> int | None:
    """Fork, and tell the supervisor whom; None if there is no room for another process."""
    try:
        pid = os.fork()
    except OSError as error:
        # Those that run are to run on.
        _tell(channel, fault=error.errno or errno.EAGAIN)
        return None
    if pid:
        _tell(channel, pid=pid)
    return pid


def _read(channel: socket.socket) -> tuple[dict[str, Any], int] | None:
    first, files, _, _ = socket.recv_fds(channel, 1, 1)
    if not first:
        return None
    # The supervisor asks for one program, and waits for the answer.
    with channel.makefile("rb") as lines:
        return json.loads(first + lines.readline()), files[0] if files else -1


def _tell(channel: socket.socket, **event: int) -> None:
    channel.sendall(json.dumps(event).encode() + b"\n")


def _tell_of_the_ended(channel: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            _tell(channel, pid=pid, code=code)


def _become(entry: str, request: dict[str, Any], output: int, *, parent: int) -> int:
    """Be the program that was asked for, as if it had been started by itself."""
    # Imported here: the supervisor forks nothing itself.
    from setproctitle import setproctitle

    # Ctrl-C in a terminal goes to every process of the group; the order in which the parts
    # stop is the supervisor's to choose.
    os.setsid()
    for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKS_TO_END)
    end_with_parent(signal.SIGTERM, parent=parent)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for file, standard in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(file, standard)
    os.close(nothing)
    os.close(output)
    os.nice(request["niceness"])
    arguments: list[str] = request["arguments"]
    sys.argv = ["postlane", *arguments]
    # Before the environment is replaced, by whose place it finds that of the title.
    setproctitle(" ".join(sys.argv))
    os.environ.clear()
    os.environ.update(request["environment"])
    module, _, function = entry.partition(":")
    code: int = getattr(importlib.import_module(module), function)(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
