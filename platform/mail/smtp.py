"""Conversations: messages in, outcomes out, nothing raised for what the other side does."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import aiosmtplib

from ..core import clock
from .address import parse_mailbox
from .connection import (
    Connection,
    ConnectionFailed,
    Host,
    Opening,
    Timeouts,
    Tls,
    UnexpectedReply,
    connect,
    readable,
)
from .outcome import (
    BounceClass,
    Failure,
    Outcome,
    Verdict,
    outcome_of_failure,
    outcome_of_reply,
)
from .tls import TlsFacts

__all__ = ["Envelope", "Host", "Session", "Timeouts", "Tls"]

_DEFAULT_TIMEOUTS = Timeouts()


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message for one recipient; *sender* may be empty, *smtputf8* is for the header.

    Raises:
        InvalidAddress: an address that could not stand in an SMTP command.
    """

    sender: str
    recipient: str
    data: bytes
    smtputf8: bool = False

    def __post_init__(self) -> None:
        parse_mailbox(self.recipient)
        if self.sender:
            parse_mailbox(self.sender)

    @property
    def needs_smtputf8(self) -> bool:
        """Whether header or envelope have an address outside ASCII."""
        return self.smtputf8 or not (self.sender + self.recipient).isascii()


class Session:
    """An open conversation, good for many messages until `closed`.

    Only one `deliver` at a time. A host may close an idle connection: when `closed` is true, the
    outcome has no code, and the session had delivered before, the message may be tried again at
    once on another.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._needs_reset = False

    @property
    def host(self) -> Host:
        """With whom we talk."""
        return self._connection.host

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return self._connection.closed

    @classmethod
    async def open(
        cls,
        host: Host,
        *,
        ehlo: str,
        source_address: str | None = None,
        tls: Tls = Tls.OPPORTUNISTIC,
        implicit_tls: bool = False,
        username: str | None = None,
        password: str | None = None,
        timeouts: Timeouts = _DEFAULT_TIMEOUTS,
        ca_file: str | None = None,
    ) -> "Session | Outcome":
        """Return a session that is ready for messages, or the outcome of not getting one.

        *ehlo* is our name. With a *username* the conversation is encrypted unless *tls* says
        `DISABLED`: opportunistic encryption would hand the password to whoever breaks it.
        *ca_file* replaces the system's certificate authorities.
        """
        if username is not None and tls is Tls.OPPORTUNISTIC:
            tls = Tls.REQUIRED
        opening = Opening(
            ehlo=ehlo,
            source_address=source_address,
            tls=tls,
            implicit_tls=implicit_tls,
            login=None if username is None else (username, password or ""),
            timeouts=timeouts,
            ca_file=ca_file,
        )
        start = _Start()
        try:
            return cls(await connect(host, opening))
        except ConnectionFailed as error:
            outcome = _outcome_of_error(error.__cause__, "before any message", start)
            return _placed(outcome, host, TlsFacts(), error.transcript)

    async def deliver(self, envelope: Envelope) -> Outcome:
        """Send one message and return what came of it.

        A connection that breaks after the content was sent gives `DEFERRED`: the host may have
        taken the message, and will then get it twice. SMTP has no way to tell.
        """
        start = _Start()
        connection = self._connection
        refusal = self._refusal(envelope)
        if refusal is not None:
            outcome = outcome_of_failure(refusal, started_at=start.at, duration=start.elapsed)
        else:
            try:
                outcome = await self._converse(envelope, start)
            except BaseException:
                # Cancelled in the middle: what the host thinks now is unknown.
                connection.close()
                raise
        notes, connection.transcript = connection.transcript, []
        return _placed(outcome, connection.host, connection.facts, notes)

    async def close(self) -> None:
        """Say goodbye, without waiting long for the answer."""
        await self._connection.quit()

    def _refusal(self, envelope: Envelope) -> Failure | None:
        """Return why the host could not take this message, by what it offers."""
        connection = self._connection
        if envelope.needs_smtputf8 and not connection.offers("smtputf8"):
            return _NO_SMTPUTF8
        if not envelope.data.isascii() and not connection.offers("8bitmime"):
            return _NO_8BITMIME
        if connection.size_limit is not None and len(envelope.data) > connection.size_limit:
            return _TOO_LARGE
        return None

    async def _converse(self, envelope: Envelope, start: "_Start") -> Outcome:
        connection = self._connection
        step = "RSET"
        try:
            if self._needs_reset:
                await connection.command("RSET")
            self._needs_reset = True
            step = "MAIL"
            reply = await connection.command("MAIL", *self._mail_words(envelope))
            if 200 <= reply.code < 300:
                step = "RCPT"
                reply = await connection.command("RCPT", f"TO:<{envelope.recipient}>")
            if 200 <= reply.code < 300:
                step = "DATA"
                reply = await connection.content(envelope.data)
                self._needs_reset = reply.code >= 400
            if reply.code == 421:
                connection.close()
            elif not 400 <= reply.code < 600 and step != "DATA":
                raise UnexpectedReply(f"unexpected reply {reply.code} {reply.message}")
        except (aiosmtplib.SMTPException, OSError) as error:
            connection.close()
            return _outcome_of_error(error, f"at {step}", start)
        return outcome_of_reply(
            reply.code, readable(reply.message), started_at=start.at, duration=start.elapsed
        )

    def _mail_words(self, envelope: Envelope) -> list[str]:
        words = [f"FROM:<{envelope.sender}>"]
        if self._connection.offers("size"):
            words.append(f"SIZE={len(envelope.data)}")
        if not envelope.data.isascii():
            words.append("BODY=8BITMIME")
        if envelope.needs_smtputf8:
            words.append("SMTPUTF8")
        return words


class _Start:
    """When something began, by the clock and by the stopwatch."""

    def __init__(self) -> None:
        self.at = clock.now()
        self._counter = time.perf_counter()

    @property
    def elapsed(self) -> timedelta:
        return timedelta(seconds=time.perf_counter() - self._counter)


_NO_SMTPUTF8 = Failure(
    Verdict.BOUNCED,
    BounceClass.POLICY_REJECTED,
    "the host does not take addresses outside ASCII",
    "5.6.7",
)
_NO_8BITMIME = Failure(
    Verdict.BOUNCED,
    BounceClass.POLICY_REJECTED,
    "the host does not take eight-bit content",
    "5.6.3",
)
_TOO_LARGE = Failure(
    Verdict.BOUNCED,
    BounceClass.POLICY_REJECTED,
    "the message is larger than the host takes",
    "5.3.4",
)


def _outcome_of_error(error: BaseException | None, where: str, start: _Start) -> Outcome:
    """Return the outcome of an exchange that broke; a refusal on the way is a connection failure.

    A host that says 5xx to our greeting speaks of us, not of the recipient: never a bounce.
    """
    if isinstance(error, aiosmtplib.SMTPResponseException) and 400 <= error.code < 600:
        outcome = outcome_of_reply(
            error.code, readable(error.message), started_at=start.at, duration=start.elapsed
        )
        bounce_class = outcome.bounce_class
        if bounce_class not in (BounceClass.RATE_LIMITED, BounceClass.REPUTATION_BLOCK):
            bounce_class = BounceClass.CONNECTION_FAILURE
        return replace(outcome, verdict=Verdict.DEFERRED, bounce_class=bounce_class)
    if isinstance(error, TimeoutError):
        text = f"no answer in time {where}"
    else:
        text = f"the connection failed {where}: {readable(str(error)) or type(error).__name__}"
    failure = Failure(Verdict.DEFERRED, BounceClass.CONNECTION_FAILURE, text, "4.4.2")
    return outcome_of_failure(failure, started_at=start.at, duration=start.elapsed)


def _placed(outcome: Outcome, host: Host, facts: TlsFacts, transcript: Sequence[str]) -> Outcome:
    return replace(
        outcome,
        mx_host=host.name,
        mx_address=host.address,
        tls_version=facts.version,
        tls_cipher=facts.cipher,
        tls_verified=facts.verified,
        transcript=tuple(transcript),
    )
