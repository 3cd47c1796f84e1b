"""People of the organization, and invitations to join it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..accounts import invitation_queries, operations, queries
from ..accounts.queries import Member, MemberFilter, MemberOrder
from ..accounts.rules import UserStatus
from ..accounts.tables import Invitation as InvitationRow
from ..core.actor import Actor, Role, UserId
from ..security import queries as keys
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, global_id, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import EmailAddress

describe_enum(
    Role,
    "What a member may do. Each role of the ladder may do all that those before it may; "
    "`BILLING` stands beside it.",
    {
        "VIEWER": "Reads everything but people's settings and money.",
        "DEVELOPER": "Sends, and sets up domains, webhooks and API keys of their own.",
        "ADMIN": "Manages everything but money and owners.",
        "OWNER": "Everything.",
        "BILLING": "Reads credits and people, and manages money.",
    },
)
describe_enum(
    UserStatus,
    "Whether a person may sign in.",
    {"ACTIVE": "May sign in.", "DISABLED": "May not sign in."},
)
describe_enum(
    MemberOrder,
    "What members are ordered by.",
    {
        "CREATED_AT": "When they registered.",
        "EMAIL": "Their email address.",
        "NAME": "Their name.",
        "LAST_LOGIN_AT": "When they last signed in; never is the earliest.",
    },
    name="MemberOrderField",
)


@strawberry.type(description="A person, as a member of the organization.")
class User(Node):
    member: strawberry.Private[Member]

    @strawberry.field(description="Email address that the person signs in with.")
    def email(self) -> EmailAddress:
        return EmailAddress(self.member.user.email)

    @strawberry.field(description="Name.")
    def name(self) -> str:
        return self.member.user.name

    @strawberry.field(description="Role in this organization.")
    def role(self) -> Role:
        return self.member.role

    @strawberry.field(description="Whether the person may sign in.")
    def status(self) -> UserStatus:
        return UserStatus(self.member.user.status)

    @strawberry.field(description="Whether the person signs in with a second factor.")
    def has_second_factor(self) -> bool:
        return self.member.user.second_factor_at is not None

    @strawberry.field(description="IANA name of the person's time zone.")
    def timezone(self) -> str:
        return self.member.user.timezone

    @strawberry.field(description="When the person last signed in; null is never.")
    def last_login_at(self) -> datetime | None:
        return self.member.user.last_login_at

    @strawberry.field(description="When the person joined this organization.")
    def joined_at(self) -> datetime:
        return self.member.joined_at

    @strawberry.field(description="When the person registered.")
    def created_at(self) -> datetime:
        return self.member.user.created_at

    @strawberry.field(description="When the person's own settings last changed.")
    def updated_at(self) -> datetime:
        return self.member.user.updated_at

    @strawberry.field(
        description="How many API keys of this organization the person has made. "
        "Needs `users:read`."
    )
    async def api_key_count(self, info: Info) -> int:
        return await info.context.loaders.load(keys.count_by_maker, UserId(self.uuid)) or 0


def user_of(member: Member) -> User:
    """Return a member as the schema shows them."""
    return User(uuid=member.user.id, member=member)


async def load_users(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, User]:
    """Return those of *ids* who are members of the actor's organization."""
    found = await queries.find_members(actor, [UserId(id) for id in ids])
    return {user_id: user_of(member) for user_id, member in found.items()}


register(User, load_users)


@strawberry.type(description="An offer to join the organization that can still be accepted.")
class Invitation(Node):
    row: strawberry.Private[InvitationRow]

    @strawberry.field(description="Whom it is for; nobody else can accept it.")
    def email(self) -> EmailAddress:
        return EmailAddress(self.row.email)

    @strawberry.field(description="The role it gives.")
    def role(self) -> Role:
        return Role(self.row.role)

    @strawberry.field(description="Who made it; null if they have left. Needs `users:read`.")
    async def invited_by(self, info: Info) -> User | None:
        if self.row.invited_by is None:
            return None
        return await info.context.loaders.load(load_users, self.row.invited_by)

    @strawberry.field(description="Until when it can be accepted.")
    def expires_at(self) -> datetime:
        return self.row.expires_at

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at


