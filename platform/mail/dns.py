"""DNS look-ups whose every result is a value, and the way to a domain's mail exchangers."""

import asyncio
import random
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from itertools import islice
from typing import Any, Generic, TypeVar

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.reversename

from ..core.settings import settings
from .dane import Tlsa
from .outcome import BounceClass, Failure, Verdict

LONGEST_POSITIVE = timedelta(hours=1)
LONGEST_NEGATIVE = timedelta(minutes=5)
FAILURE_KEPT = timedelta(seconds=10)
"""How long a failure is believed, so that a dead server is not asked for every message."""

_MAX_CHAIN = 8
_MAX_EXCHANGERS = 20
"""A stranger chooses how many exchangers his domain has; we look at this many."""
_MAX_VALUES = 500
"""And how many records a name has: thousands of addresses fit into one answer."""

T = TypeVar("T")


class LookupStatus(StrEnum):
    """How a look-up ended."""

    FOUND = "found"
    NO_NAME = "no_name"
    """The name does not exist (NXDOMAIN)."""
    NO_DATA = "no_data"
    """The name exists and has no record of this type."""
    FAILED = "failed"
    """No server gave an answer that counts: SERVFAIL, REFUSED, a time-out, a broken chain."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a look-up found; *values* is empty unless the status is `FOUND`."""

    status: LookupStatus
    values: tuple[T, ...] = ()
    is_secure: bool = False
    """Whether a resolver that we trust has validated it by DNSSEC."""


