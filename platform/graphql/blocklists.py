"""Blocklists: which are known, what they say, and which vMTAs are on them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..blocklists import operations, queries, tables
from ..blocklists.asking import Answer
from ..blocklists.catalogue import known_lists
from ..blocklists.queries import KnownList
from ..blocklists.rules import FAULTS, Kind, Severity, Status, Terms
from ..core import clock
from ..core.actor import Actor
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection

describe_enum(
    Kind,
    "What is looked up in a blocklist.",
    {"IPV4": "IPv4 addresses.", "IPV6": "IPv6 addresses.", "DOMAIN": "Domains."},
    name="BlocklistKind",
)
describe_enum(
    Severity,
    "How much a listing matters to receivers.",
    {"HIGH": "Many refuse mail for it.", "MEDIUM": "Some do.", "LOW": "Few do."},
    name="BlocklistSeverity",
)
describe_enum(
    Terms,
    "On what terms a blocklist may be asked; its note says more.",
    {
        "FREE": "Anybody may.",
        "VOLUME": "Free below some number of queries.",
        "REGISTRATION": "The resolvers that ask have to be registered.",
        "KEY": "With a key.",
    },
    name="BlocklistTerms",
)
describe_enum(
    Status,
    "What came of asking a blocklist.",
    {
        "LISTED": "It has the subject.",
        "NOT_LISTED": "It does not.",
        "ERROR": "It refused, gave no usable answer, or fails its own test; nothing is known.",
        "TIMEOUT": "It did not answer in time; nothing is known.",
        "UNSUPPORTED": "It does not list this kind.",
    },
    name="BlocklistStatus",
)


@strawberry.type(description="What an address of a blocklist's answer means.")
class BlocklistCode:
    code: str = strawberry.field(description="Such as `127.0.0.2`; of sums, the number added.")
    meaning: str = strawberry.field(description="In a word of the list's own.")


@strawberry.type(description="A zone of the DNS that lists who sends what nobody wants.")
class Blocklist:
    known: strawberry.Private[KnownList]

    @strawberry.field(description="Below which names are looked up.")
    def zone(self) -> str:
        return self.known.blocklist.zone

    @strawberry.field(description="What it is called.")
    def name(self) -> str:
        return self.known.blocklist.name

    @strawberry.field(description="Who runs it.")
    def operator(self) -> str:
        return self.known.blocklist.operator

    @strawberry.field(description="What it lists.")
    def kinds(self) -> list[Kind]:
        return [kind for kind in Kind if kind in self.known.blocklist.kinds]

    @strawberry.field(description="How much it matters.")
    def severity(self) -> Severity:
        return self.known.blocklist.severity

    @strawberry.field(description="On what terms it may be asked.")
    def terms(self) -> Terms:
        return self.known.blocklist.terms

    @strawberry.field(description="The terms in a sentence; those on its site count.")
    def note(self) -> str:
        return self.known.blocklist.note

    @strawberry.field(description="Its site.")
    def site(self) -> str:
        return self.known.blocklist.site

    @strawberry.field(description="Where one asks to be taken off.")
    def delist_url(self) -> str:
        return self.known.blocklist.delist_url

    @strawberry.field(description="What its answers mean; none, if they only say listed.")
    def codes(self) -> list[BlocklistCode]:
        found = self.known.blocklist
        sums = {str(bit): word for bit, word in found.bits.items()}
        return [BlocklistCode(code=c, meaning=m) for c, m in {**found.codes, **sums}.items()]

    @strawberry.field(description="Whether this deployment asks it.")
    def enabled(self) -> bool:
        return self.known.is_enabled

    @strawberry.field(
        description="Whether it passed its last test, which is daily (RFC 5782 section 5). One "
        "that failed is not believed. Null: it was not tested."
    )
    def healthy(self) -> bool | None:
        return self.known.is_healthy

    @strawberry.field(description="Why it failed.")
    def problem(self) -> str | None:
        return FAULTS[self.known.fault] if self.known.fault else None

    @strawberry.field(description="When it was tested last.")
    def tested_at(self) -> datetime | None:
        return self.known.tested_at

    @strawberry.field(description="When it last passed.")
    def last_success_at(self) -> datetime | None:
        return self.known.passed_at


@strawberry.type(description="What one blocklist says of an address or a domain.")
class BlocklistResult:
    answer: strawberry.Private[Answer]

    @strawberry.field(description="Of the list.")
    def zone(self) -> str:
        return self.answer.blocklist.zone

    @strawberry.field(description="Of the list.")
    def name(self) -> str:
        return self.answer.blocklist.name

    @strawberry.field(description="What came of it.")
    def status(self) -> Status:
        return self.answer.verdict.status

    @strawberry.field(description="The addresses it answered.")
    def codes(self) -> list[str]:
        return list(self.answer.verdict.codes)

    @strawberry.field(description="What they mean, as far as it is known.")
    def meaning(self) -> list[str]:
        return list(self.answer.verdict.meanings)

    @strawberry.field(description="Why, in the list's own words; or why there is no answer.")
    def reason(self) -> str | None:
        return self.answer.reason

    @strawberry.field(description="How much a listing there matters.")
    def severity(self) -> Severity:
        return self.answer.blocklist.severity

    @strawberry.field(description="Where one asks to be taken off.")
    def delist_url(self) -> str:
        return self.answer.blocklist.delist_url

    @strawberry.field(description="Whether it is what the list said when it was asked before.")
    def cached(self) -> bool:
        return self.answer.is_cached

    @strawberry.field(description="How long it took.")
    def duration_ms(self) -> int:
        return self.answer.duration_ms


@strawberry.type(description="The address of a vMTA on a blocklist.")
class BlocklistListing(Node):
    row: strawberry.Private[tables.Listing]

    @strawberry.field(description="UUID of the vMTA.")
    def vmta_uuid(self) -> UUID:
        return UUID(str(self.row.vmta_id))

    @strawberry.field(description="The address.")
    def ip_address(self) -> str:
        return self.row.ip_address

    @strawberry.field(description="Of the list.")
    def zone(self) -> str:
        return self.row.zone

    @strawberry.field(description="How much it matters.")
    def severity(self) -> Severity:
        return Severity(self.row.severity)

    @strawberry.field(description="The addresses that the list answered.")
    def codes(self) -> list[str]:
        return list(self.row.codes)

    @strawberry.field(description="Why, in the list's own words.")
    def reason(self) -> str | None:
        return self.row.reason

    @strawberry.field(description="Where one asks to be taken off; null: the list is not known.")
    def delist_url(self) -> str | None:
        found = known_lists().get(self.row.zone)
        return found.delist_url if found else None

    @strawberry.field(description="When it was seen there first.")
    def since(self) -> datetime:
        return self.row.since

    @strawberry.field(description="When it was seen there last.")
    def seen_at(self) -> datetime:
        return self.row.seen_at


def _listing_type(row: tables.Listing) -> BlocklistListing:
    return BlocklistListing(uuid=row.id, row=row)


async def load_listings(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, BlocklistListing]:
    """Return those of the listings that the actor may see."""
    return {row.id: _listing_type(row) for row in await queries.find_listings(actor, ids)}


register(BlocklistListing, load_listings)


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="The blocklists that are known, those that are asked first. Needs "
        "`security:read`."
    )
    async def blocklists(
        self,
        info: Info,
        enabled: Annotated[
            bool | None, strawberry.argument(description="Only those asked, or only the others.")
        ] = None,
    ) -> list[Blocklist]:
        found = await queries.list_blocklists(actor_of(info), enabled=enabled)
        return [Blocklist(known=each) for each in found]

    @strawberry.field(
        description="Which addresses of vMTAs are on blocklists now, newest first; those of "
        "shared vMTAs, too. Needs `security:read`."
    )
    async def blocklist_listings(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[BlocklistListing]:
        page = page_request(first, after, last, before)
        return to_connection(await queries.list_listings(actor_of(info), page=page), _listing_type)


@strawberry.input(description="What to look up, and where.")
class CheckBlocklistsInput:
    ip: str | None = strawberry.field(
        default=None, description="A public IPv4 or IPv6 address, or the test point `127.0.0.2`."
    )
    domain: str | None = strawberry.field(default=None, description="A domain instead.")
    blocklists: list[str] | None = strawberry.field(
        default=None, description="Zones of lists that are asked here; left out, all of them."
    )
    use_cache: bool = strawberry.field(
        default=True, description="Whether an answer of the last hour will do."
    )


@strawberry.type(description="What blocklists say of an address or a domain.")
class CheckBlocklistsPayload:
    checked: strawberry.Private[operations.Checked]

    @strawberry.field(description="What was looked up, in its normal form.")
    def subject(self) -> str:
        return self.checked.subject.text

    @strawberry.field(description="Whether any list has it.")
    def listed(self) -> bool:
        return self.checked.count(Status.LISTED) > 0

    @strawberry.field(description="How many have it.")
    def listed_count(self) -> int:
        return self.checked.count(Status.LISTED)

    @strawberry.field(description="How many were to be asked.")
    def checked_count(self) -> int:
        return len(self.checked.answers)

    @strawberry.field(description="How many gave no answer that counts.")
    def error_count(self) -> int:
        return self.checked.count(Status.ERROR, Status.TIMEOUT)

    @strawberry.field(description="UUID of the organization's own vMTA with the address.")
    def vmta_uuid(self) -> UUID | None:
        return self.checked.vmta_id

    @strawberry.field(description="What each list says.")
    def results(self) -> list[BlocklistResult]:
        return [BlocklistResult(answer=each) for each in self.checked.answers]

    @strawberry.field(description="When.")
    def checked_at(self) -> datetime:
        return self.checked.checked_at


@strawberry.input(description="Which answers of blocklists to forget; without both, all.")
class ClearBlocklistCacheInput:
    ip: str | None = strawberry.field(
        default=None, description="Only those about this address or domain."
    )
    zone: str | None = strawberry.field(default=None, description="Only those of this list.")


@strawberry.type(description="Answers that were forgotten.")
class ClearBlocklistCachePayload:
    cleared: int = strawberry.field(description="How many that would have been used again.")
    ip: str | None = strawberry.field(description="The only subject, in its normal form.")
    zone: str | None = strawberry.field(description="The only list.")
    cleared_at: datetime = strawberry.field(description="When.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Ask blocklists about an address or a domain, eight seconds at most. What "
        "they say of the address of one of your vMTAs is noted with it. Needs `security:scan`."
    )
    async def check_blocklists(
        self,
        info: Info,
        input: Annotated[CheckBlocklistsInput, strawberry.argument(description="What.")],
    ) -> CheckBlocklistsPayload:
        checked = await operations.check_blocklists(
            actor_of(info),
            ip=input.ip,
            domain=input.domain,
            zones=input.blocklists,
            use_cache=input.use_cache,
        )
        return CheckBlocklistsPayload(checked=checked)

    @strawberry.mutation(
        description="Forget what blocklists told your organization, so that the next look asks "
        "them anew. Needs `security:write`."
    )
    async def clear_blocklist_cache(
        self,
        info: Info,
        input: Annotated[ClearBlocklistCacheInput, strawberry.argument(description="Which.")],
    ) -> ClearBlocklistCachePayload:
        done = await operations.clear_blocklist_cache(
            actor_of(info), subject=input.ip, zone=input.zone
        )
        return ClearBlocklistCachePayload(
            cleared=done.count, ip=done.subject, zone=done.zone, cleared_at=clock.now()
        )
