"""Known senders: told by a host name that leads back to the address, or by SPF."""

import asyncio

from ..domains.spf_receiver import SpfResult, judge_spf
from ..mail.dns import Resolver, resolver
from .rules import Arrival, is_under

WITHIN_SECONDS = 5.0


async def is_known_sender(arrival: Arrival, domains: frozenset[str]) -> bool:
    """Say whether a client is one of *domains*: by its confirmed host name, or by SPF.

    Without an answer it is not.
    """
    dns = resolver()
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            return await _has_name(dns, arrival.peer, domains) or await _passes_spf(
                dns, arrival, domains
            )
    except (TimeoutError, ValueError):
        return False


async def _has_name(dns: Resolver, peer: str, domains: frozenset[str]) -> bool:
    for name in (await dns.ptr(peer)).values[:5]:
        # Anybody can call an address anything; only the name's owner can lead it back.
        if is_under(name, domains) and peer in (await dns.addresses(name)).values:
            return True
    return False


async def _passes_spf(dns: Resolver, arrival: Arrival, domains: frozenset[str]) -> bool:
    domain = arrival.sender.rpartition("@")[2] or arrival.helo
    if not is_under(domain, domains):
        return False
    sender = arrival.sender or f"postmaster@{domain}"
    verdict = await judge_spf(
        dns, domain, address=arrival.peer, sender=sender, helo=arrival.helo or domain
    )
    return verdict.result is SpfResult.PASS
