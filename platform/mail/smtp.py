"""Conversations: messages in, outcomes out, nothing raised for what the other side does."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from ..core import clock
from ..core.tracing import Kind, span
from .address import InvalidAddress, parse_mailbox
from .connection import (
    Connection,
    ConnectionFailed,
    Host,
    Opening,
    Refused,
    Timeouts,
    TlsFailed,
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
from .tls import Tls, TlsFacts, demand_of
from .wire import BrokenWire, Reply

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
        _check_address(self.recipient)
        if self.sender:
            _check_address(self.sender)

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
        `DISABLED`: opportunistic encryption would hand the password to whoever breaks it. What
        the host itself demands comes before *tls*.
        *ca_file* replaces the system's certificate authorities.
        """
        if username is not None and tls is Tls.OPPORTUNISTIC:
            tls = Tls.REQUIRED
        opening = Opening(
            ehlo=ehlo,
            source_address=source_address,
            demand=host.demand or demand_of(tls),
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
            facts = TlsFacts(policy=opening.demand.policy)
            return _placed(outcome, host, facts, error.transcript)

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
                with span("SMTP conversation", Kind.CLIENT) as current:
                    current.note("server.address", connection.host.name)
                    outcome = await self._converse(envelope, start)
                    current.note("postlane.verdict", outcome.verdict.value)
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
        transaction = _Transaction(connection, envelope, needs_reset=self._needs_reset)
        try:
            await transaction.run()
        except OSError as error:
            connection.close()
            if transaction.decision is None:
                return _outcome_of_error(error, f"at {transaction.step}", start)
        reply = transaction.decision
        assert reply is not None
        self._needs_reset = reply.is_refusal
        if reply.code == 421:
            connection.close()
        return outcome_of_reply(
            reply.code, readable(reply.text), started_at=start.at, duration=start.elapsed
        )


class _Transaction:
    """One message on its way: the first refusal decides, else the reply to the content."""

    def __init__(self, connection: Connection, envelope: Envelope, *, needs_reset: bool) -> None:
        self.decision: Reply | None = None
        self.step = "MAIL"
        self._connection = connection
        self._envelope = envelope
        self._needs_reset = needs_reset

    async def run(self) -> None:
        """Send the message and set `decision`.

        Raises:
            OSError: the conversation broke at `step`; `decision` may be set all the same.
        """
        self._listen()
        commands = [*(["RSET"] if self._needs_reset else []), *self._commands()]
        is_pipelined = self._connection.offers("pipelining")
        if is_pipelined:
            self._connection.say(*commands)
        may_go_on = False
        for command in commands:
            if not is_pipelined:
                if self.decision is not None:
                    return
                self._connection.say(command)
            may_go_on = await self._hear(command[:4])
        if self.decision is None:
            await self._send_content()
        elif may_go_on:
            # It wants content for nobody; RFC 2920 section 3.1 has us send none.
            await self._connection.send_content(b"")

    def _commands(self) -> list[str]:
        connection, envelope = self._connection, self._envelope
        mail = f"MAIL FROM:<{envelope.sender}>"
        if connection.offers("size"):
            mail += f" SIZE={len(envelope.data)}"
        if not envelope.data.isascii():
            mail += " BODY=8BITMIME"
        if envelope.needs_smtputf8:
            mail += " SMTPUTF8"
        return [mail, f"RCPT TO:<{envelope.recipient}>", "DATA"]

    def _listen(self) -> None:
        """A host that is about to hang up may have said so since the last message."""
        reply = self._connection.take_unasked()
        if reply is not None:
            self.decision = reply if reply.is_refusal else None
            raise BrokenWire("the host spoke out of turn")

    async def _hear(self, step: str) -> bool:
        self.step = step
        reply = await self._connection.hear()
        if step == "RSET":
            return True
        if reply.code == 354 if step == "DATA" else reply.is_positive:
            return True
        if self.decision is None:
            # A 250 where a 354 belongs must never pass for an accepted message.
            if not reply.is_refusal:
                raise BrokenWire(f"unexpected reply {reply.code} {reply.text}")
            self.decision = reply
        return False

    async def _send_content(self) -> None:
        self.step = "the content"
        reply = await self._connection.send_content(self._envelope.data)
        if not reply.is_positive and not reply.is_refusal:
            raise BrokenWire(f"unexpected reply {reply.code} {reply.text}")
        self.decision = reply


def _check_address(text: str) -> None:
    if parse_mailbox(text).key != text.lower():
        raise InvalidAddress(f"{text!r} is more than an address, or not in ASCII after the @")


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
    """Return the outcome of an exchange that broke.

    A host that says 5xx to our greeting speaks of us, not of the recipient: never a bounce.
    """
    if isinstance(error, Refused):
        reply = error.reply
        outcome = outcome_of_reply(
            reply.code, readable(reply.text), started_at=start.at, duration=start.elapsed
        )
        bounce_class = outcome.bounce_class
        if bounce_class not in (BounceClass.RATE_LIMITED, BounceClass.REPUTATION_BLOCK):
            bounce_class = BounceClass.CONNECTION_FAILURE
        return replace(outcome, verdict=Verdict.DEFERRED, bounce_class=bounce_class)
    if isinstance(error, TimeoutError):
        text = f"no answer in time {where}"
    else:
        text = f"the connection failed {where}: {readable(str(error)) or type(error).__name__}"
    status = "4.7.5" if isinstance(error, TlsFailed) else "4.4.2"
    failure = Failure(Verdict.DEFERRED, BounceClass.CONNECTION_FAILURE, text, status)
    return outcome_of_failure(failure, started_at=start.at, duration=start.elapsed)


def _placed(outcome: Outcome, host: Host, facts: TlsFacts, transcript: Sequence[str]) -> Outcome:
    return replace(
        outcome,
        mx_host=host.name,
        mx_address=host.address,
        tls_version=facts.version,
        tls_cipher=facts.cipher,
        tls_verified=facts.verified,
        tls_policy=facts.policy,
        transcript=tuple(transcript),
    )
