"""Reading a request: headers, the body under its limit, and JSON that is really JSON."""

import asyncio
import base64
import re
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from litestar.types import HTTPScope, Receive
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from ..core.errors import ErrorCode
from .route import Fault, Refused

_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}", re.ASCII)
_decode = msgspec.json.Decoder().decode

PATIENCE_BYTES = 40 * 2**20
"""Read of a body that is refused already."""
PATIENCE_SECONDS = 10.0
SILENCE_SECONDS = 0.5
"""Without another byte it is the client that waits."""


class ClientGone(Exception):
    """The connection ended before the body did; nobody waits for an answer."""


@dataclass(slots=True)
class Request:
    """One HTTP request, and what is known about it by now."""

    scope: HTTPScope
    method: str
    path: str
    """Without the prefix of its API and without slashes at its ends."""
    query: bytes
    headers: Mapping[str, str]
    """Lower-case names, as ASGI has them; a header that came twice is joined with a comma."""
    request_id: str
    address: str | None
    """Whom it came from, after trusted proxies."""
    is_read: bool = False
    """The body has been read to its end, or will not be."""
    is_abandoned: bool = False
    """The client may still be sending a body that nobody wants."""
    answer_headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    """The body, where a dialect reads it before it is known who asks."""
    read: Any = None
    """What such a dialect made of it."""
    began: float = field(default_factory=time.perf_counter)
    """By the stopwatch, for dialects that tell how long it took."""

    @property
    def declared_bytes(self) -> int | None:
        """The length the client announced, or None for a chunked body."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    @property
    def has_body(self) -> bool:
        """Whether the headers announce a body, as they must in HTTP/1.1."""
        return bool(self.declared_bytes) or "transfer-encoding" in self.headers


def request_of(scope: HTTPScope) -> Request:
    """Return the request that *scope* describes; its body is still to be read."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    state = scope["state"]
    return Request(
        scope=scope,
        method=scope["method"],
        path=scope["path"].strip("/"),
        query=scope["query_string"],
        headers=headers,
        request_id=state["request_id"],
        address=state["client_address"],
    )


def check_size(request: Request, limit_bytes: int) -> None:
    """Refuse a body that is announced to be larger than *limit_bytes*."""
    declared = request.declared_bytes
    if declared is not None and declared > limit_bytes:
        request.is_read = True
        request.is_abandoned = "expect" not in request.headers
        raise too_large(limit_bytes)


def too_large(limit_bytes: int) -> Refused:
    """Return the refusal of a body that is larger than *limit_bytes*."""
    return Refused(
        ErrorCode.PAYLOAD_TOO_LARGE,
        f"The body is larger than {limit_bytes // 2**20} MiB.",
        # The rest of the body is not read, so the connection cannot be used again.
        headers=[("connection", "close")],
    )


async def read_body(request: Request, receive: Receive, limit_bytes: int) -> bytes:
    """Return the whole body, of which never more than *limit_bytes* are held.

    Raises:
        Refused: it is larger.
        ClientGone: it ends early.
    """
    chunks: list[bytes] = []
    async for chunk in _chunks(request, receive, limit_bytes):
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def discard_body(request: Request, receive: Receive, limit_bytes: int) -> None:
    """Read the body and keep nothing of it, so that a refusal arrives at who still writes.

    A client that waits to be told to go on (`Expect: 100-continue`) is answered at once.

    Raises:
        Refused: it is larger than *limit_bytes*, which is told before anything else.
        ClientGone: it ends early.
    """
    if request.is_read or "expect" in request.headers:
        return
    async for _ in _chunks(request, receive, limit_bytes):
        pass


async def _chunks(request: Request, receive: Receive, limit_bytes: int) -> Any:
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")  # type: ignore[assignment]
        size += len(chunk)
        if size > limit_bytes:
            request.is_read = True
            request.is_abandoned = bool(message.get("more_body", False))
            raise too_large(limit_bytes)
        if chunk:
            yield chunk
        if not message.get("more_body", False):
            request.is_read = True
            return


def is_compressed(request: Request) -> bool:
    """Say whether a body is compressed by gzip; any other encoding is nobody's here."""
    return request.headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip")


