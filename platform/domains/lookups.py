"""What is in the DNS in the place of each record: look-ups, no tables.

A look-up that fails says nothing about the record; its status is `error`, and an error
never takes away what was seen before.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from ..mail.dkim import same_key
from ..mail.dns import Answer, LookupStatus, Resolver
from .dmarc import find_dmarc
from .records import RecordPurpose, RecordSpec, RecordStatus, spf_include
from .spf import SpfProblem, SpfSilent, SpfTree, spf_records
from .spf_receiver import SpfResult, judge_spf

T = TypeVar("T")

WITHIN = timedelta(seconds=9)
"""How long all look-ups of one check may take together."""

MAX_CHAIN = 8
MAX_FOUND = 10
MAX_FOUND_CHARACTERS = 2_000
"""A stranger's DNS answers this; what is kept of it is bounded."""

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_BIMI_VERSION = re.compile(r"v\s*=\s*BIMI1\s*(;|\Z)")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in the place of one record, and a sentence about what is wrong."""

    status: RecordStatus
    found: tuple[str, ...] = ()
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """From where this deployment sends: its host, and the addresses of its vMTAs."""

    hostname: str
    addresses: tuple[str, ...] = ()


VERIFIED = RecordStatus.VERIFIED
PENDING = RecordStatus.PENDING
MISMATCH = RecordStatus.MISMATCH
ERROR = RecordStatus.ERROR


async def look_up(
    resolver: Resolver, records: Sequence[RecordSpec], *, sender: Sender
) -> list[Finding] | None:
    """Return what is found for each record, all asked at once, or None if no server answers."""
    probe = asyncio.create_task(_within(_probe(resolver, sender.hostname), default=False))
    findings = await asyncio.gather(*(_finding(resolver, record, sender) for record in records))
    answered = await probe
    if not answered and all(finding.status is ERROR for finding in findings):
        return None
    return list(findings)


async def _probe(resolver: Resolver, hostname: str) -> bool:
    # Any answer will do, that there is no such name above all: it tells a resolver that is
    # down from a domain whose own servers are.
    found = await resolver.addresses(hostname, fresh=True)
    return found.status is not LookupStatus.FAILED


async def _finding(resolver: Resolver, record: RecordSpec, sender: Sender) -> Finding:
    silent = Finding(ERROR, message=f"The DNS gave no answer for {record.name} in time.")
    return await _within(_JUDGES[record.purpose](resolver, record, sender), default=silent)


async def _within(work: Awaitable[T], *, default: T) -> T:
    try:
        async with asyncio.timeout(WITHIN.total_seconds()):
            return await work
    except TimeoutError:
        return default


async def _dkim(resolver: Resolver, record: RecordSpec, sender: Sender) -> Finding:
    answer = await resolver.txt(record.name, fresh=True)
    if (nothing := _nothing(answer, record)) is not None:
        return nothing
    found = _kept(answer.values)
    public_value = record.value.rpartition("p=")[2]
    if not any(same_key(value, public_value) for value in answer.values):
        return Finding(MISMATCH, found, "The TXT record holds another key, or none.")
    if len(answer.values) > 1:
        return Finding(MISMATCH, found, "There are several TXT records; leave only this one.")
    return Finding(VERIFIED, found)


async def _alias(resolver: Resolver, record: RecordSpec, sender: Sender) -> Finding:
    chain: list[str] = []
    name = record.name
    while len(chain) < MAX_CHAIN:
        answer = await resolver.cname(name, fresh=True)
        if answer.status is LookupStatus.FAILED:
            return Finding(ERROR, _kept(chain), f"The DNS gave no answer for {name}.")
        if not answer.values:
            break
        name = answer.values[0]
        if name in chain:
            return Finding(MISMATCH, _kept(chain), "The aliases point at each other.")
        chain.append(name)
        if name == record.value:
            return Finding(VERIFIED, _kept(chain))
    if not chain:
        return Finding(PENDING, message="No CNAME record found.")
    return Finding(MISMATCH, _kept(chain), f"The CNAME record does not lead to {record.value}.")


async def _spf(resolver: Resolver, record: RecordSpec, sender: Sender) -> Finding:
    answer = await resolver.txt(record.name, fresh=True)
    if answer.status is LookupStatus.FAILED:
        return Finding(ERROR, message=f"The DNS gave no answer for {record.name}.")
    records = spf_records(answer.values)
    found = _kept(records)
    if not records:
        return Finding(PENDING, message="No SPF record found.")
    if len(records) > 1:
        return Finding(MISMATCH, found, "There are several SPF records; receivers ignore all.")
    tree = SpfTree(resolver)
    try:
        await tree.read(record.name, records[0])
    except SpfProblem as problem:
        return Finding(MISMATCH, found, shown(str(problem)))
    except SpfSilent as silent:
        return Finding(ERROR, found, shown(f"The DNS gave no answer for {silent}."))
    if not sender.addresses:
        if tree.includes(spf_include(sender.hostname)):
            return Finding(VERIFIED, found)
        message = f"The record does not have include:{spf_include(sender.hostname)}."
        return Finding(MISMATCH, found, message)
    return await _spf_for_addresses(resolver, record.name, found, sender)


async def _spf_for_addresses(
    resolver: Resolver, domain: str, found: tuple[str, ...], sender: Sender
) -> Finding:
    missing = []
    for address in sender.addresses:
        verdict = await judge_spf(
            resolver,
            domain,
            address=address,
            sender=f"postmaster@{domain}",
            helo=sender.hostname,
        )
        if verdict.result is SpfResult.TEMPERROR:
            return Finding(ERROR, found, shown(verdict.problem))
        if verdict.result is SpfResult.PERMERROR:
            return Finding(MISMATCH, found, shown(verdict.problem))
        if verdict.result is not SpfResult.PASS:
            missing.append(address)
    if missing:
        return Finding(MISMATCH, found, f"The record does not authorise {', '.join(missing)}.")
    return Finding(VERIFIED, found)


async def _dmarc(resolver: Resolver, record: RecordSpec, sender: Sender) -> Finding:
    dmarc = await find_dmarc(resolver, record.name.removeprefix("_dmarc."))
    found = _kept(dmarc.records)
    if dmarc.status is LookupStatus.FAILED:
        return Finding(ERROR, message=f"The DNS gave no answer for {dmarc.name}.")
    if not dmarc.records:
        return Finding(PENDING, message="No DMARC record found.")
    if len(dmarc.records) > 1:
        message = f"There are several DMARC records at {dmarc.name}; receivers ignore all."
        return Finding(MISMATCH, found, message)
    if dmarc.record is None:
        message = "The DMARC record has no policy p= of none, quarantine or reject."
        return Finding(MISMATCH, found, message)
    ignored = ", ".join(dmarc.record.ignored)
    if ignored:
        return Finding(VERIFIED, found, shown(f"Receivers ignore what is malformed: {ignored}."))
    return Finding(VERIFIED, found)


async def _bimi(resolver: Resolver, record: RecordSpec, sender: Sender) -> Finding:
    answer = await resolver.txt(record.name, fresh=True)
    if (nothing := _nothing(answer, record)) is not None:
        return nothing
    records = [value for value in answer.values if _BIMI_VERSION.match(value)]
    found = _kept(records or answer.values)
    if len(records) != 1:
        message = "There is no BIMI record, or there are several; receivers show no logo."
        return Finding(MISMATCH, found, message)
    wanted, there = _bimi_tags(record.value), _bimi_tags(records[0])
    if wanted != there:
        return Finding(MISMATCH, found, "The BIMI record names another logo or certificate.")
    return Finding(VERIFIED, found)


def _bimi_tags(text: str) -> tuple[str, str]:
    """Return where a record says that the logo and the certificate are."""
    pairs = (item.partition("=") for item in text.split(";")[1:])
    tags = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return tags.get("l", ""), tags.get("a", "")


async def _mx(resolver: Resolver, record: RecordSpec, sender: Sender) -> Finding:
    answer = await resolver.mx(record.name, fresh=True)
    if (nothing := _nothing(answer, record)) is not None:
        return nothing
    exchangers = sorted(answer.values, key=lambda each: (each.preference, each.host))
    found = _kept([f"{each.preference} {each.host or '.'}" for each in exchangers])
    target = record.value.rpartition(" ")[2]
    if any(each.host == target for each in exchangers):
        return Finding(VERIFIED, found)
    return Finding(MISMATCH, found, f"None of the MX records is {target}.")


def _nothing(answer: Answer[Any], record: RecordSpec) -> Finding | None:
    if answer.status is LookupStatus.FAILED:
        return Finding(ERROR, message=f"The DNS gave no answer for {record.name}.")
    if not answer.values:
        return Finding(PENDING, message=f"No {record.type} record found.")
    return None


def _kept(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(shown(value) for value in values[:MAX_FOUND])


def shown(text: str) -> str:
    """Return what a stranger's server said, without control characters and not too long."""
    return _CONTROL.sub("\ufffd", text)[:MAX_FOUND_CHARACTERS]


Judge = Callable[[Resolver, RecordSpec, Sender], Awaitable[Finding]]
_JUDGES: dict[RecordPurpose, Judge] = {
    RecordPurpose.DKIM: _dkim,
    RecordPurpose.RETURN_PATH: _alias,
    RecordPurpose.SPF: _spf,
    RecordPurpose.DMARC: _dmarc,
    RecordPurpose.MX: _mx,
    RecordPurpose.TRACKING: _alias,
    RecordPurpose.BIMI: _bimi,
}
