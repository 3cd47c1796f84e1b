"""Whether other hosts may insist on TLS when they bring a domain's mail, and are told to report."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ..mail.dns import Answer, Exchanger, LookupStatus, Resolver
from ..mail.fetching import Fetcher
from ..mail.mta_sts import (
    PROPOSED_AGE_SECONDS,
    StsMode,
    StsPolicy,
    fetch_policy,
    has_id,
    policy_url,
    report_records,
    report_uris,
    sts_record,
    sts_records,
)
from .lookups import Finding, shown
from .records import RecordStatus, report_uri

_MAX_HOSTS = 20


@dataclass(frozen=True, slots=True)
class Advice:
    """A record to publish, and what is there now."""

    name: str
    value: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class InboundTls:
    """What a domain should publish about TLS for the mail it receives, and what it does."""

    sts: Advice
    reports: Advice
    policy_url: str
    proposed: StsPolicy
    """To be put there; starts with `testing`, which refuses nothing."""
    policy: StsPolicy | None
    """What is there."""
    problem: str | None
    """Why senders ignore the policy or cannot deliver, as a sentence."""


async def look_at_inbound_tls(
    resolver: Resolver, fetcher: Fetcher, domain: str, *, hosts: Sequence[str], reports_to: str
) -> InboundTls:
    """Return what is published for *domain*; *hosts* are to take its mail if none does yet."""
    sts, reports, exchangers = await asyncio.gather(
        resolver.txt(f"_mta-sts.{domain}", fresh=True),
        resolver.txt(f"_smtp._tls.{domain}", fresh=True),
        resolver.mx(domain, fresh=True),
    )
    found = _hosts(exchangers)
    proposed = StsPolicy(StsMode.TESTING, PROPOSED_AGE_SECONDS, tuple(found or hosts))
    # Without its record no sender asks for a policy, and neither do we.
    announced = sts_records(sts.values)
    policy = await fetch_policy(fetcher, domain) if announced else None
    problem = shown(policy) if isinstance(policy, str) else None
    if isinstance(policy, StsPolicy) and policy.mode is not StsMode.NONE:
        missing = [host for host in found if not policy.matches(host)]
        if missing:
            problem = shown(f"The policy does not name {', '.join(missing)}.")
    return InboundTls(
        sts=Advice(f"_mta-sts.{domain}", sts_record(proposed), _judge_sts(sts, announced)),
        reports=Advice(
            f"_smtp._tls.{domain}",
            f"v=TLSRPTv1; rua={report_uri(reports_to)}",
            _judge_reports(reports),
        ),
        policy_url=policy_url(domain),
        proposed=proposed,
        policy=policy if isinstance(policy, StsPolicy) else None,
        problem=problem,
    )


def _hosts(answer: Answer[Exchanger]) -> list[str]:
    ordered = sorted(answer.values, key=lambda each: (each.preference, each.host))
    return [each.host for each in ordered if each.host][:_MAX_HOSTS]


def _judge_sts(answer: Answer[str], records: Sequence[str]) -> Finding:
    if answer.status is LookupStatus.FAILED:
        return Finding(RecordStatus.ERROR, message="The DNS gave no answer.")
    found = tuple(shown(record) for record in records[:_MAX_HOSTS])
    if not records:
        return Finding(RecordStatus.PENDING, message="No MTA-STS record found.")
    if len(records) > 1:
        message = "There are several MTA-STS records; senders ignore all."
        return Finding(RecordStatus.MISMATCH, found, message)
    if not has_id(records[0]):
        message = "The MTA-STS record has no id of up to 32 letters and digits."
        return Finding(RecordStatus.MISMATCH, found, message)
    return Finding(RecordStatus.VERIFIED, found)


def _judge_reports(answer: Answer[str]) -> Finding:
    if answer.status is LookupStatus.FAILED:
        return Finding(RecordStatus.ERROR, message="The DNS gave no answer.")
    records = report_records(answer.values)
    found = tuple(shown(record) for record in records[:_MAX_HOSTS])
    if not records:
        return Finding(RecordStatus.PENDING, message="No TLS-RPT record found.")
    if len(records) > 1:
        message = "There are several TLS-RPT records; senders ignore all."
        return Finding(RecordStatus.MISMATCH, found, message)
    if not report_uris(records[0]):
        message = "The TLS-RPT record has no rua of mailto: or https: addresses."
        return Finding(RecordStatus.MISMATCH, found, message)
    return Finding(RecordStatus.VERIFIED, found)
