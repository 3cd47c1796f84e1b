"""A name server for `postlane up --demo`: authoritative for one zone, passing on the rest."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset

from ..core.settings import Address

log = logging.getLogger(__name__)

TTL_SECONDS = 1
"""What is published may change at any moment, and nobody far away asks."""
UPSTREAM_SECONDS = 3.0
LARGEST_DATAGRAM = 1232
"""Bytes that fit into one packet everywhere; a longer answer is asked for again over TCP.

Source: https://www.dnsflagday.net/2020/
"""
MOST_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Record:
    """One record to publish; *value* is as people write it, a TXT value without its quotes."""

    name: str
    type: str
    value: str


class DemoNameServer:
    """Answers on the loopback for *zone*; other names are asked of the system's servers."""

    def __init__(self, zone: str) -> None:
        self._zone = dns.name.from_text(zone)
        self._records: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], dns.rrset.RRset] = {}
        self._upstream = _system_servers()
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> Address:
        """Where it listens; it has to be started."""
        if self._server is None:
            raise RuntimeError("The name server has not been started.")
        return Address(*self._server.sockets[0].getsockname()[:2])

    async def start(self) -> Address:
        """Listen on a free port, UDP and TCP, and return where."""
        loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._serve_stream, "127.0.0.1", 0)
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._take), local_addr=(self.address.host, self.address.port)
        )
        return self.address

    async def stop(self) -> None:
        """Answer no more."""
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()

    def publish(self, records: Iterable[Record]) -> None:
        """Make *records* all that the zone holds."""
        self._records = {}
        for record in records:
            name = dns.name.from_text(record.name)
            kind = dns.rdatatype.from_text(record.type)
            value = _quoted(record.value) if kind is dns.rdatatype.TXT else record.value
            data = dns.rdata.from_text(
                dns.rdataclass.IN, kind, value, origin=dns.name.root, relativize=False
            )
            held = self._records.setdefault(
                (name, kind), dns.rrset.RRset(name, dns.rdataclass.IN, kind)
            )
            held.add(data, TTL_SECONDS)

    async def answer(self, query: dns.message.Message) -> dns.message.Message:
        """Return the answer to *query*."""
        if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            return _failed(query, dns.rcode.NOTIMP)
        asked = query.question[0]
        if not asked.name.is_subdomain(self._zone):
            return await self._pass_on(query)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        found = self._records.get((asked.name, asked.rdtype))
        alias = self._records.get((asked.name, dns.rdatatype.CNAME))
        if found or alias:
            response.answer += [each for each in (found or alias,) if each]
        else:
            response.authority.append(self._start_of_authority())
            if not any(name.is_subdomain(asked.name) for name, _ in self._records):
                response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    async def _pass_on(self, query: dns.message.Message) -> dns.message.Message:
        for server in self._upstream:
            try:
                response, _ = await dns.asyncquery.udp_with_fallback(
                    query, server, timeout=UPSTREAM_SECONDS
                )
            except (dns.exception.DNSException, OSError):
                continue
            return response
        return _failed(query, dns.rcode.SERVFAIL)

    def _start_of_authority(self) -> dns.rrset.RRset:
        zone = self._zone.to_text()
        return dns.rrset.from_text(
            self._zone,
            TTL_SECONDS,
            dns.rdataclass.IN,
            dns.rdatatype.SOA,
            f"ns.{zone} hostmaster.{zone} 1 60 60 60 {TTL_SECONDS}",
        )

    def _take(self, data: bytes, peer: tuple[str, int]) -> None:
        if len(self._answering) >= MOST_AT_ONCE:
            return
        task = asyncio.create_task(self._answer_datagram(data, peer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer_datagram(self, data: bytes, peer: tuple[str, int]) -> None:
        response = await self._respond(data)
        if response is None or self._transport is None:
            return
        wire = response.to_wire(max_size=LARGEST_DATAGRAM, prefer_truncation=True)
        self._transport.sendto(wire, peer)

    async def _serve_stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with asyncio.timeout(10):
                size = int.from_bytes(await reader.readexactly(2), "big")
                response = await self._respond(await reader.readexactly(size))
                if response is not None:
                    wire = response.to_wire()
                    writer.write(len(wire).to_bytes(2, "big") + wire)
                    await writer.drain()
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            log.debug("a DNS question over TCP was cut short")
        finally:
            writer.close()

    async def _respond(self, data: bytes) -> dns.message.Message | None:
        """Return the answer to a question on the wire; None to what is no question."""
        try:
            query = dns.message.from_wire(data)
            return None if query.flags & dns.flags.QR else await self.answer(query)
        except (dns.exception.DNSException, ValueError):
            return None


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand on one question."""
        self._take(data, addr)


def _failed(query: dns.message.Message, code: dns.rcode.Rcode) -> dns.message.Message:
    response = dns.message.make_response(query)
    response.set_rcode(code)
    return response


def _quoted(text: str) -> str:
    """Return a TXT value in quoted strings of at most 255 bytes each (RFC 1035 3.3.14)."""
    parts = (text[start : start + 255] for start in range(0, max(len(text), 1), 255))
    escaped = (part.replace("\\", "\\\\").replace('"', '\\"') for part in parts)
    return " ".join(f'"{part}"' for part in escaped)


def _system_servers() -> list[str]:
    try:
        return [str(each) for each in dns.resolver.Resolver().nameservers]
    except dns.exception.DNSException:
        return []
