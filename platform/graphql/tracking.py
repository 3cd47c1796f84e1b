"""Tracking: what is decided about it, and for whom."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..accounts import operations as accounts
from ..accounts import queries as account_queries
from ..accounts.rules import TrackingSwitches
from ..accounts.tables import Organization as OrganizationRow
from ..accounts.tables import Project as ProjectRow
from ..core.actor import Actor, ProjectId
from ..tracking import operations, queries, tables
from .context import Info, actor_of
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import EmailAddress


@strawberry.type(
    description="What is decided about tracking in one place. The most specific place that "
    "decides counts: recipient, message, project, sending domain, organization. Where none does, "
    "nothing is tracked."
)
class TrackingSettings:
    row: strawberry.Private[OrganizationRow | ProjectRow]

    @strawberry.field(description="Whether opens are tracked; null is not decided here.")
    def opens(self) -> bool | None:
        return self.row.track_opens

    @strawberry.field(description="Whether clicks are tracked; null is not decided here.")
    def clicks(self) -> bool | None:
        return self.row.track_clicks

    @strawberry.field(
        description="Whether clicks on addresses in plain text are, too, where clicks are; null "
        "is not decided here."
    )
    def text_links(self) -> bool | None:
        return self.row.track_text_links

    @strawberry.field(
        description="Only sums are kept: an open or a click names no message and no recipient, "
        "no address and no program, and the hour alone. It holds if organization or project "
        "say so."
    )
    def aggregate_only(self) -> bool:
        return self.row.tracking_aggregate


@strawberry.type(
    description="What was decided about tracking one recipient, whatever is decided elsewhere."
)
class TrackingChoice(Node):
    row: strawberry.Private[tables.TrackingChoice]

    @strawberry.field(description="The recipient; case does not count.")
    def address(self) -> EmailAddress:
        return EmailAddress(self.row.address)

    @strawberry.field(description="Whether opens are tracked; null is not decided here.")
    def opens(self) -> bool | None:
        return self.row.track_opens

    @strawberry.field(description="Whether clicks are tracked; null is not decided here.")
    def clicks(self) -> bool | None:
        return self.row.track_clicks

    @strawberry.field(description="UUID of the only project that it holds for; null is all.")
    def project_uuid(self) -> UUID | None:
        return self.row.project_id

    @strawberry.field(description="When it was first decided.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it was decided last.")
    def updated_at(self) -> datetime:
        return self.row.updated_at


def _choice(row: tables.TrackingChoice) -> TrackingChoice:
    return TrackingChoice(uuid=row.id, row=row)


async def load_choices(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, TrackingChoice]:
    """Return those of the choices that the actor may see."""
    return {id: _choice(row) for id, row in (await queries.find_choices(actor, ids)).items()}


register(TrackingChoice, load_choices)


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="What is decided about tracking for all of its mail.")
    async def tracking(self, info: Info) -> TrackingSettings:
        return TrackingSettings(row=await account_queries.get_organization(actor_of(info)))

    @strawberry.field(
        description="Recipients for whom something was decided, newest first. Needs "
        "`messages:read`."
    )
    async def tracking_choices(
        self,
        info: Info,
        address: Annotated[
            EmailAddress | None, strawberry.argument(description="Only those of this address.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[TrackingChoice]:
        page = page_request(first, after, last, before)
        found = await queries.list_choices(actor_of(info), address=address, page=page)
        return to_connection(found, _choice)


@strawberry.input(description="What to decide about tracking; an absent field stays.")
class UpdateTrackingInput:
    project_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="Id or UUID of the project; left out, it is for the organization.",
    )
    opens: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether opens are tracked; null takes the decision back."
    )
    clicks: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether clicks are tracked; null takes the decision back."
    )
    text_links: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether clicks on addresses in plain text are; null takes it back."
    )
    aggregate_only: bool | None = strawberry.field(
        default=None, description="Whether only sums are kept, of hits from now on."
    )


@strawberry.type(description="What `updateTracking` changed.")
class UpdateTrackingPayload:
    tracking: TrackingSettings = strawberry.field(description="What is decided now.")


@strawberry.input(description="What to decide about one recipient; both null is nothing.")
class ChooseTrackingInput:
    address: EmailAddress = strawberry.field(description="One email address.")
    opens: bool | None = strawberry.field(
        default=None, description="Whether their opens are tracked; null decides nothing."
    )
    clicks: bool | None = strawberry.field(
        default=None, description="Whether their clicks are tracked; null decides nothing."
    )
    project_id: strawberry.ID | None = strawberry.field(
        default=None, description="Id or UUID of the only project it holds for."
    )


@strawberry.type(description="What `chooseTracking` decided.")
class ChooseTrackingPayload:
    choice: TrackingChoice | None = strawberry.field(
        description="What is decided now; null if nothing is."
    )


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Decide about tracking for the organization or one project, from the next "
        "message on. Needs `projects:write`."
    )
    async def update_tracking(
        self,
        info: Info,
        input: Annotated[UpdateTrackingInput, strawberry.argument(description="The change.")],
    ) -> UpdateTrackingPayload:
        actor = actor_of(info)
        id = None if input.project_id is None else ProjectId(parse_id(input.project_id, "Project"))
        asked = {
            "track_opens": input.opens,
            "track_clicks": input.clicks,
            "track_text_links": input.text_links,
        }
        changes = {name: given.value for name, given in asked.items() if given is not None}
        if input.aggregate_only is not None:
            changes["tracking_aggregate"] = input.aggregate_only
        await accounts.set_tracking(actor, changes, project_id=id)
        if id is not None:
            project = await account_queries.get_project(actor, id)
            return UpdateTrackingPayload(tracking=TrackingSettings(row=project))
        organization = await account_queries.get_organization(actor)
        return UpdateTrackingPayload(tracking=TrackingSettings(row=organization))

    @strawberry.mutation(
        description="Decide whether one recipient is tracked, whatever is decided elsewhere; "
        "with a key of one project, in that project. Needs `messages:write`."
    )
    async def choose_tracking(
        self,
        info: Info,
        input: Annotated[ChooseTrackingInput, strawberry.argument(description="The recipient.")],
    ) -> ChooseTrackingPayload:
        project = input.project_id
        row = await operations.choose_tracking(
            actor_of(info),
            address=input.address,
            switches=TrackingSwitches(input.opens, input.clicks),
            project_id=None if project is None else ProjectId(parse_id(project, "Project")),
        )
        return ChooseTrackingPayload(choice=None if row is None else _choice(row))
