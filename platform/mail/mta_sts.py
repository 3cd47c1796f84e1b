"""MTA-STS and TLS-RPT: what a domain publishes about TLS for the mail it receives.

Source: RFC 8461 for policies, RFC 8460 for reports.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256

from .address import InvalidAddress, parse_domain
from .fetching import Fetcher, NoReply, Request

MAX_POLICY_BYTES = 65_536
FETCHED_WITHIN = timedelta(seconds=5)
LONGEST_AGE_SECONDS = 31_557_600
PROPOSED_AGE_SECONDS = 604_800
_RECORD_START = re.compile(r"v[ \t]*=[ \t]*STSv1[ \t]*(;|\Z)")
_REPORT_START = re.compile(r"v[ \t]*=[ \t]*TLSRPTv1[ \t]*(;|\Z)")
_ID = re.compile("[A-Za-z0-9]{1,32}")
_AGE = re.compile("[0-9]{1,10}")
_REPORT_URI = re.compile(r"(mailto:[^\s,;!@]+@[^\s,;!@]+|https://[^\s,;!]+)", re.I)


class StsMode(StrEnum):
    """What senders do when TLS with a good certificate is not to be had."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A policy: which hosts take the domain's mail, and how strictly."""

    mode: StsMode
    max_age_seconds: int
    mx: tuple[str, ...]
    """Host names; the first label may be `*`."""

    @property
    def text(self) -> str:
        """The file that says so."""
        hosts = "".join(f"mx: {host}\r\n" for host in self.mx)
        return (
            f"version: STSv1\r\nmode: {self.mode.value}\r\n{hosts}"
            f"max_age: {self.max_age_seconds}\r\n"
        )

    def matches(self, host: str) -> bool:
        """Return whether mail may go to *host*."""
        above = host.partition(".")[2]
        return any(
            above == pattern[2:] if pattern.startswith("*.") else host == pattern
            for pattern in self.mx
        )


def sts_record(policy: StsPolicy) -> str:
    """Return the TXT value that announces *policy*; another policy has another id."""
    return f"v=STSv1; id={sha256(policy.text.encode()).hexdigest()[:20]}"


def policy_url(domain: str) -> str:
    """Return where the policy of *domain* is."""
    return f"https://mta-sts.{domain}/.well-known/mta-sts.txt"


def sts_records(values: Sequence[str]) -> list[str]:
    """Return those of a name's TXT values that announce a policy."""
    return [value for value in values if _RECORD_START.match(value)]


def has_id(record: str) -> bool:
    """Return whether a record has the id without which senders ignore it."""
    return _ID.fullmatch(_tags(record).get("id", "")) is not None


def announced_id(values: Sequence[str]) -> str | None:
    """Return the id of the policy that a name's TXT values announce, if they announce one.

    Source: RFC 8461 section 3.1.
    """
    records = sts_records(values)
    return _tags(records[0])["id"] if len(records) == 1 and has_id(records[0]) else None


def report_records(values: Sequence[str]) -> list[str]:
    """Return those of a name's TXT values that say where reports go."""
    return [value for value in values if _REPORT_START.match(value)]


def report_uris(record: str) -> tuple[str, ...]:
    """Return where a record sends reports; nothing if one of the addresses is malformed."""
    found = tuple(uri.strip() for uri in _tags(record).get("rua", "").split(","))
    return found if all(_REPORT_URI.fullmatch(uri) for uri in found) else ()


def read_policy(text: str) -> StsPolicy | str:
    """Return the policy that a file holds, or a sentence about what is wrong with it."""
    values: dict[str, str] = {}
    hosts: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not colon and line.strip():
            return "A line of the policy is not a name, a colon and a value."
        if name == "mx":
            hosts.append(value.lower())
        else:
            values.setdefault(name, value)
    if values.get("version") != "STSv1":
        return "The policy does not say version: STSv1."
    if values.get("mode") not in list(StsMode):
        return "The policy's mode is not enforce, testing or none."
    mode, age = StsMode(values["mode"]), values.get("max_age", "")
    if not _AGE.fullmatch(age) or int(age) > LONGEST_AGE_SECONDS:
        return f"The policy's max_age is not 0 to {LONGEST_AGE_SECONDS} seconds."
    if not hosts and mode is not StsMode.NONE:
        return "The policy names no mx."
    if not all(_is_pattern(host) for host in hosts):
        return "An mx of the policy is not a host name, with * as its first label at most."
    return StsPolicy(mode, int(age), tuple(hosts))


async def fetch_policy(fetcher: Fetcher, domain: str) -> StsPolicy | str:
    """Return the policy that *domain* publishes, or a sentence about why there is none.

    A redirect is not followed: whoever controls a page of the host does not control its mail.
    """
    request = Request(policy_url(domain), within=FETCHED_WITHIN, max_bytes=MAX_POLICY_BYTES)
    reply = await fetcher.fetch(request)
    if isinstance(reply, NoReply):
        return reply.message
    if reply.status != 200:
        return f"The policy's server answered with status {reply.status}."
    if reply.content_type != "text/plain":
        return "The policy's server does not say that it is text/plain."
    if not reply.is_whole:
        return f"The policy is larger than {MAX_POLICY_BYTES // 1024} KiB."
    try:
        return read_policy(reply.body.decode("ascii"))
    except UnicodeDecodeError:
        return "The policy is not ASCII."


def _is_pattern(host: str) -> bool:
    try:
        return parse_domain(host.removeprefix("*.")) == host.removeprefix("*.")
    except InvalidAddress:
        return False


def _tags(record: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in record.split(";")[1:])
    return {name.strip(): value.strip() for name, _, value in pairs}
