"""What a receiver makes of mail from one address, by a domain's SPF record.

Source: RFC 7208 sections 4 and 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network

from ..mail.dns import LookupStatus, Resolver
from .spf import MAX_LOOKUPS, MAX_VOID_LOOKUPS, SpfProblem, SpfSilent, spf_records
from .spf_terms import Asked, Record, Term, expand, read_record

_MAX_HOSTS = 10


class SpfResult(StrEnum):
    """What a receiver concludes."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


_BY_QUALIFIER = {
    "+": SpfResult.PASS,
    "-": SpfResult.FAIL,
    "~": SpfResult.SOFTFAIL,
    "?": SpfResult.NEUTRAL,
}


@dataclass(frozen=True, slots=True)
class SpfVerdict:
    """What a receiver concludes, and why if the record is broken."""

    result: SpfResult
    problem: str = ""


async def judge_spf(
    resolver: Resolver, domain: str, *, address: str, sender: str, helo: str
) -> SpfVerdict:
    """Return what a receiver makes of mail from *address*, by the record of *domain*."""
    asked = Asked(ip_address(address), sender, helo)
    try:
        return SpfVerdict(await _Receiver(resolver, asked).judge(domain))
    except SpfProblem as problem:
        return SpfVerdict(SpfResult.PERMERROR, str(problem))
    except SpfSilent as silent:
        return SpfVerdict(SpfResult.TEMPERROR, f"The DNS gave no answer for {silent}.")


class _Receiver:
    """One evaluation, which counts its look-ups over all the records it reads."""

    def __init__(self, resolver: Resolver, asked: Asked) -> None:
        self._resolver = resolver
        self._asked = asked
        self._lookups = 0
        self._void = 0

    async def judge(self, domain: str) -> SpfResult:
        answer = await self._resolver.txt(domain)
        if answer.status is LookupStatus.FAILED:
            raise SpfSilent(domain)
        records = spf_records(answer.values)
        if not records:
            return SpfResult.NONE
        if len(records) > 1:
            raise SpfProblem(f"{domain} has several SPF records.")
        return await self._judge_record(domain, read_record(domain, records[0]))

    async def _judge_record(self, domain: str, record: Record) -> SpfResult:
        for term in record.terms:
            if await self._matches(domain, term):
                return _BY_QUALIFIER[term.qualifier]
        if not record.redirect:
            return SpfResult.NEUTRAL
        self._count()
        target = expand(record.redirect, domain=domain, asked=self._asked)
        result = await self.judge(target)
        if result is SpfResult.NONE:
            raise SpfProblem(f"It refers to {target}, which has no SPF record.")
        return result

    async def _matches(self, domain: str, term: Term) -> bool:
        if term.kind == "all":
            return True
        if term.network is not None:
            return self._asked.address in term.network
        self._count()
        name = expand(term.value or domain, domain=domain, asked=self._asked)
        if term.kind == "include":
            result = await self.judge(name)
            if result is SpfResult.NONE:
                raise SpfProblem(f"It refers to {name}, which has no SPF record.")
            return result is SpfResult.PASS
        if term.kind == "exists":
            found = await self._resolver.addresses(name)
            self._weigh(found.status, name)
            return any(":" not in value for value in found.values)
        if term.kind == "ptr":
            return await self._is_pointed_at(name)
        return await self._is_host(name, term)

    async def _is_host(self, name: str, term: Term) -> bool:
        hosts = [name]
        if term.kind == "mx":
            found = await self._resolver.mx(name)
            self._weigh(found.status, name)
            hosts = [each.host for each in found.values if each.host]
            if len(hosts) > _MAX_HOSTS:
                raise SpfProblem(f"{name} has more than {_MAX_HOSTS} mail exchangers.")
        length = term.length_4 if self._asked.address.version == 4 else term.length_6
        around = ip_network(f"{self._asked.address}/{length}", strict=False)
        for host in hosts:
            addresses = await self._addresses(host, counts=term.kind == "a")
            if any(ip_address(each) in around for each in addresses):
                return True
        return False

    async def _is_pointed_at(self, name: str) -> bool:
        found = await self._resolver.ptr(str(self._asked.address))
        self._weigh(found.status, str(self._asked.address))
        for host in found.values[:_MAX_HOSTS]:
            if host != name and not host.endswith("." + name):
                continue
            if str(self._asked.address) in (await self._resolver.addresses(host)).values:
                return True
        return False

    async def _addresses(self, host: str, *, counts: bool) -> Sequence[str]:
        """Return the addresses of *host* that are of the kind of the address in question."""
        found = await self._resolver.addresses(host)
        if counts or found.status is LookupStatus.FAILED:
            self._weigh(found.status, host)
        is_v6 = self._asked.address.version == 6
        return [each for each in found.values if (":" in each) == is_v6]

    def _count(self) -> None:
        self._lookups += 1
        if self._lookups > MAX_LOOKUPS:
            raise SpfProblem(
                f"The record needs more than {MAX_LOOKUPS} look-ups; receivers give up on it."
            )

    def _weigh(self, status: LookupStatus, name: str) -> None:
        if status is LookupStatus.FAILED:
            raise SpfSilent(name)
        if status is not LookupStatus.FOUND:
            self._void += 1
        if self._void > MAX_VOID_LOOKUPS:
            raise SpfProblem("The record refers to more than two names that do not exist.")
