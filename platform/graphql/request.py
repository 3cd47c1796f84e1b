"""A GraphQL request out of an HTTP request, or the reason why it is none."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar.types import HTTPScope, Receive

from ..core.errors import ErrorCode
from .errors import Refusal

JSON_TYPES = frozenset({"application/json"})
LONGEST_KEY = 255
"""Characters of an `Idempotency-Key`."""
DISCARD_BYTES = 40 * 2**20
"""Read from a refused request before the connection is given up."""
DISCARD_SECONDS = 10.0
LONGEST_QUERY_STRING = 32_768
HASH = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
PARAMETERS = ("query", "operationName", "variables", "extensions")


class HttpRefusal(Exception):
    """The request is refused with this status before anybody reads a document."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: ErrorCode = ErrorCode.INVALID_INPUT,
        allow: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.refusal = Refusal(code, message)
        self.allow = allow


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What the client wants to have run."""

    query: str | None
    """The document's text; None if only its hash was sent."""
    operation_name: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    sha256: str | None = None
    """The hash of the document's text, if it was sent."""


class Headers:
    """The headers of one request; names are lower case."""

    def __init__(self, scope: HTTPScope) -> None:
        self._pairs = scope["headers"]

    def get(self, name: str) -> str | None:
        """Return the values of a header, joined as RFC 9110 says, or None."""
        wanted = name.encode()
        found = [value.decode("latin-1") for key, value in self._pairs if key == wanted]
        return ", ".join(found) if found else None

    def idempotency_key(self) -> str | None:
        """Return the `Idempotency-Key`.

        Raises:
            HttpRefusal: it is not 1 to 255 printable ASCII characters.
        """
        key = self.get("idempotency-key")
        if key is None:
            return None
        if not 1 <= len(key) <= LONGEST_KEY or not (key.isascii() and key.isprintable()):
            raise HttpRefusal(
                400, f"Idempotency-Key has to be 1 to {LONGEST_KEY} printable ASCII characters."
            )
        return key

    def content_length(self) -> int | None:
        """Return the announced size of the body in bytes, if it makes sense."""
        text = self.get("content-length")
        return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None

    def check_body_is_json(self) -> None:
        """Do nothing if the body is uncompressed JSON in UTF-8.

        Raises:
            HttpRefusal: it is something else.
        """
        name, *parameters = (self.get("content-type") or "").split(";")
        if name.strip().lower() not in JSON_TYPES:
            raise HttpRefusal(415, "Send the request as application/json.")
        for parameter in parameters:
            key, _, value = parameter.strip().lower().partition("=")
            if key == "charset" and value.strip('"') not in ("utf-8", "utf8"):
                raise HttpRefusal(415, "Send the request in UTF-8.")
        if (self.get("content-encoding") or "identity").strip().lower() != "identity":
            raise HttpRefusal(415, "Send the request uncompressed.")


class Body:
    """The body of one request, on its way in."""

    def __init__(self, headers: Headers, receive: Receive) -> None:
        self._announced = headers.content_length()
        self._receive = receive
        self._is_over = self._announced is None and headers.get("transfer-encoding") is None
        self._size = 0

    async def read(self, *, most: int) -> bytes:
        """Return the body; what is too large is refused as soon as that is known.

        Raises:
            HttpRefusal: it has more than *most* bytes, or the client went away.
        """
        if self._announced is not None and self._announced > most:
            raise _too_large(most, self._announced)
        chunks: list[bytes] = []
        self._is_over = False
        while not self._is_over:
            chunks.append(await self._chunk())
            if self._size > most:
                raise _too_large(most)
        return b"".join(chunks)

    async def discard(self) -> None:
        """Read what has not been read, so that the client gets to read the answer.

        A server that answers and closes while a client is still sending makes the client's
        system throw the answer away. There is an end to such patience.
        """
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                while not self._is_over and self._size <= DISCARD_BYTES:
                    await self._chunk()
        except (TimeoutError, HttpRefusal):
            return

    async def _chunk(self) -> bytes:
        event = await self._receive()
        if event["type"] != "http.request":
            self._is_over = True
            raise HttpRefusal(400, "The request ended before its body did.")
        self._is_over = not event.get("more_body", False)
        chunk: bytes = event.get("body", b"")
        self._size += len(chunk)
        return chunk


