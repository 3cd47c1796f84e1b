"""The logos of domains (BIMI)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..domains import queries, tables
from ..domains.bimi import DEFAULT_SELECTOR, BimiSettings, BimiStatus, bimi_status
from ..domains.logo import BimiIssueCode
from ..domains.logos import StoredLogo
from ..domains.records import RecordPurpose, RecordStatus
from .domain_records import DomainRecord
from .enums import describe_enum
from .scalars import Url

describe_enum(
    BimiStatus,
    "Whether mailboxes would show a domain's logo.",
    {
        "DISABLED": "The domain publishes none.",
        "VALID": "Everything is as it should be, with a mark certificate.",
        "VALID_WITHOUT_VMC": "Everything is as it should be, without a mark certificate; some "
        "mailboxes need one.",
        "INVALID": "The issues say why not.",
        "PENDING_DNS": "Nothing is wrong but that its record was not seen yet.",
    },
)
describe_enum(
    BimiIssueCode,
    "What keeps mailboxes from showing a logo.",
    {
        "DMARC_NOT_ENFORCED": "DMARC lets mail that proves nothing into inboxes.",
        "LOGO_UNREACHABLE": "It could not be fetched over HTTPS from a public address.",
        "LOGO_WRONG_TYPE": "Its server does not say `image/svg+xml`.",
        "LOGO_TOO_LARGE": "It is larger than 32 KiB, or has too many elements.",
        "LOGO_NOT_SVG": "It is no SVG, or has a document type or entities.",
        "LOGO_NOT_TINY_PS": "It has what SVG Tiny PS does not, or does not name this profile.",
        "LOGO_WITHOUT_TITLE": "It has no title.",
        "LOGO_HAS_SCRIPT": "It has scripts or foreign content.",
        "LOGO_HAS_ANIMATION": "It has animations.",
        "LOGO_HAS_RASTER": "It has pictures made of pixels, video or sound.",
        "LOGO_HAS_REFERENCE": "It refers to something outside itself.",
        "LOGO_NOT_SQUARE": "Its viewBox is not square.",
        "VMC_UNREACHABLE": "The certificate could not be fetched.",
        "VMC_NOT_A_CERTIFICATE": "The certificate is not PEM.",
        "VMC_NOT_A_MARK": "The certificate is not one for marks, or has no logo inside.",
        "VMC_BROKEN_CHAIN": "A certificate is not signed by the next one in the file.",
        "VMC_EXPIRED": "A certificate of the chain is not valid now.",
        "VMC_OTHER_NAME": "The certificate is for another domain.",
        "VMC_OTHER_LOGO": "The certificate has another logo inside.",
    },
)


@strawberry.type(description="One thing that keeps mailboxes from showing a logo.")
class BimiIssue:
    code: BimiIssueCode = strawberry.field(description="What it is.")
    message: str = strawberry.field(description="The same as a sentence.")


@strawberry.type(description="The logo of a domain, as the last look at it found it.")
class DomainBimi:
    enabled: bool = strawberry.field(description="The domain publishes a logo.")
    selector: str = strawberry.field(
        description="Its record is at `<selector>._bimi.<domain>`; mail names a selector that "
        "is not `default`."
    )
    logo_url: Url | None = strawberry.field(description="Where the SVG is.")
    vmc_url: Url | None = strawberry.field(description="Where the mark certificate is.")
    status: BimiStatus = strawberry.field(description="Whether mailboxes would show it.")
    vmc_expires_at: datetime | None = strawberry.field(
        description="Until when the mark certificate holds."
    )
    issues: list[BimiIssue] = strawberry.field(description="What is wrong, each kind once.")
    record: DomainRecord | None = strawberry.field(description="What to publish.")
    checked_at: datetime | None = strawberry.field(description="When it was looked at last.")


def logo_type(stored: StoredLogo | None, records: Sequence[tables.DomainRecord]) -> DomainBimi:
    """Return a domain's logo as the schema shows it; the domain's *records* hold its own."""
    set_up = stored.settings if stored else BimiSettings(enabled=False, selector=DEFAULT_SELECTOR)
    own = [row for row in records if row.purpose == RecordPurpose.BIMI.value]
    issues = stored.verdict.issues if stored and set_up.enabled else ()
    found = RecordStatus(own[0].status) if own else None
    return DomainBimi(
        enabled=set_up.enabled,
        selector=set_up.selector,
        logo_url=Url(set_up.logo_url) if set_up.logo_url else None,
        vmc_url=Url(set_up.vmc_url) if set_up.vmc_url else None,
        status=bimi_status(set_up, issues=issues, record=found),
        vmc_expires_at=stored.verdict.vmc_expires_at if stored else None,
        issues=[BimiIssue(code=issue.code, message=issue.message) for issue in issues],
        record=DomainRecord(row=own[0]) if own else None,
        checked_at=stored.checked_at if stored else None,
    )


async def load_logos(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, StoredLogo]:
    """Return the logo of each domain that has one."""
    return await queries.list_logos(actor, ids)
