"""HTTP requests to places that strangers name, which never reach what is not public.

The name is resolved once, by our own resolver; every address it has must be allowed, and the
connection goes to one of exactly these. So it does not matter how a URL writes an address,
nor what the name resolves to a moment later. A redirect is a new request under the same rule.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ..core.settings import settings
from .destinations import Network, is_allowed
from .dns import LookupStatus, Resolver, resolver

LONGEST_URL = 2_048
USER_AGENT = "Postlane"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_READ_AT_ONCE = 16_384
_HEXADECIMAL = re.compile("0x[0-9a-f]*")


class Problem(StrEnum):
    """Why a request got no reply."""

    BAD_URL = "bad_url"
    NOT_HTTPS = "not_https"
    NOT_PUBLIC = "not_public"
    NO_ADDRESS = "no_address"
    UNREACHABLE = "unreachable"
    BAD_CERTIFICATE = "bad_certificate"
    TIMEOUT = "timeout"
    REDIRECTED = "redirected"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class NoReply:
    """There was no reply; *message* is a sentence that a customer may read."""

    problem: Problem
    message: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered; header names are in lower case.

    *body* is as it was sent, so still packed if there is a `content-encoding`. It is cut off
    at the limit, and *is_whole* is false then.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool = True

    @property
    def content_type(self) -> str:
        """The media type in lower case, without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask for, and how much time and how many bytes the answer may take.

    *within* is for everything together, redirects too.
    """

    url: str
    within: timedelta
    max_bytes: int
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    redirects: int = 0
    """How many are followed, with the same headers; none is followed to hand out a secret."""
    https_only: bool = True


class Fetcher:
    """Sends requests, over connections that are kept while it is open.

    *allowed* are networks that may be reached though they are not public. *context* is what
    certificates are checked with, the system's authorities where there is none.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        allowed: Collection[Network] = (),
        context: ssl.SSLContext | None = None,
        connections: int = 100,
    ) -> None:
        """*connections* is how many are open at most; 0 leaves that to whoever asks."""
        self._connections = connections
        self._resolver = resolver
        self._allowed = tuple(allowed)
        self._context = context or ssl.create_default_context()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=_CheckedResolver(self._resolver, self._allowed),
            # The resolver below remembers by itself; a second memory would outlive the TTL.
            use_dns_cache=False,
            socket_factory=self._socket,
            limit=self._connections,
            ssl=self._context,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(self, request: Request) -> Reply | NoReply:
        """Send *request* and return the reply, or why there is none."""
        try:
            async with asyncio.timeout(request.within.total_seconds()):
                return await self._follow(request)
        except TimeoutError:
            seconds = f"{request.within.total_seconds():g}"
            return NoReply(Problem.TIMEOUT, f"There was no whole answer within {seconds} seconds.")

    async def _follow(self, request: Request) -> Reply | NoReply:
        url = request.url
        for _ in range(request.redirects + 1):
            target = self._checked(url, https_only=request.https_only)
            if isinstance(target, NoReply):
                return target
            reply = await self._send(request, target)
            if isinstance(reply, NoReply) or reply.status not in _REDIRECTS:
                return reply
            if not request.redirects or "location" not in reply.headers:
                return reply
            url = _joined(target, reply.headers["location"])
        return NoReply(Problem.REDIRECTED, "It redirects too often.")

    def _checked(self, text: str, *, https_only: bool) -> URL | NoReply:
        url = parse_url(text)
        if url is None:
            return NoReply(Problem.BAD_URL, "This is not a URL that can be fetched.")
        if url.scheme != "https" and (https_only or url.scheme != "http"):
            return NoReply(Problem.NOT_HTTPS, "The URL does not begin with https://.")
        if names_private_address(url, allowed=self._allowed):
            return _not_public(url.raw_host or "")
        return url

    async def _send(self, request: Request, url: URL) -> Reply | NoReply:
        if self._session is None:
            raise RuntimeError("the fetcher is not open")
        try:
            async with self._session.request(
                request.method,
                url,
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
            ) as response:
                body = await _read(response.content, limit=request.max_bytes)
                headers = {name.lower(): value for name, value in response.headers.items()}
                is_whole = len(body) <= request.max_bytes
                return Reply(response.status, headers, body[: request.max_bytes], is_whole)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _problem(error)

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Return a socket for one connection; nothing is connected to without passing here."""
        family, kind, protocol, _, place = info
        if not is_allowed(place[0], allowed=self._allowed):
            raise _Refused(_not_public(place[0]))
        return socket.socket(family, kind, protocol)


def open_fetcher(*, connections: int = 100) -> Fetcher:
    """Return a fetcher, to be opened with `async with`, that the operator's settings govern."""
    return Fetcher(resolver(), allowed=settings().private_destinations, connections=connections)


