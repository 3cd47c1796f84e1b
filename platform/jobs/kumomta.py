"""Handing mail to KumoMTA over HTTP, which then delivers it.

Source: https://docs.kumomta.com/userguide/operation/httpinjection
"""

import asyncio
import json
import ssl
import time
from base64 import b64encode
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import aiohttp

from ..core import clock
from ..delivery.work import QueueRoute
from ..mail.connection import readable
from ..mail.outcome import BounceClass, Failure, Outcome, Verdict, outcome_of_failure
from ..mail.smtp import Envelope, Host
from ..mail.tls import context_for
from .outbound import Exchange, Transport, Way

PATH = "/api/inject/v1"
CONNECT_WITHIN = timedelta(seconds=10)
ANSWER_WITHIN = timedelta(minutes=2)
_LONGEST_ANSWER = 65_536


class KumoMta:
    """Hands the mail of some vMTAs to KumoMTA; that of all others goes the way *otherwise* knows.

    *url* is `http://user:password@host:port`, the login only if its listener asks for one.
    *vmtas* are names, or `*` for all. KumoMTA is told vMTA and organization in two header fields,
    which its policy reads, to choose pool and tenant, and takes away.
    """

    def __init__(
        self, url: str, vmtas: frozenset[str], otherwise: Transport, *, ca_file: str | None = None
    ) -> None:
        self._url = url
        self._vmtas = vmtas
        self._otherwise = otherwise
        self._ca_file = ca_file

    async def find_way(self, queue: QueueRoute) -> Way | Failure:
        """Return the way to KumoMTA, or the other one."""
        if queue.vmta not in self._vmtas and "*" not in self._vmtas:
            return await self._otherwise.find_way(queue)
        parts = urlsplit(self._url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = Host(parts.hostname or "", "", port)
        labels = {"X-Postlane-VMTA": queue.vmta, "X-Postlane-Organization": queue.organization_id}
        header = "".join(f"{name}: {value}\r\n" for name, value in labels.items() if value)
        return Way((host,), "", ca_file=self._ca_file, exchange=Injector(self._url, header))


class Injector:
    """Opens exchanges with one listener; equal ones may share them."""

    def __init__(self, url: str, header: str) -> None:
        self._key = (url, header)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Injector) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)

    def open(self, way: Way) -> Exchange:
        """Return an exchange, which connects with its first message."""
        url, header = self._key
        return Injection(url, header, ca_file=way.ca_file)


class Injection:
    """Requests to one KumoMTA over a connection that is kept."""

    def __init__(self, url: str, header: str, *, ca_file: str | None) -> None:
        parts = urlsplit(url)
        login = unquote(parts.username or ""), unquote(parts.password or "")
        secret = b64encode(":".join(login).encode()).decode()
        self._headers = {"Authorization": f"Basic {secret}"} if parts.username else {}
        place = parts.netloc.rpartition("@")[2]
        self._url = urlunsplit((parts.scheme, place, parts.path.rstrip("/") + PATH, "", ""))
        self._host = parts.hostname or ""
        self._header = header.encode()
        self._context: ssl.SSLContext = context_for(verified=True, ca_file=ca_file)
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    @property
    def closed(self) -> bool:
        """Whether nothing more can be handed over here."""
        return self._is_closed

    async def deliver(self, envelope: Envelope) -> Outcome:
        """Hand over one message; it counts as delivered when KumoMTA has it in its spool."""
        started_at, since = clock.now(), time.perf_counter()
        result = await self._hand_over(envelope)
        return _outcome(result, self._host, started_at, time.perf_counter() - since, envelope)

    async def close(self) -> None:
        """Let the connection go."""
        self._is_closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _hand_over(self, envelope: Envelope) -> Failure | None:
        try:
            content = (self._header + envelope.data).decode()
        except UnicodeDecodeError:
            return _NOT_UTF8
        request = {
            "envelope_sender": envelope.sender,
            "content": content,
            "recipients": [{"email": envelope.recipient}],
            # An answer has to mean that the message is on its disk, and braces in a message
            # are no template.
            "deferred_spool": False,
            "deferred_generation": False,
            "template_dialect": "Static",
        }
        try:
            status, answer = await self._post(request)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._is_closed = True
            return _deferred(f"KumoMTA did not answer: {str(error) or type(error).__name__}")
        return _judge(status, answer)

    async def _post(self, request: dict[str, Any]) -> tuple[int, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                connector=aiohttp.TCPConnector(ssl=self._context, limit=1),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_WITHIN.total_seconds()),
            )
        async with (
            asyncio.timeout(ANSWER_WITHIN.total_seconds()),
            self._session.post(self._url, json=request, allow_redirects=False) as response,
        ):
            if response.status != 200:
                return response.status, None
            body = await response.content.read(_LONGEST_ANSWER)
            while len(body) < _LONGEST_ANSWER and not response.content.at_eof():
                body += await response.content.read(_LONGEST_ANSWER - len(body))
            return response.status, json.loads(body)


def _judge(status: int, answer: Any) -> Failure | None:
    """Return why the message was not taken, or None if it was, for its only recipient."""
    if status != 200:
        return _deferred(f"KumoMTA answered with status {status}")
    if not isinstance(answer, dict):
        return _deferred("KumoMTA's answer is not understood")
    if answer.get("success_count") == 1 and answer.get("fail_count") == 0:
        return None
    errors = answer.get("errors")
    said = str(errors[0])[:500] if isinstance(errors, list) and errors else "no reason given"
    return _deferred(f"KumoMTA has not taken it: {readable(said)}")


def _outcome(
    failure: Failure | None, host: str, started_at: datetime, seconds: float, envelope: Envelope
) -> Outcome:
    made = outcome_of_failure(
        failure or _TAKEN, started_at=started_at, duration=timedelta(seconds=seconds)
    )
    return replace(
        made,
        bounce_class=made.bounce_class if failure else None,
        mx_host=host,
        transcript=(f"C: POST {PATH}", f"C: ({len(envelope.data)} octets)", f"S: {made.text}"),
    )


def _deferred(text: str) -> Failure:
    return Failure(Verdict.DEFERRED, BounceClass.CONNECTION_FAILURE, text, "4.4.2", is_local=True)


_TAKEN = Failure(Verdict.DELIVERED, BounceClass.UNCLASSIFIED, "KumoMTA has taken it")
_NOT_UTF8 = Failure(
    Verdict.BOUNCED,
    BounceClass.POLICY_REJECTED,
    "KumoMTA takes no content that is not UTF-8",
    "5.6.3",
    is_local=True,
)