@dataclass(frozen=True, slots=True)
class Exchanger:
    """One MX record; *host* is in lower case, and empty for a null MX (RFC 7505)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class RouteHost:
    """A mail exchanger and its addresses, IPv4 first."""

    name: str
    preference: int
    addresses: tuple[str, ...]
    is_secure: bool = False
    """Whether DNSSEC protects all that led here, from the domain to the addresses."""


@dataclass(frozen=True, slots=True)
class Route:
    """The hosts to try for a domain, in this order; or, if there is none, why."""

    hosts: tuple[RouteHost, ...]
    failure: Failure | None = None
    exchangers: tuple[str, ...] = field(default=(), compare=False)
    """All hosts that the domain names, with an address or without."""

    @property
    def site(self) -> str:
        """The same for every domain that is served by the same hosts."""
        return ",".join(sorted(self.exchangers or {host.name for host in self.hosts}))


class Resolver:
    """Asks DNS servers, and remembers: records for their TTL, failures for seconds.

    *servers* are addresses and ports, the system's where there are none. *timeout* is for one
    look-up, all its tries included. Concurrent look-ups of one thing are one question.
    """

    def __init__(
        self,
        servers: Sequence[tuple[str, int]] = (),
        *,
        timeout: timedelta = timedelta(seconds=5),
        cache_size: int = 10_000,
    ) -> None:
        self._servers = tuple(servers)
        self._timeout = timeout
        self._cache_size = cache_size
        self._cache: OrderedDict[tuple[str, str], tuple[float, Answer[Any]]] = OrderedDict()
        self._running: dict[tuple[str, str], asyncio.Task[Answer[Any]]] = {}
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._is_trusted = False

    async def txt(self, name: str, *, fresh: bool = False) -> Answer[str]:
        """Return the TXT records, the strings of each joined."""
        return await self._look_up(name, "TXT", fresh=fresh)

    async def cname(self, name: str, *, fresh: bool = False) -> Answer[str]:
        """Return the name that *name* is an alias of; `NO_DATA` for no alias."""
        return await self._look_up(name, "CNAME", fresh=fresh)

    async def mx(self, name: str, *, fresh: bool = False) -> Answer[Exchanger]:
        """Return the mail exchangers as published, in no order."""
        return await self._look_up(name, "MX", fresh=fresh)

    async def addresses(self, host: str, *, fresh: bool = False) -> Answer[str]:
        """Return the IPv4 and then the IPv6 addresses.

        One family is enough: `FAILED` only if the other has none. Secure only if all are.
        """
        kept = None if fresh else (self._kept((host, "A")), self._kept((host, "AAAA")))
        if kept is not None and kept[0] is not None and kept[1] is not None:
            # Asked for every connection; two tasks for nothing would be felt.
            v4, v6 = kept[0], kept[1]
        else:
            v4, v6 = await asyncio.gather(
                self._look_up(host, "A", fresh=fresh), self._look_up(host, "AAAA", fresh=fresh)
            )
        values = v4.values + v6.values
        if values:
            is_secure = all(each.is_secure for each in (v4, v6) if each.values)
            return Answer(LookupStatus.FOUND, values, is_secure)
        return v4 if LookupStatus.FAILED is v4.status else v6

    async def a(self, name: str, *, fresh: bool = False) -> Answer[str]:
        """Return the IPv4 addresses alone: of a blocklist they are its answer (RFC 5782)."""
        return await self._look_up(name, "A", fresh=fresh)

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """Return what the DNS says of the certificates at *name*, such as `_25._tcp.mx.example`."""
        return await self._look_up(name, "TLSA", fresh=False)

    async def ptr(self, ip: str, *, fresh: bool = False) -> Answer[str]:
        """Return the names of an address.

        Raises:
            ValueError: *ip* is no IP address.
        """
        try:
            name = dns.reversename.from_address(ip)
        except dns.exception.SyntaxError:
            raise ValueError(f"{ip!r} is not an IP address") from None
        return await self._look_up(name.to_text(), "PTR", fresh=fresh)

    async def _look_up(self, name: str, kind: str, *, fresh: bool) -> Answer[Any]:
        key = (name.rstrip(".").lower(), kind)
        if not fresh and (kept := self._kept(key)) is not None:
            return kept
        task = self._running.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(*key))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        # Shielded: whoever gives up waiting must not take the answer from the others.
        return await asyncio.shield(task)

    def _kept(self, key: tuple[str, str]) -> Answer[Any] | None:
        kept = self._cache.get(key)
        if kept is None or kept[0] <= time.monotonic():
            return None
        self._cache.move_to_end(key)
        return kept[1]

    async def _ask(self, name: str, kind: str) -> Answer[Any]:
        answer, lifetime = await self._resolve(name, kind)
        if lifetime > 0:
            self._cache[name, kind] = (time.monotonic() + lifetime, answer)
            if len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        else:
            self._cache.pop((name, kind), None)
        return answer

    async def _resolve(self, name: str, kind: str) -> tuple[Answer[Any], float]:
        """Return the answer and for how many seconds it holds."""
        try:
            found, is_secure = await self._chase(name, kind)
        except dns.resolver.NXDOMAIN as error:
            responses: dict[Any, dns.message.QueryMessage] = error.kwargs["responses"]
            ttl = min(each.resolve_chaining().minimum_ttl for each in responses.values())
            return Answer(LookupStatus.NO_NAME), _within(ttl, LONGEST_NEGATIVE)
        except (dns.exception.DNSException, OSError, ValueError):
            # A name that cannot be encoded is a ValueError of its own kind.
            return Answer(LookupStatus.FAILED), FAILURE_KEPT.total_seconds()
        ttl = found.chaining_result.minimum_ttl
        if found.rrset is None:
            return Answer(LookupStatus.NO_DATA, (), is_secure), _within(ttl, LONGEST_NEGATIVE)
        values = tuple(_READERS[kind](rdata) for rdata in islice(found.rrset, _MAX_VALUES))
        return Answer(LookupStatus.FOUND, values, is_secure), _within(ttl, LONGEST_POSITIVE)

    async def _chase(self, name: str, kind: str) -> tuple[dns.resolver.Answer, bool]:
        """Follow aliases where the server does not, most do; say whether all is validated."""
        resolver = self._open()
        is_secure = self._is_trusted
        for _ in range(_MAX_CHAIN):
            found = await resolver.resolve(
                name,
                kind,
                raise_on_no_answer=False,
                search=False,
                lifetime=self._timeout.total_seconds(),
            )
            is_secure = is_secure and bool(found.response.flags & dns.flags.AD)
            if found.rrset is not None or found.canonical_name == found.qname:
                return found, is_secure
            name = found.canonical_name.to_text()
        raise dns.message.ChainTooLong

    def _open(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=not self._servers)
            if self._servers:
                resolver.nameservers = [
                    dns.nameserver.Do53Nameserver(address, port) for address, port in self._servers
                ]
            # Two tries per look-up: a lost datagram is not a dead server.
            resolver.timeout = self._timeout.total_seconds() / 2
            # AD in a question asks for AD in the answer (RFC 6840 section 5.7).
            resolver.flags = int(dns.flags.RD | dns.flags.AD)
            # Whoever is on the way to a server can set AD in its answers. Servers that the
            # operator named are his to answer for; of others, only one on this machine counts.
            self._is_trusted = bool(self._servers) or all(
                map(_is_on_this_machine, resolver.nameservers)
            )
            self._resolver = resolver
        return self._resolver


@lru_cache(maxsize=1)
def resolver() -> Resolver:
    """Return this process's resolver, which asks the servers of `POSTLANE_DNS_SERVERS`."""
    return Resolver([(server.host, server.port) for server in settings().dns_servers])


