"""A mail exchanger that fails as the local part of an address asks it to.

Of the sender or the recipient, whichever is at that step; what follows a `+` does not count:

    ok                   takes the message, as it does for any other name
    550-at-mail          refuses with that code at MAIL, RCPT or the end of the content;
    451-at-rcpt          any code of 400 to 599 will do; 421 hangs up as well
    552-at-data
    drop-at-rcpt         hangs up without a word, at RCPT
    drop-at-data         hangs up in the middle of the content
    drop-after-data      takes the message and hangs up without saying so
    slow-2s              answers the end of the content after two seconds
    greylist             refuses the first attempt with a 450
    closed               refuses with a 451 for as long as the sink `is_closed`

Runs in a thread of a test (`Sink`), or by itself for tests that kill processes and for
benchmarks: `python -m tests.sink --port 2525 --log accepted.jsonl` appends one line of JSON for
every message and recipient before it says 250.
"""

import argparse
import asyncio
import base64
import json
import os
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self, cast

from .certificates import Certificate, make_certificate

_BEHAVIOUR = re.compile(
    r"(?P<code>[45][0-9][0-9])-at-(?P<step>mail|rcpt|data)|drop-(?P<drop>at-rcpt|at-data|after-data)"
    r"|slow-(?P<seconds>[0-9.]+)s|(?P<greylist>greylist)|(?P<closed>closed)"
)
_TEXTS = {
    421: "4.7.0 Too many messages from your address, try again later",
    450: "4.2.1 The mailbox is busy",
    451: "4.3.0 Try again later",
    452: "4.2.2 The mailbox is full",
    550: "5.1.1 No such user here",
    551: "5.1.6 The user has moved",
    552: "5.2.2 The mailbox is full",
    553: "5.1.3 No mailbox has such a name",
    554: "5.7.1 Rejected as spam content",
    571: "5.7.1 Blocked using a block list",
    572: "5.7.1 Blocked, see zen.spamhaus.org",
}
_PATH = re.compile(r"(?:FROM|TO):\s*<([^>]*)>(.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Received:
    """A message that the sink has taken for one recipient, dots unstuffed."""

    envelope_from: str
    recipient: str
    data: bytes
    peer: str
    tls: bool
    ehlo: str


@dataclass(slots=True)
class Manner:
    """How the sink behaves towards everybody; may be changed while it runs.

    *starttls* `broken` agrees and then talks nonsense, `refused` offers it and says 454.
    *greeting* replaces the 220 and, if it refuses, hangs up. *messages_per_connection* ends with
    a 421. *login* makes AUTH needed. *delay* is before every last reply.
    """

    starttls: Literal["off", "on", "broken", "refused"] = "off"
    greeting: str = "220 sink.example ESMTP"
    extensions: tuple[str, ...] = ("PIPELINING", "SIZE 30000000", "8BITMIME", "SMTPUTF8")
    knows_ehlo: bool = True
    messages_per_connection: int | None = None
    login: tuple[str, str] | None = None
    delay: float = 0.0
    is_closed: bool = False
    certificate_names: tuple[str, ...] = ("sink.example", "localhost")
    certificate_expired: bool = False

    @property
    def certificate(self) -> Certificate:
        """What it shows, and who signed it."""
        return make_certificate(*self.certificate_names, expired=self.certificate_expired)


@dataclass(slots=True)
class Book:
    """What the sink has seen, over all connections."""

    take: Callable[[Received], None]
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    seen_by_greylist: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)


class Sink:
    """A sink in a thread of its own; `messages` is what it has taken, oldest first."""

    def __init__(self, port: int = 0, *, host: str = "127.0.0.1", **manner: Any) -> None:
        self.host = host
        self.port = port
        self.manner = Manner(**manner)
        self.messages: list[Received] = []
        self.book = Book(self.messages.append)
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def count_by_recipient(self) -> Counter[str]:
        """How many messages each recipient has got."""
        return Counter(message.recipient for message in self.messages)

    @property
    def ca_file(self) -> str:
        """The authority that signed the sink's certificate."""
        return str(self.manner.certificate.ca_file)

    def start(self) -> Self:
        """Listen; *port* is known when this returns."""
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def stop(self) -> None:
        """Hang up on everybody and stop."""
        if self._server is not None and self._thread is not None:
            asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()
            self._server = None

    def hang_up_on_all(self) -> None:
        """Close every connection without a word, and go on listening."""
        for talk in list(self._talks):
            self._loop.call_soon_threadsafe(talk.hang_up)

    def clear(self) -> None:
        """Forget what was taken and counted."""
        self.messages.clear()
        self.book = Book(self.messages.append)

    async def received(self, count: int, *, within: float = 60.0) -> list[Received]:
        """Return the messages once there are *count*, or fail."""
        deadline = time.monotonic() + within
        while len(self.messages) < count:
            assert time.monotonic() < deadline, f"{len(self.messages)} messages, not {count}"
            await asyncio.sleep(0.01)
        return list(self.messages)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def _listen(self) -> asyncio.Server:
        self._talks: set[_Talk] = set()
        return await self._loop.create_server(
            lambda: _Talk(self.manner, self.book, self._talks), self.host, self.port
        )

    async def _hang_up(self) -> None:
        assert self._server is not None
        self._server.close()
        for talk in list(self._talks):
            talk.hang_up()
        await asyncio.sleep(0)


