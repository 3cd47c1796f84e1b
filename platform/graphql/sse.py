"""Answers as server-sent events, each operation on a connection of its own.

What is wrong with a document is an event, too: a browser's `EventSource` shows the body of no
other answer. A stream that ends without `complete` was cut off, and the client comes again.

Source: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from litestar.types import Receive, Send

from ..core.errors import OperationError
from ..events.feed import FeedClosed
from .errors import Refusal, refuse, refuse_bug

log = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"
ALIVE_SECONDS = 15.0
"""After so long without an event a comment is sent, for proxies and to see who is gone."""
SEND_SECONDS = 10.0
"""How long a client may take to read one event while nothing of it gets through."""
HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class EventStream:
    """One answer, event by event."""

    def __init__(self, send: Send, receive: Receive, *, send_seconds: float = SEND_SECONDS) -> None:
        self._raw_send: Any = send
        self._receive = receive
        self._send_seconds = send_seconds
        self._sending = asyncio.Lock()

    async def run(
        self,
        bodies: AsyncIterator[dict[str, Any]],
        headers: Sequence[tuple[bytes, bytes]],
        request_id: str,
    ) -> None:
        """Send each body as it comes, until there are no more or the client is gone."""
        await self._raw_send(
            {"type": "http.response.start", "status": 200, "headers": [*HEADERS, *headers]}
        )
        # Sent at once: the client learns that it is connected before anything happens.
        tasks = [
            asyncio.create_task(self._events(bodies, request_id)),
            asyncio.create_task(self._disconnected()),
            asyncio.create_task(self._stay_alive()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, TimeoutError):
                log.error("a stream of events failed", exc_info=error)
        await self._write(b"", is_last=True)

    async def _events(self, bodies: AsyncIterator[dict[str, Any]], request_id: str) -> None:
        try:
            async with aclosing(bodies) as each:  # type: ignore[type-var]
                async for body in each:
                    await self._event(b"next", msgspec.json.encode(body))
        except FeedClosed:
            return
        except TimeoutError:
            raise
        except OperationError as error:
            await self._refusal(refuse(error), request_id)
        except Exception as error:  # an edge: nothing but a masked answer leaves
            await self._refusal(refuse_bug(error, request_id=request_id), request_id)
        await self._event(b"complete", b"")

    async def _refusal(self, refusal: Refusal, request_id: str) -> None:
        await self._event(b"next", msgspec.json.encode({"errors": [refusal.formatted(request_id)]}))

    async def _event(self, name: bytes, data: bytes) -> None:
        # JSON holds no line breaks as we write it.
        await self._write(b"event: %s\ndata: %s\n\n" % (name, data))

    async def _stay_alive(self) -> None:
        await self._write(b":\n\n")
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            await self._write(b":\n\n")

    async def _disconnected(self) -> None:
        while True:
            event: Any = await self._receive()
            if event["type"] == "http.disconnect":
                return

    async def _write(self, data: bytes, *, is_last: bool = False) -> None:
        async with self._sending, asyncio.timeout(self._send_seconds):
            await self._raw_send(
                {"type": "http.response.body", "body": data, "more_body": not is_last}
            )
