"""When mail from outside is put off, and what a triplet is."""

import hashlib
import re
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

IPV4_PREFIX = 24
IPV6_PREFIX = 64
"""Large senders try again from a neighbour of the address that they came from."""
RESPONSE_CODE = 451
RESPONSE_TEXT = "4.7.1 Greylisted, please try again later"
MOST_EXEMPT = 200
"""Networks, and domains, of one organization."""
DELAY_RANGE = (1, 3_600)
WINDOW_RANGE = (3_600, 604_800)
AGE_RANGE = (86_400, 31_536_000)
PASSES_RANGE = (1, 1_000)


_DOMAIN = re.compile(r"(?=.{1,253}$)(?:[a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{1,62}", re.ASCII)


class Decision(StrEnum):
    """What was decided about one recipient of one mail."""

    DEFERRED = "deferred"
    PASSED = "passed"
    """It came again in time."""
    KNOWN = "known"
    """It, or its network, has passed before."""
    EXEMPTED = "exempted"


@dataclass(frozen=True, slots=True)
class Policy:
    """How mail from outside is greylisted."""

    enabled: bool = False
    delay: timedelta = timedelta(minutes=5)
    retry_window: timedelta = timedelta(hours=48)
    max_age: timedelta = timedelta(days=35)
    auto_allow_after: int = 5
    reports: bool = False
    """Whether reports without a sender are put off as well."""
    networks: tuple[Network, ...] = ()
    domains: frozenset[str] = frozenset()
    """Whose clients are known by their confirmed host name, or by SPF."""


USUAL = Policy()


@dataclass(frozen=True, slots=True)
class Arrival:
    """One recipient of one mail, at RCPT."""

    organization_id: uuid.UUID | None
    """Whose address it is; None is the deployment's own."""
    peer: str
    sender: str
    recipient: str
    helo: str = ""

    @property
    def network(self) -> str:
        """The client's network."""
        return network_of(self.peer)

    @property
    def owner(self) -> str:
        """Stands for whose address it is."""
        return str(self.organization_id or "deployment")

    @property
    def triplet_id(self) -> uuid.UUID:
        """The same for every try of the same mail from the same network."""
        sender = _without_tag(self.sender)
        return _id("triplet", self.owner, self.network, sender, self.recipient.lower())

    @property
    def client_id(self) -> uuid.UUID:
        """The same for everything that a network sends to one organization."""
        return _id("client", self.owner, self.network)


def _id(*parts: str) -> uuid.UUID:
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return uuid.UUID(bytes=digest[:16], version=5)


def _without_tag(sender: str) -> str:
    """Return a sender without what lists and signed return paths change from try to try."""
    local, at, domain = sender.lower().rpartition("@")
    words = "".join("#" if c.isdigit() else c for c in local.partition("+")[0])
    return f"{words}{at}{domain}"


def network_of(peer: str) -> str:
    """Return the network that a client's address is told by; what is none stands for itself."""
    try:
        found = ip_address(peer)
    except ValueError:
        return peer[:45]
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    prefix = IPV6_PREFIX if isinstance(found, IPv6Address) else IPV4_PREFIX
    return str(ip_network((found, prefix), strict=False))


def is_exempt(peer: str, networks: Iterable[Network]) -> bool:
    """Say whether a client's address is in one of *networks*."""
    try:
        found = ip_address(peer)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


def is_under(name: str, domains: Collection[str]) -> bool:
    """Say whether a host or domain name is one of *domains* or below one."""
    labels = name.lower().rstrip(".").split(".")
    return any(".".join(labels[start:]) in domains for start in range(len(labels)))


def read_exemptions(value: str) -> tuple[tuple[Network, ...], frozenset[str]]:
    """Return the networks and the domains of a list with commas.

    Raises:
        ValueError: an item is neither.
    """
    return split_exemptions([part.strip() for part in value.split(",") if part.strip()])


def split_exemptions(items: Sequence[str]) -> tuple[tuple[Network, ...], frozenset[str]]:
    """Return the networks and the domains of *items*.

    Raises:
        ValueError: an item is neither.
    """
    networks: list[Network] = []
    domains: set[str] = set()
    for item in items:
        try:
            networks.append(ip_network(item))
        except ValueError:
            name = item.lower().rstrip(".")
            if not _DOMAIN.fullmatch(name):
                raise ValueError(f"{item!r} is no network and no domain") from None
            domains.add(name)
    return tuple(networks), frozenset(domains)
