"""Processes that run templates in Jinja, kept until one of them is taken down by a template."""

import asyncio
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import msgspec

from ..core.turns import Turns
from .sandbox import (
    TOO_LONG,
    Answer,
    Failure,
    Made,
    Names,
    Request,
)
from .templating import (
    Layer,
    Part,
    Rendered,
    Syntax,
    Unrenderable,
    as_text,
    folded,
    names_in_braces,
    render_braces,
    render_layers,
)

MOST = 2
"""Processes that one of ours keeps: what takes long for one customer holds up the other half."""
PATIENCE_SECONDS = 10.0
"""For the clock on the wall, where a busy machine gives no time to anybody."""
LARGEST_ANSWER = 64 * 2**20
AT_ONCE = 20
"""Recipients in one request."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Answer)


LITTLE = 2**16
"""Characters of sources and values that are filled in at once: it takes less than a thread."""


class _Gone(Exception):
    """The process has ended, or does not answer."""


class _Renderer:
    """One process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # Isolated: nothing of the surroundings is read, least of all secrets.
            [sys.executable, "-I", "-B", "-m", "postlane.mail.sandbox"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={"PATH": os.defpath, "MALLOC_ARENA_MAX": "1"},
            start_new_session=True,
        )

    def ask(self, request: Request, *, seconds: float) -> Answer:
        """Return the answer to *request*.

        Raises:
            _Gone: there is none.
        """
        octets = _encoder.encode(request)
        assert self._process.stdin is not None
        try:
            self._write(len(octets).to_bytes(4, "big") + octets)
        except OSError as error:
            raise _Gone from error
        until = time.monotonic() + seconds
        size = int.from_bytes(self._read(4, until), "big")
        if size > LARGEST_ANSWER:
            raise _Gone
        return _decoder.decode(self._read(size, until))

    def _write(self, octets: bytes) -> None:
        assert self._process.stdin is not None
        view = memoryview(octets)
        while view:
            view = view[os.write(self._process.stdin.fileno(), view) :]

    def _read(self, size: int, until: float) -> bytes:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(pipe, select.POLLIN | select.POLLHUP)
        pieces: list[bytes] = []
        while size:
            left = until - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise _Gone
            piece = os.read(pipe, min(size, 2**20))
            if not piece:
                raise _Gone
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def end(self) -> None:
        """Leave nothing of it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Renderers:
    """A few processes that render, started when they are needed."""

    def __init__(self, most: int = MOST) -> None:
        self._idle: list[_Renderer] = []
        self._lock = threading.Lock()
        # Threads of its own: who waits here takes none away from anybody else.
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="renderer")
        # Nobody has all of them, so that whoever comes with something small finds one.
        self._turns = Turns(most, each=max(1, most - 1))

    async def render(
        self,
        layers: Sequence[Layer],
        values: Sequence[Mapping[str, Any]],
        *,
        owner: Hashable = None,
    ) -> list[Rendered | Unrenderable]:
        """Return what *layers* make of each of *values*, or why nothing comes of it.

        Owners take turns; None takes none, for the caller has seen to that.
        """
        is_braces = all(layer.syntax is Syntax.BRACES for layer in layers)
        if is_braces and _is_little(layers, values):
            # It is done sooner than a turn is taken.
            return [_filled(layers, each) for each in values]
        async with self._turn(owner):
            if is_braces:
                # In a thread of the usual ones: much of it may take seconds.
                return await asyncio.to_thread(lambda: [_filled(layers, each) for each in values])
            return await self._run_all(layers, values)

    async def _run_all(
        self, layers: Sequence[Layer], values: Sequence[Mapping[str, Any]]
    ) -> list[Rendered | Unrenderable]:
        found: list[Rendered | Unrenderable] = []
        for start in range(0, len(values), AT_ONCE):
            some = [dict(each) for each in values[start : start + AT_ONCE]]
            for made in await self._run(Request(list(layers), some)):
                if isinstance(made, Made):
                    found.append(Rendered(made.subject, made.html, made.text))
                else:
                    assert isinstance(made, Failure)
                    found.append(_unrenderable(made))
        return found

    async def names(self, layer: Layer, *, owner: Hashable = None) -> frozenset[str]:
        """Return the names that a layer takes from outside, when it is its owner's turn.

        Raises:
            Unrenderable: it cannot be read.
        """
        if layer.syntax is Syntax.BRACES:
            sources = (layer.source(part) for part in Part)
            return frozenset().union(*(names_in_braces(source or "") for source in sources))
        async with self._turn(owner):
            [found] = await self._run(Request([layer]))
        if isinstance(found, Failure):
            raise _unrenderable(found)
        assert isinstance(found, Names)
        return frozenset(found.names)

    def close(self) -> None:
        """End the processes that wait."""
        self._threads.shutdown()
        while self._idle:
            self._idle.pop().end()

    def _turn(self, owner: Hashable) -> AbstractAsyncContextManager[None]:
        return nullcontext() if owner is None else self._turns.turn(owner)

    async def _run(self, request: Request) -> Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._answer, request)

    def _answer(self, request: Request) -> Answer:
        """Return the answer; whoever took the process down is found by asking one by one."""
        try:
            return self._ask(request)
        except _Gone:
            if request.values is None or len(request.values) == 1:
                return [Failure(Part.HTML, TOO_LONG, True)]
        return [
            each
            for values in request.values
            for each in self._answer(Request(request.layers, [values]))
        ]

    def _ask(self, request: Request) -> Answer:
        with self._lock:
            renderer = self._idle.pop() if self._idle else None
        if renderer is None:
            renderer = _Renderer()
        try:
            found = renderer.ask(request, seconds=PATIENCE_SECONDS + len(request.values or ()))
        except BaseException:
            renderer.end()
            raise
        with self._lock:
            self._idle.append(renderer)
        return found


def _unrenderable(failure: Failure) -> Unrenderable:
    return Unrenderable(failure.part, failure.reason, is_boundless=failure.is_boundless)


def _is_little(layers: Sequence[Layer], values: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether what comes out is short, whatever stands where; layers within layers may grow."""
    if len(values) != 1 or len(layers) != 1:
        return False
    sources = [layers[0].source(part) or "" for part in Part]
    longest = max((len(as_text(each)) for each in values[0].values()), default=0)
    return sum(len(each) + each.count("{{") * longest for each in sources) <= LITTLE


def _filled(layers: Sequence[Layer], values: Mapping[str, Any]) -> Rendered | Unrenderable:
    try:
        return render_layers(layers, folded(values), render_braces)
    except Unrenderable as error:
        return error


RENDERERS = Renderers()
"""This process's."""