async def route(
    resolver: Resolver, domain: str, *, own_names: Collection[str] = frozenset()
) -> Route:
    """Return the hosts that take mail for *domain*, best first, equals in random order.

    *own_names* are this deployment's host names: nothing is sent to them or their addresses,
    nor to what is no better than them.
    Source: RFC 5321 section 5.1, RFC 7505.
    """
    found = await resolver.mx(domain)
    if found.status is LookupStatus.FAILED:
        return _no_route(_DNS_FAILED)
    if found.status is LookupStatus.NO_NAME:
        return _no_route(_NO_DOMAIN)
    if found.values and not any(each.host for each in found.values):
        return _no_route(_NULL_MX)
    # What is no host name has no mail exchanger behind it, and would be too long to be kept.
    exchangers = [each for each in found.values if _HOST_NAME.fullmatch(each.host)]
    if found.values and not exchangers:
        return _no_route(_NO_HOST)
    exchangers = exchangers or [Exchanger(0, domain)]
    named = tuple(sorted({each.host for each in exchangers}))
    exchangers = _better_than_us(exchangers, own_names)
    if not exchangers:
        return _no_route(_LOOP)
    exchangers = _in_order(exchangers)[:_MAX_EXCHANGERS]
    answers = await asyncio.gather(*(resolver.addresses(each.host) for each in exchangers))
    hosts = tuple(
        RouteHost(each.host, each.preference, answer.values, found.is_secure and answer.is_secure)
        for each, answer in zip(exchangers, answers, strict=True)
        if answer.values
    )
    if hosts:
        hosts = _before_us(hosts, await _addresses(resolver, own_names))
        if not hosts:
            return _no_route(_LOOP)
        return Route(hosts, exchangers=named)
    has_failed = any(answer.status is LookupStatus.FAILED for answer in answers)
    return _no_route(_DNS_FAILED if has_failed else _NO_HOST)


_HOST_NAME = re.compile(r"[a-z0-9_.-]{1,253}", re.ASCII)

_DNS_FAILED = Failure(
    Verdict.DEFERRED, BounceClass.CONNECTION_FAILURE, "DNS gave no answer", "4.4.3"
)
_NO_DOMAIN = Failure(Verdict.BOUNCED, BounceClass.BAD_DOMAIN, "the domain does not exist", "5.1.2")
_NULL_MX = Failure(
    Verdict.BOUNCED, BounceClass.BAD_DOMAIN, "the domain says that it takes no mail", "5.1.10"
)
_NO_HOST = Failure(
    Verdict.BOUNCED, BounceClass.BAD_DOMAIN, "the domain has no mail exchanger", "5.4.4"
)
_LOOP = Failure(
    Verdict.BOUNCED, BounceClass.POLICY_REJECTED, "mail for the domain would come to us", "5.4.6"
)


def _no_route(failure: Failure) -> Route:
    return Route((), failure)


def _better_than_us(exchangers: list[Exchanger], own_names: Collection[str]) -> list[Exchanger]:
    own = {name.rstrip(".").lower() for name in own_names}
    ours = [each.preference for each in exchangers if each.host in own]
    return [each for each in exchangers if each.preference < min(ours)] if ours else exchangers


def _before_us(hosts: tuple[RouteHost, ...], own: frozenset[str]) -> tuple[RouteHost, ...]:
    """Return the hosts that are better than whichever of them is us under another name."""
    ours = [host.preference for host in hosts if not own.isdisjoint(host.addresses)]
    return tuple(host for host in hosts if host.preference < min(ours)) if ours else hosts


async def _addresses(resolver: Resolver, names: Collection[str]) -> frozenset[str]:
    found: list[str] = []
    for name in names:
        found += (await resolver.addresses(name)).values
    return frozenset(found)


def _in_order(exchangers: list[Exchanger]) -> list[Exchanger]:
    shuffled = random.sample(exchangers, len(exchangers))
    return sorted(shuffled, key=lambda each: each.preference)


def _is_on_this_machine(server: str | dns.nameserver.Nameserver) -> bool:
    try:
        return ip_address(str(server)).is_loopback
    except ValueError:
        return False


def _within(ttl: int, longest: timedelta) -> float:
    return min(float(ttl), longest.total_seconds())


def _host(name: Any) -> str:
    text: str = name.to_text(omit_final_dot=True)
    return "" if text in (".", "@") else text.lower()


_READERS: dict[str, Callable[[Any], Any]] = {
    "A": lambda rdata: rdata.address,
    "AAAA": lambda rdata: rdata.address,
    "TXT": lambda rdata: b"".join(rdata.strings).decode("utf-8", "replace"),
    "CNAME": lambda rdata: _host(rdata.target),
    "PTR": lambda rdata: _host(rdata.target),
    "TLSA": lambda rdata: Tlsa(rdata.usage, rdata.selector, rdata.mtype, bytes(rdata.cert)),
    "MX": lambda rdata: Exchanger(rdata.preference, _host(rdata.exchange)),
}
