"""Which records a domain publishes, and what they say together; no I/O."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from ..mail.dkim import KeyAlgorithm, record_value
from .rules import KeyState

TTL_SECONDS = 3600
"""The lifetime we propose for every record."""


class RecordPurpose(StrEnum):
    """What a record is for, in the order in which they are shown."""

    DKIM = "dkim"
    RETURN_PATH = "return_path"
    SPF = "spf"
    DMARC = "dmarc"
    MX = "mx"
    TRACKING = "tracking"
    BIMI = "bimi"


class RecordStatus(StrEnum):
    """What was found in the place of a record."""

    PENDING = "pending"
    VERIFIED = "verified"
    MISMATCH = "mismatch"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class RecordSpec:
    """A record to publish."""

    purpose: RecordPurpose
    type: str
    name: str
    value: str
    required: bool


@dataclass(frozen=True, slots=True)
class Logo:
    """What a domain's BIMI record says."""

    selector: str
    logo_url: str
    vmc_url: str | None = None


@dataclass(frozen=True, slots=True)
class Publisher:
    """What of a domain decides about its records."""

    name: str
    return_path_domain: str
    tracking_domain: str | None = None
    inbound_enabled: bool = False
    dmarc_rua: str | None = None
    logo: Logo | None = None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A DKIM key without its private half."""

    id: uuid.UUID
    selector: str
    algorithm: KeyAlgorithm
    state: KeyState
    public_value: str


def required_records(
    domain: Publisher, keys: Iterable[PublicKey], *, hostname: str
) -> list[RecordSpec]:
    """Return the records that *domain* publishes; *hostname* is the deployment's.

    A retired key needs no record any more. `required` says without which the domain does
    not do what it was set up for; sending needs those of `dkim` and `return_path`.
    """
    records = [_dkim(domain.name, key) for key in keys if key.state is not KeyState.RETIRED]
    spf = f"v=spf1 include:{spf_include(hostname)} ~all"
    dmarc = "v=DMARC1; p=none"
    if domain.dmarc_rua:
        dmarc += f"; rua={report_uri(domain.dmarc_rua)}"
    P = RecordPurpose
    records += [
        RecordSpec(P.RETURN_PATH, "CNAME", domain.return_path_domain, f"bounce.{hostname}", True),
        RecordSpec(P.SPF, "TXT", domain.name, spf, False),
        RecordSpec(P.DMARC, "TXT", f"_dmarc.{domain.name}", dmarc, False),
    ]
    if domain.inbound_enabled:
        records.append(RecordSpec(P.MX, "MX", domain.name, f"10 mx.{hostname}", True))
    if domain.tracking_domain:
        target = f"track.{hostname}"
        records.append(RecordSpec(P.TRACKING, "CNAME", domain.tracking_domain, target, True))
    if domain.logo:
        records.append(bimi_record(domain.name, domain.logo))
    return records


def bimi_record(domain: str, logo: Logo) -> RecordSpec:
    """Return the record that names a domain's logo."""
    value = f"v=BIMI1; l={logo.logo_url}"
    if logo.vmc_url:
        value += f"; a={logo.vmc_url}"
    name = f"{logo.selector}._bimi.{domain}"
    return RecordSpec(RecordPurpose.BIMI, "TXT", name, value, False)


def purpose_status(
    records: Iterable[tuple[RecordPurpose, RecordStatus, bool]], purpose: RecordPurpose
) -> RecordStatus | None:
    """Return one status for a purpose, or None if there is no such record.

    *records* are purpose, status and whether it is required. Of several the best required
    one counts: while a key is replaced, the old one's record proves as much as before.
    """
    found = [(required, status) for kind, status, required in records if kind is purpose]
    needed = [status for required, status in found if required] or [s for _, s in found]
    order = (RecordStatus.VERIFIED, RecordStatus.MISMATCH, RecordStatus.ERROR)
    return next((status for status in order if status in needed), needed[0] if needed else None)


def key_record_name(selector: str, domain: str) -> str:
    """Return where a DKIM key is published."""
    return f"{selector}._domainkey.{domain}"


def spf_include(hostname: str) -> str:
    """Return the name whose SPF record lists the addresses we send from."""
    return f"_spf.{hostname}"


def seen_keys(
    keys: Iterable[PublicKey], *, domain: str, statuses: Mapping[tuple[str, str], RecordStatus]
) -> list[PublicKey]:
    """Return the pending keys whose record is in the DNS: those that may sign from now on.

    *statuses* are of records, by purpose and name.
    """
    return [
        key
        for key in keys
        if key.state is KeyState.PENDING
        and statuses.get((RecordPurpose.DKIM.value, key_record_name(key.selector, domain)))
        is RecordStatus.VERIFIED
    ]


def is_proven(
    active: Sequence[PublicKey],
    *,
    domain: str,
    statuses: Mapping[tuple[str, str], RecordStatus],
) -> bool | None:
    """Say whether control of the domain is proven; None when the DNS gave no verdict.

    It is while the record of every active RSA key and the return path are as they should
    be. An Ed25519 key is an addition that receivers may ignore.
    """
    needed = [
        statuses.get((RecordPurpose.DKIM.value, key_record_name(key.selector, domain)))
        for key in active
        if key.algorithm.is_rsa
    ] or [RecordStatus.PENDING]
    needed += [found for (purpose, _), found in statuses.items() if purpose == "return_path"]
    if all(status is RecordStatus.VERIFIED for status in needed):
        return True
    wrong = {RecordStatus.PENDING, RecordStatus.MISMATCH, None}
    return False if wrong.intersection(needed) else None


def _dkim(domain: str, key: PublicKey) -> RecordSpec:
    return RecordSpec(
        purpose=RecordPurpose.DKIM,
        type="TXT",
        name=key_record_name(key.selector, domain),
        value=record_value(key.algorithm, key.public_value),
        required=key.algorithm.is_rsa and key.state is not KeyState.RETIRING,
    )


def report_uri(address: str) -> str:
    """Return the `mailto:` of a DMARC record, in which `,`, `;` and `!` have meanings."""
    return "mailto:" + quote(address, safe="@+-._~")
