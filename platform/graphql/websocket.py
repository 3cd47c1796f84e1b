"""`/graphql` over WebSocket, by the protocol `graphql-transport-ws`.

The older protocol of the name `graphql-ws` is not spoken: it lets a client act before it has
signed in.

Source: https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md
"""

import asyncio
import logging
import uuid
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import msgspec
from litestar.types import HTTPScope, Receive, Send

from ..core.actor import Actor
from ..core.errors import NotAuthenticated, OperationError
from ..core.logs import bound
from ..core.reaching import is_unreachable
from ..events.feed import FeedClosed
from .answers import Authenticate, Meter, body_of, check_rate, counted, wanted
from .context import Context
from .documents import DocumentRefused, Documents
from .errors import Refusal, refuse, refuse_bug
from .execute import Result, run
from .live import CHECK_SECONDS, PLACES, Credential, Places, TooManySubscriptions, subscribe
from .request import GraphQLRequest, HttpRefusal, request_of

log = logging.getLogger(__name__)

PROTOCOL = "graphql-transport-ws"
INIT_CHARACTERS = 16_384
CHARACTERS = 2**20
"""Of one message."""
OPERATIONS = 50
"""Operations of one connection at a time."""
MESSAGES = 500
"""Messages that a client may send in `MESSAGES_SECONDS`."""
MESSAGES_SECONDS = 10.0
PER_PROCESS = 2_000
"""Connections of one process: about half of those it can have, so that requests get through."""
CONNECTIONS = 50
"""Of one credential, in one process."""
LONGEST_ID = 255
LONGEST_REASON = 123
"""Bytes of the reason in a close frame (RFC 6455 section 5.5)."""

BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
SUBPROTOCOL_NOT_ACCEPTABLE = 4406
TIMEOUT = 4408
SUBSCRIBER_EXISTS = 4409
TOO_MANY_REQUESTS = 4429
INTERNAL = 4500
TOO_BIG = 1009
GOING_AWAY = 1001
TRY_AGAIN_LATER = 1013


class Closing(Exception):
    """The connection is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class Gone(Exception):
    """The client is."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for a client, and for how many."""

    init_seconds: float = 5.0
    """Until it has asked to sign in."""
    ping_seconds: float = 15.0
    """Between two pings; a client that has said nothing for twice as long is gone."""
    send_seconds: float = 10.0
    """Until it has taken one message."""
    connections: int = PER_PROCESS
    """How many clients there may be."""


PATIENCE = Patience()


