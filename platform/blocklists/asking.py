"""Asking lists by DNS: in parallel, within a time, and nothing believed that is no answer."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from ..core.settings import settings
from ..mail.dns import LookupStatus, Resolver
from .rules import (
    CHECK_SECONDS,
    LONGEST_REASON,
    TEST_POINTS,
    ZONE_SECONDS,
    Blocklist,
    Fault,
    Status,
    Subject,
    Verdict,
    fault_of,
    judge,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one list said of a subject."""

    blocklist: Blocklist
    verdict: Verdict
    reason: str | None = None
    """In the list's own words, or why there is no answer."""
    duration_ms: int = 0
    is_cached: bool = False


def resolver_for_lists() -> Resolver:
    """Return a resolver that keeps nothing: what lists say is kept by its own rules."""
    return Resolver(
        [(server.host, server.port) for server in settings().dns_servers],
        timeout=timedelta(seconds=ZONE_SECONDS),
        cache_size=0,
    )


async def ask_lists(subject: Subject, lists: Sequence[Blocklist]) -> list[Answer]:
    """Return what each of *lists* says, in their order; it takes eight seconds at most."""
    dns = resolver_for_lists()
    tasks = [asyncio.create_task(_ask(dns, subject, each)) for each in lists]
    if tasks:
        await asyncio.wait(tasks, timeout=CHECK_SECONDS)
    answers = []
    for task, each in zip(tasks, lists, strict=True):
        if not task.done():
            task.cancel()
            answers.append(_late(each, CHECK_SECONDS))
        else:
            answers.append(task.result())
    await asyncio.gather(*tasks, return_exceptions=True)
    return answers


async def test_list(blocklist: Blocklist) -> Fault | None:
    """Return what is wrong with a list by its test points, None if nothing is.

    Source: RFC 5782 section 5.
    """
    dns = resolver_for_lists()
    for kind in sorted(blocklist.kinds):
        listed, unlisted = TEST_POINTS[kind]
        first, second = await asyncio.gather(
            _ask(dns, listed, blocklist), _ask(dns, unlisted, blocklist)
        )
        if fault := fault_of(first.verdict, second.verdict):
            return fault
    return None


async def _ask(dns: Resolver, subject: Subject, blocklist: Blocklist) -> Answer:
    if subject.kind not in blocklist.kinds:
        return Answer(blocklist, Verdict(Status.UNSUPPORTED))
    began = time.perf_counter()
    name = subject.name_in(blocklist)
    found = await dns.a(name, fresh=True)
    took = time.perf_counter() - began
    if found.status is LookupStatus.FAILED:
        if took >= ZONE_SECONDS * 0.9:
            return _late(blocklist, took)
        problem = "The name servers gave no usable answer."
        verdict = Verdict(Status.ERROR, problem=problem)
    else:
        verdict = judge(blocklist, found.values)
    reason = verdict.problem
    if verdict.status is Status.LISTED:
        said = await dns.txt(name, fresh=True)
        reason = "; ".join(said.values)[:LONGEST_REASON].replace("\0", "") or None
    return Answer(blocklist, verdict, reason, round(1000 * (time.perf_counter() - began)))


def _late(blocklist: Blocklist, took: float) -> Answer:
    return Answer(blocklist, Verdict(Status.TIMEOUT), "No answer in time.", round(1000 * took))
