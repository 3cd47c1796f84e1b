"""How much encryption each exchanger of a domain needs: DANE, MTA-STS, and what we are told.

What a domain publishes is never made less of by a vMTA or an organization, only more.
"""

import asyncio
from collections.abc import Sequence

from ..mail.dns import LookupStatus, Resolver, Route, RouteHost
from ..mail.mta_sts import StsMode, StsPolicy
from ..mail.outcome import BounceClass, Failure, Verdict
from ..mail.tls import Demand, Tls, TlsPolicy, demand_of
from .sts import StsPolicies

DemandedHost = tuple[RouteHost, Demand]


class Encryption:
    """Knows what to demand of the exchangers of a domain."""

    def __init__(self, resolver: Resolver, policies: StsPolicies, *, port: int) -> None:
        self._resolver = resolver
        self._policies = policies
        self._port = port

    async def demands(
        self, domain: str, found: Route, *, asked: Tls
    ) -> Sequence[DemandedHost] | Failure:
        """Return the hosts that may get mail for *domain*, each with what to demand of it.

        *asked* is what vMTA and organization want. Where a host has TLSA records they decide;
        elsewhere the policy of the domain does, which may rule hosts out.
        """
        pinned: Sequence[Demand | Failure | None] = [None] * len(found.hosts)
        if any(host.is_secure for host in found.hosts):
            pinned = await asyncio.gather(*(self._pinned(host, domain) for host in found.hosts))
        policy = None
        if None in pinned:
            policy = await self._policies.find(domain)
        ways: list[DemandedHost] = []
        reasons: list[Failure] = []
        for host, dane in zip(found.hosts, pinned, strict=True):
            demand = dane or _by_policy(host, policy, asked)
            if isinstance(demand, Failure):
                reasons.append(demand)
            elif asked is Tls.VERIFIED and not demand.pins:
                ways.append((host, Demand(Tls.VERIFIED, _stricter(demand))))
            else:
                ways.append((host, demand))
        return ways or reasons[0]

    async def _pinned(self, host: RouteHost, domain: str) -> Demand | Failure | None:
        """Return what the host's TLSA records demand; None if it has none that count.

        Source: RFC 7672 section 2.2. Where DNSSEC does not protect the way to the host, who
        is on the way would only have to name another host; so nobody is asked.
        """
        if not host.is_secure:
            return None
        answer = await self._resolver.tlsa(f"_{self._port}._tcp.{host.name}")
        if answer.status is LookupStatus.FAILED:
            return _NO_TLSA_ANSWER
        if not answer.values or not answer.is_secure:
            return None
        pins = tuple(pin for pin in answer.values if pin.is_usable)
        names = tuple(dict.fromkeys((host.name, domain)))
        return Demand(Tls.REQUIRED, TlsPolicy.DANE, pins, names if pins else ())


def _by_policy(host: RouteHost, policy: StsPolicy | None, asked: Tls) -> Demand | Failure:
    if policy is None or policy.mode is not StsMode.ENFORCE:
        return demand_of(asked)
    if not policy.matches(host.name):
        return _NOT_IN_POLICY
    return Demand(Tls.VERIFIED, TlsPolicy.MTA_STS)


def _stricter(demand: Demand) -> TlsPolicy:
    """Return what makes the certificate be verified: the domain's policy, or whoever asked."""
    return demand.policy if demand.tls is Tls.VERIFIED else TlsPolicy.VERIFIED


_NO_TLSA_ANSWER = Failure(
    Verdict.DEFERRED,
    BounceClass.CONNECTION_FAILURE,
    "DNS gave no answer about the certificates of the domain's mail exchangers",
    "4.7.5",
)
_NOT_IN_POLICY = Failure(
    Verdict.DEFERRED,
    BounceClass.CONNECTION_FAILURE,
    "no mail exchanger of the domain is one that its MTA-STS policy allows",
    "4.7.5",
)
