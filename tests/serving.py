"""A web application on a real socket, served by Granian as in production."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from postlane.server.web import HTTP, HTTP_MODE

SOURCE = str(Path(__file__).resolve().parents[1] / "src")


@dataclass(frozen=True, slots=True)
class Web:
    """One `postlane web` and where it answers."""

    url: str
    process: asyncio.subprocess.Process


@asynccontextmanager
async def web_process(
    database_url: str, *, port: int | None = None, **settings: str
) -> AsyncIterator[str]:
    """Run `postlane web` for the body, with this run's secrets, and give its URL.

    *settings* are those of the product, in lower case.
    """
    async with running_web(database_url, port=port, **settings) as web:
        yield web.url


@asynccontextmanager
async def running_web(
    database_url: str,
    *,
    port: int | None = None,
    program: Sequence[str] = ("-m", "postlane.server.cli", "web"),
    **settings: str,
) -> AsyncIterator[Web]:
    """Do the same, and give the process, too; *program* is what Python is to run."""
    port = port or free_port()
    given = {
        "database_url": database_url,
        "listen": f"127.0.0.1:{port}",
        "web_workers": "1",
        "log_level": "warning",
        "log_format": "text",
    } | settings
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", *program),
        env={
            **os.environ,
            "PYTHONPATH": SOURCE,
            **{f"POSTLANE_{name.upper()}": value for name, value in given.items()},
        },
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        await _listening(port, within=120)
        yield Web(f"http://127.0.0.1:{port}", process)
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 60)


@asynccontextmanager
async def served(app: Any, *, http: HTTP1Settings = HTTP) -> AsyncIterator[str]:
    """Serve *app* on a free port of the loopback interface, and give its URL."""
    port = free_port()
    server = Server(
        app,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        http=HTTP_MODE,
        http1_settings=http,
        websockets=True,
        log_level=LogLevels.error,
    )
    running = asyncio.create_task(server.serve())
    try:
        await _listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        await running


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def _listening(port: int, *, within: float = 5) -> None:
    for _ in range(int(within / 0.05)):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise TimeoutError("the server did not start to listen")