def _invitation(row: InvitationRow) -> Invitation:
    return Invitation(uuid=row.id, row=row)


async def load_invitations(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Invitation]:
    """Return those of *ids* that are open invitations to the actor's organization."""
    found = await invitation_queries.find_invitations(actor, ids)
    return {id: _invitation(row) for id, row in found.items()}


register(Invitation, load_invitations)


@strawberry.input(description="Which members; an absent field is any.")
class MemberFilterInput:
    role: Role | None = strawberry.field(default=None, description="Only with this role.")
    status: UserStatus | None = strawberry.field(default=None, description="Only in this state.")
    search: str | None = strawberry.field(
        default=None, description="Part of the email address or the name, in any case."
    )


@strawberry.input(description="The order of members.")
class MemberOrderInput:
    field: MemberOrder = strawberry.field(default=MemberOrder.CREATED_AT, description="By what.")
    descending: bool = strawberry.field(default=False, description="The last one first.")


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="The organization's people. Needs `users:read`.")
    async def members(
        self,
        info: Info,
        filter: Annotated[
            MemberFilterInput | None, strawberry.argument(description="Which ones.")
        ] = None,
        order_by: Annotated[
            MemberOrderInput | None, strawberry.argument(description="In which order.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[User]:
        actor = actor_of(info)
        given, order = filter or MemberFilterInput(), order_by or MemberOrderInput()
        where = MemberFilter(given.role, given.status, given.search)
        page = await queries.list_members(
            actor,
            page_request(first, after, last, before, maximum=500),
            where=where,
            order=order.field,
            descending=order.descending,
        )
        return to_connection(page, user_of, count=lambda: queries.count_members(actor, where=where))

    @strawberry.field(description="One member. Needs `users:read`, except for oneself.")
    async def member(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Id of the user.")],
    ) -> User:
        user_id = UserId(parse_id(id, "User"))
        return user_of(await queries.get_member(actor_of(info), user_id))

    @strawberry.field(
        description="Invitations that can still be accepted, newest first. Needs `users:write`."
    )
    async def invitations(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Invitation]:
        actor = actor_of(info)
        page = await invitation_queries.list_invitations(
            actor, page_request(first, after, last, before)
        )
        return to_connection(
            page, _invitation, count=lambda: invitation_queries.count_invitations(actor)
        )


@strawberry.input(description="Whose role to change, and to what.")
class ChangeRoleInput:
    user_id: strawberry.ID = strawberry.field(description="Id of the member.")
    role: Role = strawberry.field(description="The new role.")


@strawberry.type(description="What `changeRole` did.")
class ChangeRolePayload:
    user: User = strawberry.field(description="The member with their new role.")


@strawberry.input(description="Whom to invite, and as what.")
class InviteMemberInput:
    email: EmailAddress = strawberry.field(description="Who may accept.")
    role: Role = strawberry.field(description="The role that accepting gives.")


@strawberry.type(description="What `inviteMember` made.")
class InviteMemberPayload:
    invitation: Invitation = strawberry.field(description="The invitation.")
    token: str = strawberry.field(
        description="Accepts the invitation, together with the email address; shown this once."
    )


@strawberry.input(description="Which invitation to mail again.")
class ResendInvitationInput:
    invitation_id: strawberry.ID = strawberry.field(description="Id of the invitation.")


@strawberry.type(description="What `resendInvitation` did.")
class ResendInvitationPayload:
    invitation: Invitation = strawberry.field(description="The invitation, with its new end.")
    token: str = strawberry.field(
        description="Accepts the invitation; the one before does not any more. Shown this once."
    )


@strawberry.type(description="What an invitation says to whoever holds its link.")
class InvitationOffer:
    offer: strawberry.Private[invitation_queries.Offer]

    @strawberry.field(description="Name of the inviting organization.")
    def organization_name(self) -> str:
        return self.offer.organization_name

    @strawberry.field(description="Name of whoever invites; null if they are gone.")
    def invited_by(self) -> str | None:
        return self.offer.invited_by

    @strawberry.field(description="Whom it is for; nobody else can accept it.")
    def email(self) -> EmailAddress:
        return EmailAddress(self.offer.email)

    @strawberry.field(description="The role it gives.")
    def role(self) -> Role:
        return self.offer.role

    @strawberry.field(description="Until when it can be accepted.")
    def expires_at(self) -> datetime:
        return self.offer.expires_at


@strawberry.type
class Query:
    @strawberry.field(
        description="What the invitation with this token offers; null if it cannot be accepted "
        "any more. Needs no credential: the token is one."
    )
    async def invitation_offer(
        self,
        token: Annotated[str, strawberry.argument(description="From the link in the mail.")],
    ) -> InvitationOffer | None:
        offer = await invitation_queries.find_offer(token)
        return None if offer is None else InvitationOffer(offer=offer)


@strawberry.input(description="Which invitation to withdraw.")
class WithdrawInvitationInput:
    invitation_id: strawberry.ID = strawberry.field(description="Id of the invitation.")


@strawberry.type(description="What `withdrawInvitation` did.")
class WithdrawInvitationPayload:
    withdrawn_id: strawberry.ID = strawberry.field(description="Global id of what is gone.")


@strawberry.input(description="Whom to remove.")
class RemoveMemberInput:
    user_id: strawberry.ID = strawberry.field(description="Id of the member; one's own to leave.")


@strawberry.type(description="What `removeMember` did.")
class RemoveMemberPayload:
    removed_id: strawberry.ID = strawberry.field(description="Global id of who is gone.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Give a member another role, from their next request on. Needs `users:write`, "
        "and every right that the role adds; only an owner touches owners, or makes one; nobody "
        "changes their own role; an owner stays."
    )
    async def change_role(
        self,
        info: Info,
        input: Annotated[ChangeRoleInput, strawberry.argument(description="Who, and to what.")],
    ) -> ChangeRolePayload:
        user_id = UserId(parse_id(input.user_id, "User"))
        await operations.change_role(actor_of(info), user_id, role=input.role)
        return ChangeRolePayload(user=user_of(await queries.get_member(actor_of(info), user_id)))

    @strawberry.mutation(
        description="Offer a membership for 7 days, by mail; a second offer to an address "
        "replaces the first. Fifty an hour. Needs `users:write`, and every right of the role."
    )
    async def invite_member(
        self,
        info: Info,
        input: Annotated[InviteMemberInput, strawberry.argument(description="Whom, and as what.")],
    ) -> InviteMemberPayload:
        new = await operations.invite_member(actor_of(info), email=input.email, role=input.role)
        return InviteMemberPayload(invitation=_invitation(new.row), token=new.token)

    @strawberry.mutation(
        description="Mail an invitation again, with a new link for another 7 days. Needs "
        "`users:write`, and every right of the role."
    )
    async def resend_invitation(
        self,
        info: Info,
        input: Annotated[ResendInvitationInput, strawberry.argument(description="Which.")],
    ) -> ResendInvitationPayload:
        id = parse_id(input.invitation_id, "Invitation")
        found = await operations.resend_invitation(actor_of(info), id)
        return ResendInvitationPayload(invitation=_invitation(found.row), token=found.token)

    @strawberry.mutation(
        description="End an invitation that has not been accepted. Needs `users:write`."
    )
    async def withdraw_invitation(
        self,
        info: Info,
        input: Annotated[WithdrawInvitationInput, strawberry.argument(description="Which.")],
    ) -> WithdrawInvitationPayload:
        id = parse_id(input.invitation_id, "Invitation")
        await operations.withdraw_invitation(actor_of(info), id)
        return WithdrawInvitationPayload(withdrawn_id=global_id("Invitation", id))

    @strawberry.mutation(
        description="End a membership, with the member's tokens and the API keys they made. "
        "Needs `users:write`; everybody may leave; an owner stays."
    )
    async def remove_member(
        self,
        info: Info,
        input: Annotated[RemoveMemberInput, strawberry.argument(description="Whom.")],
    ) -> RemoveMemberPayload:
        user_id = UserId(parse_id(input.user_id, "User"))
        await operations.remove_member(actor_of(info), user_id)
        return RemoveMemberPayload(removed_id=global_id("User", user_id))