class GraphQLOverWebSocket:
    """The ASGI application behind `/graphql` for WebSockets."""

    def __init__(
        self,
        authenticate: Authenticate,
        documents: Documents,
        *,
        meter: Meter | None = None,
        origins: frozenset[str] = frozenset(),
        patience: Patience = PATIENCE,
    ) -> None:
        self.authenticate = authenticate
        self.documents = documents
        self.meter = meter
        self.origins = origins
        self.patience = patience
        self.places = Places(CONNECTIONS)
        self.credentials: WeakValueDictionary[tuple[Any, ...], Credential] = WeakValueDictionary()
        """What clients signed in with: those who sent the same are asked about once for all."""
        self._open: set[Connection] = set()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one connection until one of the two sides ends it."""
        await receive()
        if not self._may_connect(scope):
            # Refused before it is accepted, which the server says as 403.
            await send({"type": "websocket.close", "code": FORBIDDEN, "reason": "Origin"})
            return
        if PROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
            reason = f"Subprotocol not acceptable: ask for {PROTOCOL}"
            await send(
                {"type": "websocket.close", "code": SUBPROTOCOL_NOT_ACCEPTABLE, "reason": reason}
            )
            return
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL, "headers": []})
        if len(self._open) >= self.patience.connections:
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": "Full"})
            return
        connection = Connection(self, scope, receive, send)
        self._open.add(connection)
        try:
            await connection.serve()
        finally:
            self._open.discard(connection)

    async def leave(self) -> None:
        """Ask every client to come back to another process."""
        await asyncio.gather(
            *(each.close(GOING_AWAY, "Going away") for each in list(self._open)),
            return_exceptions=True,
        )

    def _may_connect(self, scope: Any) -> bool:
        """Say whether a page of this origin may connect; what is no page has no origin.

        Source: RFC 6455 section 10.2.
        """
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        return "*" in self.origins or all(origin.lower() in self.origins for origin in given)


class Connection:
    """One client."""

    def __init__(
        self, server: GraphQLOverWebSocket, scope: Any, receive: Receive, send: Send
    ) -> None:
        self._server = server
        self._patience = server.patience
        self._scope = scope
        self._receive = receive
        self._raw_send: Any = send
        self._sending = asyncio.Lock()
        self._over = asyncio.Event()
        self._is_closed = False
        self._credential: Credential | None = None
        self._reader: asyncio.Task[None] | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._ended: set[asyncio.Task[None]] = set()
        self._heard: deque[float] = deque([0.0], maxlen=MESSAGES)
        self._last_heard = asyncio.get_running_loop().time()

    async def serve(self) -> None:
        """Return when the connection is over."""
        self._place = AsyncExitStack()
        self._reader = asyncio.create_task(self._read())
        tasks = [self._reader, asyncio.create_task(self._watch())]
        try:
            await self._over.wait()
        finally:
            tasks += [*self._operations.values(), *self._ended]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._place.aclose()

    async def close(self, code: int, reason: str) -> None:
        """End the connection; the first reason is the one the client is told."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._stop_reading()
        cut = reason.encode()[:LONGEST_REASON].decode("utf-8", "ignore")
        try:
            async with asyncio.timeout(self._patience.send_seconds):
                await self._raw_send({"type": "websocket.close", "code": code, "reason": cut})
        except Exception as error:  # an edge: it ends either way
            log.debug("a connection could not be closed: %r", error)
        self._over.set()

    async def _stop_reading(self) -> None:
        # Granian sends no close frame while somebody waits for a message.
        if self._reader is not None and self._reader is not asyncio.current_task():
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        try:
            await self._sign_in()
            while True:
                await self._handle(await self._message(CHARACTERS))
        except Gone:
            self._over.set()
        except Closing as closing:
            await self.close(closing.code, closing.reason)
        except Exception:  # an edge: nothing but a masked answer leaves
            log.exception("a connection failed")
            await self.close(INTERNAL, "Internal server error")

    async def _message(self, most: int) -> dict[str, Any]:
        event: Any = await self._receive()
        if event["type"] != "websocket.receive":
            raise Gone
        text = event.get("text")
        if text is None:
            raise Closing(BAD_REQUEST, "Send text, not bytes")
        if len(text) > most:
            raise Closing(TOO_BIG, f"A message may have {most} characters")
        self._count()
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise Closing(BAD_REQUEST, "A message has to be JSON") from error
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise Closing(BAD_REQUEST, "A message has to be an object with a type")
        return message

    def _count(self) -> None:
        now = asyncio.get_running_loop().time()
        self._last_heard = now
        if len(self._heard) == MESSAGES and now - self._heard[0] < MESSAGES_SECONDS:
            raise Closing(TOO_MANY_REQUESTS, "Too many messages")
        self._heard.append(now)

    async def _sign_in(self) -> None:
        try:
            async with asyncio.timeout(self._patience.init_seconds):
                message = await self._message(INIT_CHARACTERS)
                while message["type"] in ("ping", "pong"):
                    await self._handle(message)
                    message = await self._message(INIT_CHARACTERS)
        except TimeoutError as error:
            raise Closing(TIMEOUT, "Connection initialisation timeout") from error
        if message["type"] == "subscribe":
            raise Closing(UNAUTHORIZED, "Unauthorized")
        if message["type"] != "connection_init":
            raise Closing(BAD_REQUEST, "The first message has to be connection_init")
        payload = message.get("payload")
        if not isinstance(payload, dict | None):
            raise Closing(BAD_REQUEST, "The payload of connection_init has to be an object")
        credential = self._credential_of(payload or {})
        try:
            actor = await credential.actor()
            await self._place.enter_async_context(self._server.places.one(actor))
        except TooManySubscriptions as error:
            reason = f"A credential has at most {CONNECTIONS} connections here"
            raise Closing(TOO_MANY_REQUESTS, reason) from error
        except OperationError as error:
            raise Closing(FORBIDDEN, f"Forbidden: {error.sentence}") from error
        except Exception as error:
            if not is_unreachable(error):
                raise
            raise Closing(INTERNAL, "The database is not reachable") from error
        self._credential = credential
        request_id = self._scope["state"]["request_id"]
        await self._send({"type": "connection_ack", "payload": {"requestId": request_id}})

    def _credential_of(self, payload: dict[str, Any]) -> Credential:
        """Return what the client signs in with: by headers, or in the payload as if by headers.

        A browser cannot set headers of a WebSocket.
        """
        inner = payload.get("headers")
        given = {**payload, **inner} if isinstance(inner, dict) else payload
        headers = list(self._scope["headers"])
        for name, value in given.items():
            if name.lower() in ("authorization", "x-api-key") and isinstance(value, str):
                headers.append((name.lower().encode(), value.encode("utf-8", "replace")))
        sent = (self._scope["state"]["client_address"], *_credentials(headers))
        known = self._server.credentials.get(sent)
        if known is not None:
            return known
        scope: Any = {"type": "http", "headers": headers}
        first = {**self._scope["state"]}

        async def ask() -> Actor | None:
            nonlocal first
            scope["state"], first = first, {**first, "is_repeated": True}
            asked: HTTPScope = scope
            return await self._server.authenticate(asked)

        credential = self._server.credentials[sent] = Credential(ask)
        return credential

    async def _handle(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "ping":
            payload = message.get("payload")
            await self._send({"type": "pong"} | ({"payload": payload} if payload else {}))
        elif kind == "subscribe":
            await self._subscribe(_id_of(message), message.get("payload"))
        elif kind == "complete":
            task = self._operations.pop(_id_of(message), None)
            if task is not None:
                task.cancel()
        elif kind == "connection_init":
            raise Closing(TOO_MANY_REQUESTS, "Too many initialisation requests")
        elif kind != "pong":
            raise Closing(BAD_REQUEST, "There is no message of this type")

    async def _subscribe(self, name: str, payload: Any) -> None:
        if name in self._operations:
            raise Closing(SUBSCRIBER_EXISTS, f"Subscriber for {name} already exists")
        try:
            request = request_of(payload)
        except HttpRefusal as refused:
            raise Closing(BAD_REQUEST, refused.refusal.message) from refused
        if len(self._operations) >= OPERATIONS:
            refusal = refuse(
                TooManySubscriptions(
                    f"A connection runs at most {OPERATIONS} operations at a time."
                )
            )
            await self._send_errors(name, [refusal], uuid.uuid4().hex)
            return
        task = asyncio.create_task(self._operate(name, request))
        self._operations[name] = task
        self._ended.add(task)
        task.add_done_callback(self._ended.discard)

    async def _operate(self, name: str, request: GraphQLRequest) -> None:
        request_id = uuid.uuid4().hex
        refused: list[Refusal] = []
        try:
            with bound(request_id=request_id):
                refused = list(await self._run(name, request, request_id))
        except DocumentRefused as error:
            refused = list(error.refusals)
        except NotAuthenticated as error:
            await self.close(FORBIDDEN, f"Forbidden: {error.sentence}")
        except OperationError as error:
            refused = [refuse(error)]
        except FeedClosed:
            await self.close(GOING_AWAY, "Going away")
        except Gone:
            self._over.set()
        except Exception as error:  # an edge: nothing but a masked answer leaves
            refused = [refuse_bug(error, request_id=request_id)]
        finally:
            if self._operations.get(name) is asyncio.current_task():
                del self._operations[name]
        if self._is_closed or self._over.is_set():
            return
        if refused:
            await self._send_errors(name, refused, request_id)
        else:
            await self._send({"type": "complete", "id": name})

    async def _run(self, name: str, request: GraphQLRequest, request_id: str) -> Any:
        """Run one operation to its end, and return why it did not begin."""
        server = self._server
        assert self._credential is not None
        actor = await self._credential.actor()
        rate = await counted(server.meter, actor)
        check_rate(rate)
        what = wanted(server.documents, request)
        context = Context(
            actor=actor,
            request_id=request_id,
            source_address=self._scope["state"]["client_address"],
            may_introspect=True,
        )

        async def answer(result: Result) -> None:
            body = body_of(result, cost=what.cost, rate=rate, request_id=request_id)
            await self._send({"type": "next", "id": name, "payload": body})

        node, operation = what.document.node, what.operation
        if not operation.is_subscription:
            result = await run(node, operation.node, request.variables, context)
            if not result.ran:
                return result.errors
            await answer(result)
            return ()
        async with PLACES.one(actor):
            begun = await subscribe(node, operation, request.variables, context, self._credential)
            if isinstance(begun, Result):
                return begun.errors
            try:
                async for result in begun.answers():
                    await answer(result)
            finally:
                begun.stream.close()
        return ()

    async def _send_errors(self, name: str, refused: list[Refusal], request_id: str) -> None:
        errors = [refusal.formatted(request_id) for refusal in refused]
        await self._send({"type": "error", "id": name, "payload": errors})

    async def _send(self, message: dict[str, Any]) -> None:
        """Send *message* once the client has taken what came before.

        Raises:
            Gone: it takes nothing any more.
        """
        text = msgspec.json.encode(message).decode()
        async with self._sending:
            if self._is_closed:
                raise Gone
            try:
                async with asyncio.timeout(self._patience.send_seconds):
                    await self._raw_send({"type": "websocket.send", "text": text, "bytes": None})
            except TimeoutError as error:
                # It does not read, so that it would not read why either.
                self._is_closed = True
                self._over.set()
                raise Gone from error
            except Exception as error:
                self._over.set()
                raise Gone from error

    async def _watch(self) -> None:
        """Look whether the client is there and may be."""
        clock = asyncio.get_running_loop().time
        pinged = clock()
        while not self._over.is_set():
            await asyncio.sleep(min(CHECK_SECONDS, self._patience.ping_seconds))
            if clock() - self._last_heard > 2 * self._patience.ping_seconds:
                await self.close(TIMEOUT, "Nothing was heard for too long")
            elif clock() - pinged >= self._patience.ping_seconds and self._credential:
                pinged = clock()
                await self._send({"type": "ping"})
            if self._credential is not None and not self._operations:
                await self._check(self._credential)

    async def _check(self, credential: Credential) -> None:
        try:
            await credential.lately()
        except OperationError as error:
            await self.close(FORBIDDEN, f"Forbidden: {error.sentence}")
        except Exception as error:  # an edge: nobody else would hear of it
            if is_unreachable(error):
                log.warning("a credential could not be looked at: %r", error)
                return
            log.exception("a connection failed")
            await self.close(INTERNAL, "Internal server error")


def _credentials(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [pair for pair in headers if pair[0] in (b"authorization", b"x-api-key")]


def _id_of(message: dict[str, Any]) -> str:
    name = message.get("id")
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_ID:
        raise Closing(BAD_REQUEST, f"The id has to be a string of 1 to {LONGEST_ID} characters")
    return name
