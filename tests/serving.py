"""A web application on a real socket, served by Granian as in production."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serve *app* on a free port of the loopback interface, and give its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    server = Server(
        app,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        websockets=False,
        log_level=LogLevels.error,
    )
    running = asyncio.create_task(server.serve())
    try:
        await _listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        await running


async def _listening(port: int) -> None:
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise TimeoutError("the server did not start to listen")
