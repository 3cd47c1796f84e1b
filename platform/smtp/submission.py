"""What a submission listener does with a conversation: signs in, takes mail, answers."""

import base64
import hashlib
import ipaddress
import logging
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from ..core.actor import Actor
from ..core.errors import OperationError, Unavailable
from ..core.logs import bound
from ..core.reaching import is_unreachable
from ..graphql.context import Context
from ..graphql.execute import Document, execute
from ..mail.address import InvalidAddress, parse_mailbox
from ..mail.raw import read_message_id
from .replies import peer_address, refusal_reply, reply, reply_to_failure

log = logging.getLogger(__name__)

Admit: TypeAlias = Callable[[str, str | None], Awaitable[Actor]]
"""From an API key and the client's address to whoever asks; counts one request.

It raises what is wrong with the key, or that its rate is spent.
"""

Decode: TypeAlias = Callable[[Any, list[str]], Awaitable[AuthResult]]

MOST_RECIPIENTS = 50
"""Of one message. A client sends to the rest in another one, as 452 tells it to."""
MOST_FAILURES = 3
"""Failed sign-ins of one conversation; then it ends."""

MOST_FAILURES_A_MINUTE = 20
"""Failed sign-ins from one address; until the minute is over no key from there is looked at."""

SEND = Document("""
mutation SubmitMessage($input: SendRawMessageInput!) {
  sendRawMessage(input: $input) { receipt { uuid } }
}
""")


class Submission:
    """The handler of every conversation of one listener; aiosmtpd calls it by its names."""

    def __init__(self, admit: Admit, *, offers_tls: bool, once_by_message_id: bool = False) -> None:
        self._admit = admit
        self._once_by_message_id = once_by_message_id
        self._offers_tls = offers_tls
        self._failures: WeakKeyDictionary[Session, int] = WeakKeyDictionary()
        self._failures_from: Counter[str | None] = Counter()
        self._counted_since = 0.0

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, host: str, lines: list[str]
    ) -> list[str]:
        """Offer AUTH only where a key does not travel in the clear."""
        session.host_name = host
        lines.insert(1, "250-PIPELINING")
        if may_sign_in(session, offers_tls=self._offers_tls):
            return lines
        return [line for line in lines if not line.startswith("250-AUTH")]

    async def auth_PLAIN(self, server: SMTP, args: list[str]) -> AuthResult:
        """Sign in as RFC 4616 says."""
        return await self._sign_in(server, server.auth_PLAIN, args)

    async def auth_LOGIN(self, server: SMTP, args: list[str]) -> AuthResult:
        """Sign in with user name and password asked for one after the other."""
        return await self._sign_in(server, server.auth_LOGIN, args)

    async def handle_MAIL(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str | None,
        options: list[str],
    ) -> str:
        """Take a sender of whoever is signed in.

        Its address is not used: bounces come to us, and the message says who it is from.
        """
        if not session.authenticated:
            return reply(530, "5.7.0", "Sign in first, with an API key as the password.")
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return reply(250, "2.1.0", "Go on.")

    async def handle_RCPT(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Take a recipient that is an address; the rest is said with the message's fate."""
        try:
            parse_mailbox(address)
        except InvalidAddress:
            return reply(553, "5.1.3", "Write one email address.")
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return reply(452, "4.5.3", f"A message has {MOST_RECIPIENTS} recipients at most.")
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return reply(250, "2.1.5", "Go on.")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Hand the message to the one door, and answer what it says."""
        request_id = str(uuid.uuid4())
        with bound(request_id=request_id):
            try:
                # Anew for each message: a key may have been withdrawn during a long
                # conversation.
                actor = await self._admitted(str(session.auth_data), session)
            except OperationError as refused:
                return refusal_reply(refused)
            context = Context(
                actor=actor, request_id=request_id, source_address=peer_address(session)
            )
            content = envelope.original_content or b""
            given = {
                "data": base64.b64encode(content).decode("ascii"),
                "recipients": list(envelope.rcpt_tos),
                "idempotencyKey": self._idempotency_key(content, envelope.rcpt_tos),
            }
            result = await execute(SEND, {"input": given}, context)
        if result.errors or result.data is None:
            return refusal_reply(result.errors[0])
        message_id = result.data["sendRawMessage"]["receipt"]["uuid"]
        return reply(250, "2.0.0", f"Accepted as {message_id}")

    async def handle_exception(self, error: Exception) -> str:
        """Log what nobody foresaw, and say nothing of it."""
        return reply_to_failure(error)

    def _idempotency_key(self, content: bytes, recipients: list[str]) -> str | None:
        """Return what a repeat has as well; None where repeats are messages of their own."""
        if not self._once_by_message_id:
            return None
        message_id = read_message_id(content)
        if message_id is None:
            return None
        # A message to many comes in several parts, each to other recipients.
        said = "\0".join([message_id, *sorted(recipients)])
        return "smtp-" + hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()

    async def _sign_in(
        self,
        server: SMTP,
        decode: Callable[[Any, list[str]], Awaitable[AuthResult]],
        args: list[str],
    ) -> AuthResult:
        session = server.session
        if session is None or not may_sign_in(session, offers_tls=self._offers_tls):
            return _refused(reply(538, "5.7.11", "Sign in after STARTTLS."))
        if self._is_guessing(peer_address(session)):
            return await self._end(server, "Too many failed sign-ins from your address.")
        decoded = await decode(None, args)
        if not decoded.success or not isinstance(decoded.auth_data, LoginPassword):
            return decoded
        key = decoded.auth_data.password.decode("ascii", "replace")
        try:
            await self._admitted(key, session)
        except OperationError as refused:
            if isinstance(refused, Unavailable):
                return _refused(reply(454, "4.7.0", refused.sentence))
            return await self._failed(server, session, refusal_reply(refused))
        return AuthResult(success=True, auth_data=key)

    async def _failed(self, server: SMTP, session: Session, sentence: str) -> AuthResult:
        self._failures[session] = self._failures.get(session, 0) + 1
        self._failures_from[peer_address(session)] += 1
        if self._failures[session] >= MOST_FAILURES:
            return await self._end(server, "Too many failed sign-ins.")
        return _refused(sentence)

    async def _end(self, server: SMTP, sentence: str) -> AuthResult:
        await server.push(reply(421, "4.7.0", sentence))
        if server.transport is not None:
            server.transport.close()
        return AuthResult(success=False, handled=True)

    def _is_guessing(self, address: str | None) -> bool:
        """Say whether so many keys from the address were wrong that no other is looked at."""
        now = time.monotonic()
        if now - self._counted_since > 60:
            self._failures_from.clear()
            self._counted_since = now
        return self._failures_from[address] >= MOST_FAILURES_A_MINUTE

    async def _admitted(self, key: str, session: Session) -> Actor:
        try:
            return await self._admit(key, peer_address(session))
        except Exception as error:
            if is_unreachable(error):
                log.error("a credential could not be looked up: %r", error)
                raise Unavailable from error
            raise


def decoded_only(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
) -> AuthResult:
    """Return what the client sent; `Submission` decides about it, which takes a look-up."""
    return AuthResult(success=True, auth_data=login)


def may_sign_in(session: Session, *, offers_tls: bool) -> bool:
    """Say whether a key may be sent now: encrypted, or without a certificate on this machine."""
    if session.ssl is not None:
        return True
    address = peer_address(session)
    return not offers_tls and address is not None and ipaddress.ip_address(address).is_loopback


def _refused(sentence: str) -> AuthResult:
    return AuthResult(success=False, handled=False, message=sentence)
