"""What whoever looks after the deployment sees and does: every organization, and how all runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..accounts import operations, platform_queries
from ..accounts.platform_queries import OrganizationFilter
from ..accounts.rules import OrganizationStatus, Plan, Suspension
from ..accounts.tables import Organization as OrganizationRow
from ..analytics.volumes import NOTHING, Volume, volumes_of
from ..core.actor import Actor
from ..credits.queries import balances_of
from ..credits.rules import is_unlimited
from ..protection.queries import strictnesses_of
from ..protection.rules import Strictness
from ..security import operations as security
from .context import Info, actor_of
from .enums import describe_enum
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import BigInt

describe_enum(
    Suspension,
    "Why an organization is suspended.",
    {
        "DEBT": "It owes money; paying ends it.",
        "PLATFORM": "Whoever looks after the deployment decided it.",
    },
)


async def load_volumes(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Volume]:
    """Return what the mail of some organizations came to."""
    return await volumes_of(actor, ids)


async def load_balances(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """Return the email credits that are left to some organizations."""
    return await balances_of(actor, ids)


async def load_member_counts(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """Return how many people belong to some organizations."""
    return await platform_queries.count_members(actor, ids)


async def load_strictnesses(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Strictness]:
    """Return how strictly some organizations are judged."""
    return await strictnesses_of(actor, ids)


@strawberry.type(description="Mail of the last seven days, today included, by UTC.")
class RecentVolume:
    accepted: BigInt = strawberry.field(description="Recipients that were accepted.")
    sent: BigInt = strawberry.field(description="Of them, those with an attempt.")
    delivered: BigInt = strawberry.field(description="Delivered.")
    bounced: BigInt = strawberry.field(description="Failed for good.")
    complained: BigInt = strawberry.field(description="Complained about.")
    bounce_rate: float | None = strawberry.field(
        description="Percentage of what was sent; null if nothing was."
    )
    complaint_rate: float | None = strawberry.field(
        description="Percentage of what was delivered; null if nothing was."
    )


@strawberry.type(description="An organization, as whoever looks after the deployment sees it.")
class OverseenOrganization:
    row: strawberry.Private[OrganizationRow]

    @strawberry.field(description="Its UUID.")
    def uuid(self) -> UUID:
        return self.row.id

    @strawberry.field(description="Lower-case name in addresses.")
    def slug(self) -> str:
        return self.row.slug

    @strawberry.field(description="Name.")
    def name(self) -> str:
        return self.row.name

    @strawberry.field(description="What it may do.")
    def status(self) -> OrganizationStatus:
        return OrganizationStatus(self.row.status)

    @strawberry.field(description="Why it is suspended; null if it is not.")
    def suspended_for(self) -> Suspension | None:
        found = self.row.suspended_for
        return None if found is None else Suspension(found)

    @strawberry.field(description="What it pays for.")
    def plan(self) -> Plan:
        return Plan(self.row.plan)

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="How many people belong to it.")
    async def members(self, info: Info) -> int:
        return await info.context.loaders.load(load_member_counts, self.row.id) or 0

    @strawberry.field(description="Email credits that are left; null is any number.")
    async def credits(self, info: Info) -> BigInt | None:
        if is_unlimited(self.row.plan):
            return None
        return BigInt(await info.context.loaders.load(load_balances, self.row.id) or 0)

    @strawberry.field(description="How strictly rules judge it.")
    async def reputation_policy(self, info: Info) -> Strictness:
        found = await info.context.loaders.load(load_strictnesses, self.row.id)
        return found or Strictness.STANDARD

    @strawberry.field(description="Its mail of the last seven days.")
    async def volume(self, info: Info) -> RecentVolume:
        found = await info.context.loaders.load(load_volumes, self.row.id) or NOTHING
        return RecentVolume(
            accepted=BigInt(found.accepted),
            sent=BigInt(found.sent),
            delivered=BigInt(found.delivered),
            bounced=BigInt(found.bounced),
            complained=BigInt(found.complained),
            bounce_rate=found.bounce_rate,
            complaint_rate=found.complaint_rate,
        )


@strawberry.input(description="Which organizations.")
class OverseenFilter:
    search: str | None = strawberry.field(
        default=None, description="Part of the name or of the slug."
    )
    status: OrganizationStatus | None = strawberry.field(
        default=None, description="Only those with this status."
    )


@strawberry.input(description="Whom to suspend, and why.")
class SuspendOrganizationInput:
    slug: str = strawberry.field(description="Lower-case name of the organization.")
    reason: str = strawberry.field(
        description="1 to 100 characters; the organization reads it in its audit log."
    )


@strawberry.input(description="Whose suspension ends.")
class ResumeOrganizationInput:
    slug: str = strawberry.field(description="Lower-case name of the organization.")


@strawberry.type(description="What `suspendOrganization` did.")
class SuspendOrganizationPayload:
    organization: OverseenOrganization = strawberry.field(description="As it is now.")


@strawberry.type(description="What `resumeOrganization` did.")
class ResumeOrganizationPayload:
    organization: OverseenOrganization = strawberry.field(description="As it is now.")


@strawberry.input(description="Where to act, and why.")
class BeginVisitInput:
    slug: str = strawberry.field(description="Lower-case name of the organization.")
    reason: str = strawberry.field(
        description="1 to 100 characters; the organization reads it in its audit log."
    )


@strawberry.input(description="Where to act no longer.")
class EndVisitInput:
    slug: str = strawberry.field(description="Lower-case name of the organization.")


@strawberry.type(description="What `beginVisit` did.")
class BeginVisitPayload:
    expires_at: datetime = strawberry.field(description="When it ends by itself.")


@strawberry.type(description="What `endVisit` did.")
class EndVisitPayload:
    ended: bool = strawberry.field(description="False: there was none.")


@strawberry.type
class Query:
    @strawberry.field(
        description="Every organization of the deployment, the newest first. For who looks after "
        "it, signed in as a person."
    )
    async def overseen_organizations(
        self,
        info: Info,
        filter: Annotated[
            OverseenFilter | None, strawberry.argument(description="Only some of them.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[OverseenOrganization]:
        wanted = OrganizationFilter(
            search=None if filter is None else filter.search,
            status=None if filter is None else filter.status,
        )
        request = page_request(first, after, last, before)
        page = await platform_queries.list_organizations(actor_of(info), request, wanted)
        return to_connection(page, lambda row: OverseenOrganization(row=row))

    @strawberry.field(
        description="One organization of the deployment. For who looks after it, signed in as a "
        "person."
    )
    async def overseen_organization(
        self,
        info: Info,
        slug: Annotated[str, strawberry.argument(description="Its lower-case name.")],
    ) -> OverseenOrganization:
        return await _overseen(info, slug)


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Let an organization read and change nothing; mail that was accepted still "
        "goes out. For who looks after the deployment, signed in as a person."
    )
    async def suspend_organization(
        self,
        info: Info,
        input: Annotated[SuspendOrganizationInput, strawberry.argument(description="Whom.")],
    ) -> SuspendOrganizationPayload:
        await operations.suspend_organization(actor_of(info), input.slug, reason=input.reason)
        return SuspendOrganizationPayload(organization=await _overseen(info, input.slug))

    @strawberry.mutation(
        description="End the suspension of an organization, for whatever it was. For who looks "
        "after the deployment, signed in as a person."
    )
    async def resume_organization(
        self,
        info: Info,
        input: Annotated[ResumeOrganizationInput, strawberry.argument(description="Whose.")],
    ) -> ResumeOrganizationPayload:
        await operations.resume_organization(actor_of(info), input.slug)
        return ResumeOrganizationPayload(organization=await _overseen(info, input.slug))

    @strawberry.mutation(
        description="Act in an organization that is not yours, in the dashboard and for an hour: "
        "you see what its administrators see, but no secrets, and change neither people nor "
        "security. For who looks after the deployment, signed in as a person."
    )
    async def begin_visit(
        self,
        info: Info,
        input: Annotated[BeginVisitInput, strawberry.argument(description="Where.")],
    ) -> BeginVisitPayload:
        ends = await security.begin_visit(actor_of(info), input.slug, reason=input.reason)
        return BeginVisitPayload(expires_at=ends)

    @strawberry.mutation(description="Act there no longer.")
    async def end_visit(
        self,
        info: Info,
        input: Annotated[EndVisitInput, strawberry.argument(description="Where.")],
    ) -> EndVisitPayload:
        return EndVisitPayload(ended=await security.end_visit(actor_of(info), input.slug))


async def _overseen(info: Info, slug: str) -> OverseenOrganization:
    return OverseenOrganization(row=await platform_queries.get_organization(actor_of(info), slug))
