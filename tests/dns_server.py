"""A DNS server on loopback, over UDP and TCP, whose zones a test sets as it goes."""

import re
import socketserver
import struct
import threading
from collections import Counter
from types import TracebackType
from typing import Self

from dnslib import (
    AAAA,
    CNAME,
    MX,
    NS,
    PTR,
    QTYPE,
    RCODE,
    RR,
    SOA,
    TLSA,
    TXT,
    A,
    DNSLabel,
    DNSRecord,
)

LARGEST_DATAGRAM = 1_232
"""A longer answer is truncated, and the client has to come again over TCP."""

_TTL_OF_ABSENCE = 60


class DnsServer:
    """Answers for every name it was given, and NXDOMAIN for every other.

    *address* and *port* are where it listens, the same for UDP and TCP. `queries` counts the
    questions by name and type, `tcp_queries` those of them that came over TCP.
    """

    def __init__(self) -> None:
        self.address = "127.0.0.1"
        self.port = 0
        self.queries: Counter[tuple[str, str]] = Counter()
        self.tcp_queries: Counter[tuple[str, str]] = Counter()
        self._records: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}
        self._failures: dict[str, str] = {}
        self._signed: set[str] = set()
        self._servers: list[socketserver.BaseServer] = []

    @property
    def server(self) -> tuple[str, int]:
        """What to give a resolver."""
        return self.address, self.port

    def set(self, name: str, kind: str, *values: str, ttl: int = 60) -> None:
        """Give *name* these records of one type, in place of those it had; none removes them.

        An MX value is `10 mx.example`, a TLSA value `3 1 1 0af9...`; a TXT value of any length
        is one record. Octets that no host name has are written `\\255`.
        """
        key = (_normal(name), kind.upper())
        self._failures.pop(key[0], None)
        self._records.pop(key, None)
        if values:
            self._records[key] = (ttl, values)

    def fail(self, name: str, how: str) -> None:
        """Answer SERVFAIL or REFUSED for *name*, or for TIMEOUT nothing at all."""
        self._failures[_normal(name)] = how

    def sign(self, *zones: str) -> None:
        """Say of every answer about a name in *zones*, and no other, that DNSSEC validated it."""
        self._signed = {_normal(zone) for zone in zones}

    def clear(self) -> None:
        """Forget all records, failures, signed zones and counts."""
        self._records.clear()
        self._signed.clear()
        self._failures.clear()
        self.queries.clear()
        self.tcp_queries.clear()

    def start(self) -> Self:
        """Listen on a free port, in threads of its own."""
        while not self._servers:
            udp = _UdpServer((self.address, 0), _UdpHandler)
            try:
                tcp = _TcpServer(udp.server_address, _TcpHandler)
            except OSError:
                udp.server_close()  # somebody has that port for TCP: take another
                continue
            self._servers = [udp, tcp]
            self.port = udp.server_address[1]
        for server in self._servers:
            server.zones = self  # type: ignore[attr-defined]
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def answer(self, octets: bytes, *, is_tcp: bool) -> bytes | None:
        """Return the answer to a question, or nothing where it is to run into a time-out."""
        question = DNSRecord.parse(octets)
        name, kind = _normal(str(question.q.qname)), QTYPE[question.q.qtype]
        self.queries[name, kind] += 1
        if is_tcp:
            self.tcp_queries[name, kind] += 1
        reply = question.reply()
        failure = self._failures.get(name)
        if failure == "TIMEOUT":
            return None
        if failure is not None:
            reply.header.rcode = getattr(RCODE, failure)
        else:
            self._fill(reply, name, kind)
            names = [name, *(_normal(str(record.rname)) for record in reply.rr)]
            # Only to whom asks for it, as a real one does; all names of a chain have to be safe.
            reply.header.ad = question.header.ad and all(map(self._is_signed, names))
        packed: bytes = reply.pack()
        if not is_tcp and len(packed) > LARGEST_DATAGRAM:
            cut = question.reply()
            cut.header.tc = 1
            packed = cut.pack()
        return packed

    def _fill(self, reply: DNSRecord, name: str, kind: str) -> None:
        for _ in range(8):
            if kind == "CNAME" or (name, "CNAME") not in self._records:
                break
            ttl, (target, *_) = self._records[name, "CNAME"]
            reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(target), ttl=ttl))
            name = _normal(target)
        ttl, values = self._records.get((name, kind), (0, ()))
        for value in values:
            rdata = _rdata(kind, value)
            reply.add_answer(RR(_label(name), getattr(QTYPE, kind), rdata=rdata, ttl=ttl))
        if not values:
            if not self._exists(name):
                reply.header.rcode = RCODE.NXDOMAIN
            soa = SOA("ns.invalid", "hostmaster.invalid", (1, 60, 60, 60, _TTL_OF_ABSENCE))
            reply.add_auth(RR("invalid", QTYPE.SOA, rdata=soa, ttl=_TTL_OF_ABSENCE))

    def _is_signed(self, name: str) -> bool:
        return any(name == zone or name.endswith(f".{zone}") for zone in self._signed)

    def _exists(self, name: str) -> bool:
        return any(known == name or known.endswith(f".{name}") for known, _ in list(self._records))


class _UdpHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        octets, socket = self.request
        answer = self.server.zones.answer(octets, is_tcp=False)  # type: ignore[attr-defined]
        if answer is not None:
            socket.sendto(answer, self.client_address)


class _TcpHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        stream = self.request.makefile("rb")
        while len(head := stream.read(2)) == 2:
            octets = stream.read(struct.unpack("!H", head)[0])
            answer = self.server.zones.answer(octets, is_tcp=True)  # type: ignore[attr-defined]
            if answer is None:
                return
            self.request.sendall(struct.pack("!H", len(answer)) + answer)


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


def _normal(name: str) -> str:
    return name.rstrip(".").lower()


def _label(name: str) -> DNSLabel:
    """Return a name in which any octet may be written as `\\ddd`, as zone files do."""
    octets = re.sub(rb"\\(\d{3})", lambda found: bytes([int(found[1])]), name.encode())
    return DNSLabel([part for part in octets.split(b".") if part])


def _rdata(kind: str, value: str) -> object:
    if kind == "MX":
        preference, host = value.split()
        return MX(_label(host), int(preference))
    if kind == "TXT":
        octets = value.encode()
        return TXT([octets[start : start + 255] for start in range(0, len(octets), 255)] or [b""])
    if kind == "TLSA":
        usage, selector, matching, data = value.split()
        return TLSA(int(usage), int(selector), int(matching), bytes.fromhex(data))
    return {"A": A, "AAAA": AAAA, "CNAME": CNAME, "NS": NS, "PTR": PTR}[kind](value)