def inflated(body: bytes, limit_bytes: int) -> bytes:
    """Return a body that was compressed by gzip, of which no more than *limit_bytes* is made.

    Raises:
        Refused: it becomes larger, or is not whole.
    """
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        found = reader.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise Refused(Fault.INVALID_JSON, "The body is not compressed by gzip.") from error
    if len(found) > limit_bytes:
        raise too_large(limit_bytes)
    if not reader.eof or reader.unused_data:
        raise Refused(Fault.INVALID_JSON, "The compressed body is not whole.")
    return found


async def let_finish(receive: Receive) -> None:
    """Read what a client goes on sending although it is refused, so that it gets the answer.

    Where a server closes while the client is still sending, the client's system throws the
    answer away. There is an end to such patience; a client that waits is answered soon.
    """
    size = 0
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while size <= PATIENCE_BYTES:
                async with asyncio.timeout(SILENCE_SECONDS):
                    message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
                size += len(message.get("body", b""))  # type: ignore[arg-type]
    except TimeoutError:
        return


def read_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object that *body* is.

    RFC 8259 leaves open what a name that comes twice means; here, as in nearly every
    parser, the last one counts. Numbers outside a double's range, `NaN`, half characters
    and bytes that are not UTF-8 are refused.

    Raises:
        Refused: it is not JSON, or not an object.
    """
    try:
        value = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(Fault.INVALID_JSON, f"The body is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise Refused(Fault.INVALID_JSON, "The body is nested too deeply.") from error
    if not isinstance(value, dict):
        raise Refused(Fault.INVALID_JSON, "The body must be a JSON object.")
    return value


def is_form(content_type: str) -> bool:
    """Say whether a `Content-Type` header is a multipart form."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def read_file(body: bytes, content_type: str) -> dict[str, Any]:
    """Return the one file of a multipart form as JSON would have it, without what is not there.

    Raises:
        Refused: it is no form, or has more than one file.
    """
    _, options = parse_options_header(content_type)
    files: list[tuple[MultipartSegment, list[bytes]]] = []
    chunks: list[bytes] = []
    try:
        parser = PushMultipartParser(options.get("boundary", ""), max_segment_count=20)
        for event in (*parser.parse(body), *parser.parse(b"")):
            if isinstance(event, MultipartSegment):
                chunks = []
                if event.name == "file":
                    files.append((event, chunks))
            elif event:
                chunks.append(bytes(event))
    except (MultipartError, ValueError) as error:
        message = f"The body is no multipart form: {error}."
        raise Refused(Fault.INVALID_REQUEST, message) from error
    if len(files) > 1:
        raise Refused(Fault.INVALID_REQUEST, "Send one file at a time, as the part `file`.")
    if not files:
        return {}
    segment, found = files[0]
    content = base64.b64encode(b"".join(found)).decode("ascii")
    return {
        "filename": segment.filename,
        "content": content,
        "content_type": segment.content_type,
    }


def idempotency_key(request: Request) -> str | None:
    """Return the `Idempotency-Key` header, if there is one.

    Raises:
        Refused: it cannot be a key.
    """
    key = request.headers.get("idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise Refused(
            Fault.INVALID_REQUEST,
            "The header Idempotency-Key must be 1 to 255 printable ASCII characters.",
        )
    return key


def accepts_json(header: str | None) -> bool:
    """Say whether an `Accept` header allows `application/json`.

    Source: RFC 9110 section 12.5.1.
    """
    if not header or header == "*/*" or header == "application/json":
        return True
    found: dict[str, bool] = {}
    for part in header.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        found[media] = found.get(media, False) or _quality(parameters) > 0
    # The most specific range decides, whatever its place.
    for media in ("application/json", "application/*", "*/*"):
        if media in found:
            return found[media]
    return False


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def is_json(content_type: str) -> bool:
    """Say whether a `Content-Type` header is JSON in UTF-8."""
    if content_type == "application/json":
        return True
    media, *parameters = (piece.strip().lower() for piece in content_type.split(";"))
    charsets = [p.partition("=")[2].strip('" ') for p in parameters if p.startswith("charset")]
    return media == "application/json" and all(c in {"utf-8", "utf8", "us-ascii"} for c in charsets)
