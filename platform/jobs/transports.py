"""The three ways out: kept here, straight to the receiver, or through a smarthost."""

import asyncio
import socket
from collections.abc import Collection, Sequence
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

from ..core.settings import Address, Settings
from ..delivery.work import QueueRoute
from ..mail.destinations import Network, is_allowed
from ..mail.dns import Resolver, Route, route
from ..mail.outcome import BounceClass, Failure, Verdict
from ..mail.smtp import Host, Tls
from .capture import CaptureListener
from .encryption import Encryption
from .kumomta import KumoMta
from .outbound import Transport, Way, pick_family
from .sts import StsPolicies


class Capture:
    """Sends everything to the listener of this process, over SMTP like any other mail."""

    def __init__(self, listener: CaptureListener, *, hostname: str) -> None:
        self._listener = listener
        self._hostname = hostname

    async def find_way(self, queue: QueueRoute) -> Way | Failure:
        """Return the way to our own listener."""
        host = Host("capture", "127.0.0.1", self._listener.port)
        return Way((host,), queue.ehlo or self._hostname, tls=Tls.DISABLED)


class Direct:
    """Sends to the mail exchangers of the recipient's domain.

    *allowed* are private networks in which MTA-STS policies may be, *exchangers* those in which
    mail exchangers may; *ca_file* replaces the system's certificate authorities.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        port: int,
        hostname: str,
        allowed: Collection[Network] = (),
        exchangers: Collection[Network] = (),
        ca_file: str | None = None,
    ) -> None:
        policies = StsPolicies(resolver, allowed=allowed, ca_file=ca_file)
        self._encryption = Encryption(resolver, policies, port=port)
        self._resolver = resolver
        self._port = port
        self._hostname = hostname
        self._exchangers = exchangers
        self._ca_file = ca_file

    async def find_way(self, queue: QueueRoute) -> Way | Failure:
        """Return the exchangers of the queue's domain, each address on its own."""
        own_names = {self._hostname, queue.ehlo} - {""}
        found = await route(self._resolver, queue.domain, own_names=own_names)
        if found.failure is not None:
            return found.failure
        # After the look at ourselves: that we are one of the exchangers weighs more.
        found = _in_reach(found, self._exchangers)
        if not found.hosts:
            return _PRIVATE
        demands = await self._encryption.demands(queue.domain, found, asked=queue.tls)
        if isinstance(demands, Failure):
            return demands
        hosts = tuple(
            Host(host.name, address, self._port, demand)
            for host, demand in demands
            for address in pick_family(host.addresses, queue.source_address)
        )
        if not hosts:
            return _NO_COMMON_FAMILY["IPv6" if ":" in str(queue.source_address) else "IPv4"]
        return Way(
            hosts,
            queue.ehlo or self._hostname,
            source_address=queue.source_address,
            tls=queue.tls,
            ca_file=self._ca_file,
            site=found.site,
        )


class Relay:
    """Hands everything to one smarthost.

    The URL is `smtp://user:password@host:port`, or `smtps://` for TLS from the first byte;
    `?tls=disabled`, `required` or `verified` says how much encryption `smtp://` needs.
    """

    def __init__(self, url: str, *, hostname: str, ca_file: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("POSTLANE_RELAY_URL is written smtp://user:password@host:port")
        self._implicit_tls = parts.scheme == "smtps"
        self._address = Address(parts.hostname, parts.port or (465 if self._implicit_tls else 25))
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._tls = Tls(parse_qs(parts.query).get("tls", [Tls.OPPORTUNISTIC.value])[0])
        self._hostname = hostname
        self._ca_file = ca_file

    async def find_way(self, queue: QueueRoute) -> Way | Failure:
        """Return the way to the smarthost, whatever the queue's domain."""
        addresses = await _look_up(self._address)
        if not addresses:
            return _NO_RELAY
        return Way(
            tuple(Host(self._address.host, each, self._address.port) for each in addresses),
            queue.ehlo or self._hostname,
            tls=self._tls,
            implicit_tls=self._implicit_tls,
            username=self._username,
            password=self._password,
            ca_file=self._ca_file,
        )


class Sinks:
    """Keeps what is for some domains, and sends everything else another way."""

    def __init__(self, usual: Transport, sink: Transport, domains: Collection[str]) -> None:
        self._usual = usual
        self._sink = sink
        self._domains = frozenset(domains)

    async def find_way(self, queue: QueueRoute) -> Way | Failure:
        """Return the way that the queue's domain goes."""
        chosen = self._sink if queue.domain in self._domains else self._usual
        return await chosen.find_way(queue)


def make_transport(settings: Settings, capture: CaptureListener) -> Transport:
    """Return the way out that `POSTLANE_DELIVERY` names, beside that of some vMTAs to KumoMTA."""
    found = _usual_transport(settings, capture)
    if settings.kumomta_vmtas:
        found = KumoMta(
            settings.kumomta_url, settings.kumomta_vmtas, found, ca_file=_ca_file(settings)
        )
    if settings.sink_domains and not isinstance(found, Capture):
        found = Sinks(found, Capture(capture, hostname=settings.hostname), settings.sink_domains)
    return found


def _usual_transport(settings: Settings, capture: CaptureListener) -> Transport:
    if settings.delivery == "direct":
        servers = [(server.host, server.port) for server in settings.dns_servers]
        return Direct(
            Resolver(servers),
            port=settings.mx_port,
            hostname=settings.hostname,
            allowed=settings.private_destinations,
            exchangers=settings.private_exchangers,
            ca_file=_ca_file(settings),
        )
    if settings.delivery == "relay":
        return Relay(settings.relay_url, hostname=settings.hostname, ca_file=_ca_file(settings))
    return Capture(capture, hostname=settings.hostname)


def _in_reach(found: Route, allowed: Collection[Network]) -> Route:
    """Return the route without the addresses that strangers may not send us to."""
    hosts = []
    for host in found.hosts:
        addresses = tuple(each for each in host.addresses if is_allowed(each, allowed=allowed))
        if addresses:
            hosts.append(replace(host, addresses=addresses))
    return replace(found, hosts=tuple(hosts))


def _ca_file(settings: Settings) -> str | None:
    return str(settings.ca_file) if settings.ca_file else None


async def _look_up(address: Address) -> Sequence[str]:
    # The system's resolver, because a smarthost is often named in /etc/hosts only.
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )
    except OSError:
        return []
    return list(dict.fromkeys(str(each[4][0]) for each in found))


_PRIVATE = Failure(
    Verdict.BOUNCED,
    BounceClass.POLICY_REJECTED,
    "the domain's mail exchangers have private addresses only, and to those nothing is sent",
    "5.4.4",
    is_local=True,
)
_NO_COMMON_FAMILY = {
    ours: Failure(
        Verdict.DEFERRED,
        BounceClass.CONNECTION_FAILURE,
        f"the domain's hosts have {theirs} addresses only, and the vMTA's address is {ours}",
        "4.4.1",
        is_local=True,
    )
    for ours, theirs in (("IPv4", "IPv6"), ("IPv6", "IPv4"))
}
"""By the family of our address."""
_NO_RELAY = Failure(
    Verdict.DEFERRED,
    BounceClass.CONNECTION_FAILURE,
    "the smarthost has no address",
    "4.4.3",
    is_local=True,
)