def parse_url(text: str) -> URL | None:
    """Return *text* as a URL with a scheme, a host and no user information, or None."""
    if len(text) > LONGEST_URL or not text.isprintable() or " " in text:
        return None
    try:
        url = URL(text)
        usable = bool(url.host) and url.user is None and url.password is None and url.port
    except ValueError:
        return None
    return url if usable else None


def names_private_address(url: URL, *, allowed: Collection[Network] = ()) -> bool:
    """Return whether the host of *url* is written as an address that may not be reached."""
    host = url.raw_host or ""
    return _is_literal(host) and not is_allowed(host, allowed=allowed)


class _Refused(OSError):
    """Carries a refusal through aiohttp, which wraps errors of the system."""

    def __init__(self, reply: NoReply) -> None:
        super().__init__(reply.message)
        self.reply = reply


class _CheckedResolver(AbstractResolver):
    """Gives aiohttp the addresses of a name if all of them are allowed."""

    def __init__(self, resolver: Resolver, allowed: Collection[Network]) -> None:
        self._resolver = resolver
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; an error if one of them is not public."""
        found = await self._resolver.addresses(host)
        if not found.values:
            silent = found.status is LookupStatus.FAILED
            said = "The DNS gave no answer for" if silent else "There is no address for"
            raise _Refused(NoReply(Problem.NO_ADDRESS, f"{said} {host}."))
        # One that is not allowed among others is a trick, or a mistake to be told about.
        for address in found.values:
            if not is_allowed(address, allowed=self._allowed):
                raise _Refused(_not_public(host))
        return [_result(host, address, port) for address in found.values]

    async def close(self) -> None:
        """Do nothing: the resolver belongs to somebody else."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=numeric
    )


async def _read(stream: aiohttp.StreamReader, *, limit: int) -> bytes:
    """Return the body, or its first *limit* bytes and some more."""
    body = bytearray()
    while len(body) <= limit and (chunk := await stream.read(_READ_AT_ONCE)):
        body += chunk
    return bytes(body)


def _joined(url: URL, location: str) -> str:
    try:
        return str(url.join(URL(location)))
    except ValueError:
        return location


def _is_literal(host: str) -> bool:
    # No name ends in a number; some programs take one for an address, hexadecimal ones too.
    last = host.rstrip(".").rpartition(".")[2].lower()
    return ":" in host or last.isdigit() or _HEXADECIMAL.fullmatch(last) is not None


def _not_public(where: str) -> NoReply:
    return NoReply(Problem.NOT_PUBLIC, f"{where} is not a public address.")


def _problem(error: Exception) -> NoReply:
    cause = getattr(error, "os_error", None) or error
    for found in (cause, error, error.__cause__):
        if isinstance(found, _Refused):
            return found.reply
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return NoReply(Problem.BAD_CERTIFICATE, "The server's certificate is not trusted.")
    if isinstance(error, aiohttp.ClientSSLError):
        return NoReply(Problem.BAD_CERTIFICATE, "The server does not speak TLS as it should.")
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionError):
        return NoReply(Problem.UNREACHABLE, "The server could not be reached.")
    if isinstance(error, aiohttp.InvalidURL):
        return NoReply(Problem.BAD_URL, "This is not a URL that can be fetched.")
    return NoReply(Problem.BROKEN, "The server's answer broke off or is not HTTP.")
