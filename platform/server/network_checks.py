"""The doctor's checks of what lies beyond this machine: DNS, relay, the names of vMTAs."""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from ..core.database import fetch
from ..core.settings import Settings
from ..mail.dns import LookupStatus, Resolver
from ..vmtas.inventory import is_on_this_machine
from .findings import Finding, fault, ok, warning

CONNECT_SECONDS = 10.0


def resolver_of(found: Settings) -> Resolver:
    """Return a resolver that asks the servers that the settings name."""
    return Resolver([(server.host, server.port) for server in found.dns_servers])


async def dns(found: Settings) -> Sequence[Finding]:
    """Check that look-ups are answered, and that our own name has an address."""
    answer = await resolver_of(found).addresses(found.hostname)
    if answer.status is LookupStatus.FAILED:
        servers = ", ".join(str(server) for server in found.dns_servers) or "the system's servers"
        return [
            fault(
                "DNS",
                f"Looking up {found.hostname} failed: no usable answer from {servers}.",
                "Check the network, or set POSTLANE_DNS_SERVERS to a resolver that answers.",
            )
        ]
    if answer.status is LookupStatus.FOUND:
        return [ok("DNS", f"{found.hostname} is {', '.join(answer.values)}.")]
    sentence = f"Look-ups are answered, but the host name {found.hostname} has no address."
    remedy = (
        "Set POSTLANE_HOSTNAME to a name of this machine that the world can look up: it is in "
        "every EHLO and in the records that customers publish."
    )
    make = fault if found.delivery == "direct" else warning
    return [make("DNS", sentence, remedy)]


async def relay(found: Settings) -> Sequence[Finding]:
    """Check that the smarthost can be reached, where one is used."""
    if found.delivery != "relay":
        return []
    parts = urlsplit(found.relay_url)
    host, port = parts.hostname or "", parts.port or 25
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_SECONDS)
    except (OSError, TimeoutError) as error:
        said = str(error) or "no answer in time"
        return [
            fault(
                "relay",
                f"{host}:{port} cannot be reached: {said}.",
                "Check POSTLANE_RELAY_URL and the firewalls on the way.",
            )
        ]
    writer.close()
    return [ok("relay", f"{host}:{port} takes connections.")]


async def vmtas(found: Settings) -> Sequence[Finding]:
    """Check that the addresses and the names of the vMTAs fit, as receivers do."""
    if found.delivery != "direct":
        return [ok("vMTAs", f"Not looked up: POSTLANE_DELIVERY is {found.delivery}.")]
    rows = await fetch(
        "SELECT DISTINCT name, ip_address, hostname FROM vmtas WHERE status = 'active' LIMIT 200"
    )
    resolver = resolver_of(found)
    findings = await asyncio.gather(
        *(
            _vmta(resolver, row["name"], row["ip_address"], row["hostname"] or found.hostname)
            for row in rows
        )
    )
    if not findings:
        return [fault("vMTAs", "There is none.", "Run `postlane migrate`.")]
    return [*findings, *_elsewhere(rows)]


def _elsewhere(rows: Sequence[dict[str, Any]]) -> Sequence[Finding]:
    """Return a warning for each vMTA whose address a worker here does not have."""
    return [
        warning(
            f"vMTA {row['name']}",
            f"Its address {row['ip_address']} is none of this machine: a worker here leaves its "
            "mail to others.",
            f"Add {row['ip_address']} to this machine, unless a worker on another has it.",
        )
        for row in rows
        if row["ip_address"] and not is_on_this_machine(row["ip_address"])
    ]


async def _vmta(resolver: Resolver, name: str, address: str | None, hostname: str) -> Finding:
    subject = f"vMTA {name}"
    forward = await resolver.addresses(hostname)
    if forward.status is not LookupStatus.FOUND:
        return fault(
            subject,
            f"Its EHLO name {hostname} has no address; many receivers refuse that.",
            f"Publish an A record for {hostname}, or give the vMTA another name.",
        )
    if address is None:
        return ok(subject, f"It says {hostname}; the system chooses its address.")
    reverse = await resolver.ptr(address)
    if hostname not in reverse.values:
        shown = ", ".join(reverse.values) or "nothing"
        return fault(
            subject,
            f"The PTR record of {address} says {shown}, and its EHLO name is {hostname}.",
            f"Have the owner of the address point its PTR record to {hostname}.",
        )
    if address not in forward.values:
        return fault(
            subject,
            f"{hostname} is {', '.join(forward.values)}, and not {address}.",
            f"Publish an A or AAAA record of {hostname} for {address}.",
        )
    return ok(subject, f"{address} and {hostname} point at each other.")
