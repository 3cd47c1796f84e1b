"""Whether a domain's SPF record lets us send for it.

This is not what a receiver does for one message: it reads the whole tree of records once,
counts every look-up in it (RFC 7208 section 4.6.4, the worst case) and collects what passes.
Terms that refuse (`-ip4:...`) are not weighed against a later one that passes, and macros
and `ptr` pass nobody.
"""

import re
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from ..mail.dns import LookupStatus, Resolver

MAX_LOOKUPS = 10
MAX_VOID_LOOKUPS = 2
_MAX_EXCHANGERS = 10
_TERM = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?:[:](.+?))?((?:/.*)?)", re.I)
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.I)
_LENGTHS = re.compile(r"(?:/(\d{1,3}))?(?://(\d{1,3}))?")

Network = IPv4Network | IPv6Network


class SpfProblem(Exception):
    """What a receiver would call a permanent error; the text is a sentence for the customer."""


class SpfSilent(Exception):
    """The DNS did not answer, so nothing can be said."""


def spf_records(values: Sequence[str]) -> list[str]:
    """Return those of a name's TXT records that are SPF records."""
    return [v for v in values if v.lower() == "v=spf1" or v.lower().startswith("v=spf1 ")]


class SpfTree:
    """Everything that passes by the SPF record of one domain."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._lookups = 0
        self._void = 0
        self._networks: list[Network] = []
        self._included: set[str] = set()
        self._all = False

    async def read(self, domain: str, record: str) -> None:
        """Read *record* of *domain* and all that it refers to.

        Raises:
            SpfProblem: a receiver would give up on it.
            SpfSilent: the DNS did not answer.
        """
        await self._read(domain, record, passes=True)

    def includes(self, name: str) -> bool:
        """Say whether what passes by the record of *name* passes here."""
        return self._all or name in self._included

    def passes(self, address: str) -> bool:
        """Say whether mail from *address* passes."""
        ip: IPv4Address | IPv6Address = ip_address(address)
        return self._all or any(ip in network for network in self._networks)

    async def _read(self, domain: str, record: str, *, passes: bool) -> None:
        redirect = None
        for text in record.split()[1:]:
            if match := _TERM.fullmatch(text):
                qualifier, kind, value, lengths = match.groups()
                passing = passes and qualifier in ("", "+")
                if kind.lower() == "all":
                    self._all = self._all or passing
                    return
                await self._term(kind.lower(), value or domain, lengths, text, passing)
            elif modifier := _MODIFIER.fullmatch(text):
                if modifier[1].lower() == "redirect":
                    redirect = modifier[2]
            else:
                raise SpfProblem(f"The SPF record of {domain} has a term nobody knows: {text}.")
        if redirect is not None:
            await self._follow(redirect, passes=passes)

    async def _term(self, kind: str, value: str, lengths: str, text: str, passing: bool) -> None:
        if kind in ("ip4", "ip6"):
            self._add(value + lengths, text, version=4 if kind == "ip4" else 6, passing=passing)
        elif kind == "include":
            await self._follow(value, passes=passing)
        elif kind == "a":
            self._count()
            await self._hosts([value], lengths, text, passing)
        elif kind == "mx":
            self._count()
            found = await self._resolver.mx(value, fresh=True)
            self._weigh(found.status, value)
            hosts = [each.host for each in found.values if each.host]
            if len(hosts) > _MAX_EXCHANGERS:
                raise SpfProblem(f"{value} has more than {_MAX_EXCHANGERS} mail exchangers.")
            await self._hosts(hosts, lengths, text, passing)
        else:
            self._count()

    async def _follow(self, name: str, *, passes: bool) -> None:
        self._count()
        name = name.lower().rstrip(".")
        if "%" in name:
            return
        found = await self._resolver.txt(name, fresh=True)
        self._weigh(found.status, name)
        records = spf_records(found.values)
        if len(records) != 1:
            count = "no SPF record" if not records else "several SPF records"
            raise SpfProblem(f"It refers to {name}, which has {count}.")
        if passes:
            self._included.add(name)
        await self._read(name, records[0], passes=passes)

    async def _hosts(self, hosts: Sequence[str], lengths: str, text: str, passing: bool) -> None:
        found_lengths = _LENGTHS.fullmatch(lengths)
        if found_lengths is None:
            raise SpfProblem(f"The term {text} is malformed.")
        for host in hosts:
            if "%" in host:
                continue
            found = await self._resolver.addresses(host, fresh=True)
            self._weigh(found.status, host)
            for address in found.values:
                version = 6 if ":" in address else 4
                length = found_lengths[2 if version == 6 else 1]
                prefix = f"/{length}" if length else ""
                self._add(address + prefix, text, version=version, passing=passing)

    def _add(self, network: str, text: str, *, version: int, passing: bool) -> None:
        try:
            found = ip_network(network, strict=False)
        except ValueError:
            raise SpfProblem(f"The term {text} is malformed.") from None
        if found.version != version:
            raise SpfProblem(f"The term {text} is malformed.")
        if passing:
            self._networks.append(found)

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