class _Talk(asyncio.Protocol):
    """One connection."""

    def __init__(self, manner: Manner, book: Book, talks: "set[_Talk]") -> None:
        self._manner = manner
        self._book = book
        self._talks = talks
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._in_content = False
        self._searched = 0
        self._is_waiting = False
        self._is_broken = False
        self._tls = False
        self._ehlo = ""
        self._peer = ""
        self._taken = 0
        self._login_lines: list[str] | None = None
        self._is_signed_in = False
        self._forget()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._peer = str(transport.get_extra_info("peername")[0])
        self._talks.add(self)
        self._book.connections += 1
        self._book.open_now += 1
        self._book.most_open = max(self._book.most_open, self._book.open_now)
        self._say(self._manner.greeting)
        if not self._manner.greeting.startswith("220"):
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._talks.discard(self)
        self._book.open_now -= 1

    def data_received(self, data: bytes) -> None:
        if self._is_broken:
            self._say("500 this is no TLS")
            self.hang_up()
            return
        self._unread += data
        self._go_on()

    def hang_up(self) -> None:
        """Close without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _go_on(self) -> None:
        while self._transport is not None and not self._is_waiting:
            if self._in_content:
                if self._drop == "at-data" and len(self._unread) > len("\r\n"):
                    self.hang_up()
                    return
                end = self._unread.find(b"\r\n.\r\n", max(0, self._searched - 4))
                if end < 0:
                    self._searched = len(self._unread)
                    return
                # The line end before the first line is that of DATA itself.
                content = bytes(self._unread[2 : end + 2])
                del self._unread[: end + 5]
                self._in_content = False
                self._finish(content)
            else:
                end = self._unread.find(b"\r\n")
                if end < 0:
                    return
                line = bytes(self._unread[:end]).decode("utf-8", "surrogateescape")
                del self._unread[: end + 2]
                self._obey(line)

    def _obey(self, line: str) -> None:
        if self._login_lines is not None:
            self._go_on_signing_in(line)
            return
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        self._book.commands[verb] += 1
        act = {
            "EHLO": self._on_hello,
            "HELO": self._on_hello,
            "MAIL": self._on_mail,
            "RCPT": self._on_rcpt,
            "DATA": self._on_data,
            "STARTTLS": self._on_starttls,
            "AUTH": self._on_auth,
            "RSET": self._on_rset,
        }.get(verb)
        if act is not None:
            act(line if verb in ("EHLO", "HELO") else rest)
        elif verb == "NOOP":
            self._say("250 2.0.0 OK")
        elif verb == "QUIT":
            self._say("221 2.0.0 Bye")
            if self._transport is not None:
                self._transport.close()
        else:
            self._say("500 5.5.2 What?")

    def _on_hello(self, line: str) -> None:
        verb, _, self._ehlo = line.partition(" ")
        if verb.upper() == "HELO":
            self._say("250 sink.example")
            return
        if not self._manner.knows_ehlo:
            self._say("502 5.5.1 What is EHLO?")
            return
        offers = ["sink.example", *self._manner.extensions]
        if self._manner.starttls != "off" and not self._tls:
            offers.append("STARTTLS")
        if self._manner.login is not None:
            offers.append("AUTH PLAIN LOGIN")
        self._say(*(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}")

    def _on_mail(self, rest: str) -> None:
        match = _PATH.match(rest)
        if self._manner.login is not None and not self._is_signed_in:
            self._say("530 5.7.0 Sign in first")
        elif self._taken == self._manner.messages_per_connection:
            self._refuse(421)
        elif match is None or self._sender is not None:
            self._say("503 5.5.1 Not now")
        elif not self._fails(match[1], "mail"):
            self._sender = match[1]
            self._say("250 2.1.0 OK")

    def _on_rcpt(self, rest: str) -> None:
        match = _PATH.match(rest)
        if match is None or self._sender is None:
            self._say("503 5.5.1 Not now")
            return
        behaviour = _behaviour(match[1])
        self._drop = behaviour.get("drop", "")
        if self._drop == "at-rcpt":
            self.hang_up()
        elif behaviour.get("greylist") and not self._book.seen_by_greylist[match[1]]:
            self._book.seen_by_greylist[match[1]] += 1
            self._say("450 4.7.1 Greylisted, please try again in a minute")
        elif behaviour.get("closed") and self._manner.is_closed:
            self._refuse(451)
        elif not self._fails(match[1], "rcpt"):
            self._recipients.append(match[1])
            self._say("250 2.1.5 OK")

    def _on_data(self, rest: str) -> None:
        if not self._recipients:
            self._say("554 5.5.1 For whom?")
            return
        self._in_content = True
        self._searched = 0
        self._unread[:0] = b"\r\n"
        self._say("354 Go ahead")

    def _finish(self, content: bytes) -> None:
        seconds = self._manner.delay
        for recipient in self._recipients:
            seconds += float(_behaviour(recipient).get("seconds") or 0)
        if seconds:
            self._is_waiting = True
            asyncio.get_running_loop().call_later(seconds, self._take, content)
        else:
            self._take(content)

    def _take(self, content: bytes) -> None:
        was_waiting, self._is_waiting = self._is_waiting, False
        if self._transport is None:
            return  # it did not wait for the answer, so it has not got one
        if not any(self._fails(recipient, "data") for recipient in self._recipients):
            data = content.replace(b"\r\n..", b"\r\n.")
            data = data[1:] if data.startswith(b"..") else data
            for recipient in self._recipients:
                self._book.take(
                    Received(self._sender or "", recipient, data, self._peer, self._tls, self._ehlo)
                )
            self._taken += 1
            if self._drop == "after-data":
                self.hang_up()
            else:
                self._say("250 2.0.0 Taken")
        self._forget()
        if was_waiting:
            self._go_on()

    def _on_rset(self, rest: str) -> None:
        self._forget()
        self._say("250 2.0.0 OK")

    def _on_starttls(self, rest: str) -> None:
        if self._manner.starttls == "refused":
            self._say("454 4.7.0 No TLS now")
            return
        self._say("220 2.0.0 Go ahead")
        if self._manner.starttls == "broken":
            self._is_broken = True
        else:
            self._is_waiting = True
            self._upgrade = asyncio.get_running_loop().create_task(self._start_tls())

    async def _start_tls(self) -> None:
        made = self._manner.certificate
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.chain_file, made.key_file)
        assert self._transport is not None
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self._transport, self, context, server_side=True
            )
        except OSError:
            self.hang_up()
            return
        self._transport = transport
        self._tls = True
        self._is_waiting = False
        self._go_on()

    def _on_auth(self, rest: str) -> None:
        method, _, initial = rest.partition(" ")
        self._login_lines = []
        if method.upper() == "PLAIN" and initial:
            self._go_on_signing_in(initial)
        else:
            self._say("334 VXNlcm5hbWU6")

    def _go_on_signing_in(self, line: str) -> None:
        assert self._login_lines is not None
        self._login_lines.append(base64.b64decode(line).decode())
        words = "\0".join(self._login_lines).strip("\0").split("\0")
        if len(words) < 2:
            self._say("334 UGFzc3dvcmQ6")
            return
        self._login_lines = None
        self._is_signed_in = tuple(words) == self._manner.login
        self._say("235 2.7.0 OK" if self._is_signed_in else "535 5.7.8 Who are you?")

    def _fails(self, address: str, step: str) -> bool:
        behaviour = _behaviour(address)
        if behaviour.get("step") != step:
            return False
        self._refuse(int(behaviour["code"]))
        return True

    def _refuse(self, code: int) -> None:
        self._say(f"{code} {_TEXTS.get(code, f'{code // 100}.0.0 As you asked for')}")
        if code == 421 and self._transport is not None:
            self._transport.close()

    def _forget(self) -> None:
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._drop = ""

    def _say(self, *lines: str) -> None:
        if self._transport is not None:
            self._transport.write("".join(f"{line}\r\n" for line in lines).encode())


def _behaviour(address: str) -> dict[str, str]:
    local_part = address.rpartition("@")[0].partition("+")[0]
    match = _BEHAVIOUR.fullmatch(local_part)
    return {name: value for name, value in match.groupdict().items() if value} if match else {}


def _log_writer(path: str) -> Callable[[Received], None]:
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(message: Received) -> None:
        match = re.search(rb"^message-id:\s*<([^>\r\n]*)", message.data, re.IGNORECASE | re.M)
        line = {
            "at": time.time(),
            "from": message.envelope_from,
            "to": message.recipient,
            "message_id": match[1].decode("ascii", "replace") if match else None,
            "size_bytes": len(message.data),
            "peer": message.peer,
            "tls": message.tls,
        }
        os.write(log, json.dumps(line).encode() + b"\n")

    return write


async def _serve(options: argparse.Namespace) -> None:
    starttls: Literal["off", "on", "broken"] = "on" if options.starttls else "off"
    if options.broken_starttls:
        starttls = "broken"
    manner = Manner(
        starttls=starttls,
        delay=options.delay,
        messages_per_connection=options.messages_per_connection,
    )
    book = Book(_log_writer(options.log))
    talks: set[_Talk] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Talk(manner, book, talks), options.host, options.port, backlog=1_000
    )
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await server.serve_forever()


def main() -> None:
    """Run a sink until it is killed; prints its port as its first line."""
    parser = argparse.ArgumentParser(prog="python -m tests.sink", description="A mail sink.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--log", required=True, help="file to append accepted messages to")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before the last reply")
    parser.add_argument("--starttls", action="store_true")
    parser.add_argument("--broken-starttls", action="store_true", help="offers it, talks nonsense")
    parser.add_argument("--messages-per-connection", type=int, help="then it says 421")
    options = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(options))
    else:
        uvloop.run(_serve(options))


if __name__ == "__main__":
    main()