def _too_large(most: int, announced: int | None = None) -> HttpRefusal:
    has = f"{announced} bytes" if announced is not None else "more than it may have"
    return HttpRefusal(
        413,
        f"The request's body has {has}; at most {most} bytes are taken. Whoever is signed in "
        "may send more than a stranger.",
        code=ErrorCode.PAYLOAD_TOO_LARGE,
    )


def request_of_body(body: bytes) -> GraphQLRequest:
    """Return the request in a JSON body.

    Raises:
        HttpRefusal: it is not JSON, or not a GraphQL request.
    """
    if not body:
        raise HttpRefusal(400, "The request has no body; send a JSON object with a query.")
    value = _json(body, "The body")
    if isinstance(value, list):
        raise HttpRefusal(400, "Batches are not taken: send one JSON object for each request.")
    if not isinstance(value, dict):
        raise HttpRefusal(400, "The body has to be a JSON object with a query.")
    return _request({name: value.get(name) for name in PARAMETERS})


def request_of(payload: Any) -> GraphQLRequest:
    """Return the request in the payload of a message.

    Raises:
        HttpRefusal: it is not a GraphQL request.
    """
    if not isinstance(payload, dict):
        raise HttpRefusal(400, "The payload has to be an object with a query.")
    return _request({name: payload.get(name) for name in PARAMETERS})


def request_of_query(query_string: bytes) -> GraphQLRequest:
    """Return the request in the query string of a GET.

    Raises:
        HttpRefusal: it is not a GraphQL request.
    """
    if len(query_string) > LONGEST_QUERY_STRING:
        raise HttpRefusal(
            414, f"The query string has more than {LONGEST_QUERY_STRING} bytes; send a POST."
        )
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50
        )
    except ValueError as error:
        raise HttpRefusal(400, "The query string is not form-encoded UTF-8.") from error
    found: dict[str, Any] = {}
    for name, text in pairs:
        if name in found:
            raise HttpRefusal(400, f"The parameter {name} is there twice.")
        if name in PARAMETERS:
            found[name] = text or None
    for name in ("variables", "extensions"):
        if found.get(name) is not None:
            found[name] = _json(found[name].encode(), f"The parameter {name}")
    return _request(found)


def _json(text: bytes, what: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except UnicodeDecodeError as error:
        raise HttpRefusal(400, f"{what} is not valid UTF-8.") from error
    except RecursionError as error:
        raise HttpRefusal(400, f"{what} is nested too deeply.") from error
    except msgspec.ValidationError as error:
        raise HttpRefusal(400, f"{what} has a number that is too large to be read.") from error
    except msgspec.DecodeError as error:
        raise HttpRefusal(400, f"{what} is not valid JSON.") from error


def _request(found: dict[str, Any]) -> GraphQLRequest:
    query, name = found.get("query"), found.get("operationName")
    for part in ("variables", "extensions"):
        if not isinstance(found.get(part), dict | None):
            raise HttpRefusal(400, f"{part} has to be an object.")
    sha256 = _hash((found.get("extensions") or {}).get("persistedQuery"))
    if query is None and sha256 is None:
        raise HttpRefusal(400, "The request has no query.")
    if not isinstance(query, str | None):
        raise HttpRefusal(400, "query has to be a string.")
    if not isinstance(name, str | None):
        raise HttpRefusal(400, "operationName has to be a string.")
    return GraphQLRequest(query, name or None, found.get("variables") or {}, sha256)


def _hash(persisted: Any) -> str | None:
    if persisted is None:
        return None
    sha256 = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    if not isinstance(sha256, str) or not HASH.fullmatch(sha256) or persisted.get("version") != 1:
        raise HttpRefusal(
            400, "extensions.persistedQuery has to have version 1 and a sha256Hash in hexadecimal."
        )
    return sha256.lower()
