"""The keys and DNS records of domains, and what was found of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..domains import queries, tables
from ..domains.dmarc import DmarcPolicy, is_aligned, read_dmarc
from ..domains.records import TTL_SECONDS, RecordPurpose, RecordStatus
from ..domains.rules import KeyState
from ..mail.dkim import KeyAlgorithm
from .enums import describe_enum

describe_enum(
    KeyState,
    "The life of a DKIM key.",
    {
        "PENDING": "Waits until its record is seen in the DNS; does not sign.",
        "ACTIVE": "Signs.",
        "RETIRING": "Signs no more; its record stays for mail that is on its way.",
        "RETIRED": "Its private half is destroyed; its record may go.",
    },
    name="DkimKeyState",
)
describe_enum(
    KeyAlgorithm,
    "The kind of a DKIM key.",
    {
        "RSA_2048": "RSA with 2048 bits, which every receiver reads.",
        "RSA_1024": "RSA with 1024 bits, kept where it was published before; none is made.",
        "ED25519": "Ed25519 (RFC 8463), an addition that many receivers ignore.",
    },
    name="DkimAlgorithm",
)
describe_enum(
    RecordPurpose,
    "What a DNS record is for.",
    {
        "DKIM": "A public key; also the proof that the domain is yours.",
        "RETURN_PATH": "Where bounces go.",
        "SPF": "Which hosts may send for the domain.",
        "DMARC": "What receivers do with mail that proves nothing.",
        "MX": "Where mail for the domain goes.",
        "TRACKING": "The host in tracked links.",
        "BIMI": "The logo shown beside the mail.",
    },
)
describe_enum(
    RecordStatus,
    "What was found in the place of a record.",
    {
        "PENDING": "Nothing, or it was not looked up yet.",
        "VERIFIED": "What should be there.",
        "MISMATCH": "Something else; the message says what is wrong.",
        "ERROR": "The DNS gave no answer; this never demotes a domain.",
    },
)


describe_enum(
    DmarcPolicy,
    "What a domain asks receivers to do with mail that proves nothing.",
    {
        "NONE": "Deliver it, and report.",
        "QUARANTINE": "Keep it from the inbox.",
        "REJECT": "Refuse it.",
    },
)


@strawberry.type(description="A DKIM key of a domain; its private half is never shown.")
class DkimKey:
    row: strawberry.Private[queries.KeyView]

    @strawberry.field(description="UUID of the key.")
    def uuid(self) -> UUID:
        return self.row.id

    @strawberry.field(description="Its record is at `<selector>._domainkey.<domain>`.")
    def selector(self) -> str:
        return self.row.selector

    @strawberry.field(description="What kind of key it is.")
    def algorithm(self) -> KeyAlgorithm:
        return self.row.algorithm

    @strawberry.field(description="Whether it signs.")
    def state(self) -> KeyState:
        return self.row.state

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it began to sign.")
    def activated_at(self) -> datetime | None:
        return self.row.activated_at

    @strawberry.field(description="When its private half is destroyed and its record may go.")
    def retires_at(self) -> datetime | None:
        return self.row.retires_at


@strawberry.type(description="A DNS record that a domain publishes, and what was found.")
class DomainRecord:
    row: strawberry.Private[tables.DomainRecord]

    @strawberry.field(description="What it is for.")
    def purpose(self) -> RecordPurpose:
        return RecordPurpose(self.row.purpose)

    @strawberry.field(description="TXT, CNAME or MX.")
    def type(self) -> str:
        return self.row.type

    @strawberry.field(description="Full name, without the final dot.")
    def name(self) -> str:
        return self.row.name

    @strawberry.field(
        description="What to publish. A long TXT value may be split into strings of 255."
    )
    def value(self) -> str:
        return self.row.value

    @strawberry.field(description="Proposed lifetime, in seconds.")
    def ttl(self) -> int:
        return TTL_SECONDS

    @strawberry.field(description="The domain does not do what it was set up for without it.")
    def required(self) -> bool:
        return self.row.required

    @strawberry.field(description="What the last check found.")
    def status(self) -> RecordStatus:
        return RecordStatus(self.row.status)

    @strawberry.field(description="The values that are there, at most 10.")
    def found(self) -> list[str]:
        return list(self.row.found)

    @strawberry.field(description="What is wrong, as a sentence.")
    def message(self) -> str | None:
        return self.row.message

    @strawberry.field(description="When it was looked up last.")
    def checked_at(self) -> datetime | None:
        return self.row.checked_at


@strawberry.type(description="One status per purpose; null where the domain has no such record.")
class DomainChecks:
    dkim: RecordStatus | None = strawberry.field(description="The key that signs.")
    return_path: RecordStatus | None = strawberry.field(description="Where bounces go.")
    spf: RecordStatus | None = strawberry.field(description="Which hosts may send.")
    dmarc: RecordStatus | None = strawberry.field(description="The policy.")
    mx: RecordStatus | None = strawberry.field(description="Where mail goes.")
    tracking: RecordStatus | None = strawberry.field(description="The host of tracked links.")
    bimi: RecordStatus | None = strawberry.field(description="The logo.")


@strawberry.type(description="What the DMARC record says that counts for a domain.")
class DomainDmarc:
    policy: DmarcPolicy = strawberry.field(description="For mail of the domain, `p`.")
    subdomain_policy: DmarcPolicy = strawberry.field(
        description="For mail of domains below it, `sp`."
    )
    percent: int = strawberry.field(description="Of the mail that proves nothing, `pct`.")
    is_enforced: bool = strawberry.field(
        description="Mail that proves nothing is kept from inboxes; BIMI needs this."
    )
    subdomains_aligned: bool = strawberry.field(
        description="Our signatures speak for mail of domains below it too."
    )
    return_path_aligned: bool = strawberry.field(
        description="The return path speaks for its mail, beside the signatures."
    )


def dmarc_type(domain: tables.Domain, records: Sequence[tables.DomainRecord]) -> DomainDmarc | None:
    """Return what the last check found of the DMARC of *domain*; None if nothing counts."""
    texts = [row.found for row in records if row.purpose == RecordPurpose.DMARC.value]
    found = read_dmarc(texts[0][0]) if texts and len(texts[0]) == 1 else None
    if found is None:
        return None
    return DomainDmarc(
        policy=found.policy,
        subdomain_policy=found.subdomain_policy,
        percent=found.percent,
        is_enforced=found.is_enforced,
        subdomains_aligned=is_aligned(
            domain.name, header_from=f"below.{domain.name}", strict=found.strict_dkim
        ),
        return_path_aligned=is_aligned(
            domain.return_path_domain, header_from=domain.name, strict=found.strict_spf
        ),
    )


async def load_keys(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, list[queries.KeyView]]:
    """Return the keys of each domain."""
    found: dict[UUID, list[queries.KeyView]] = {}
    for key in await queries.list_keys(actor, ids):
        found.setdefault(key.domain_id, []).append(key)
    return found


async def load_records(
    actor: Actor, ids: Sequence[UUID]
) -> Mapping[UUID, list[tables.DomainRecord]]:
    """Return the records of each domain."""
    found: dict[UUID, list[tables.DomainRecord]] = {}
    for record in await queries.list_records(actor, ids):
        found.setdefault(record.domain_id, []).append(record)
    return found
