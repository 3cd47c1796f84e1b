"""Registering, signing in and out, and what a person changes of themselves."""

from datetime import datetime
from typing import Annotated

import strawberry

from ..accounts import operations as accounts
from ..accounts.rules import Theme
from ..core.actor import OrganizationId, Origin
from ..registration import operations as registration
from ..security import operations
from ..security.operations import SignedIn
from ..security.second_factor import Codes
from .context import Info, actor_of
from .nodes import parse_id
from .passkey_types import PasskeyAnswerInput, answer_of
from .scalars import EmailAddress
from .users import User
from .viewer import OrganizationType, own_organization, own_user


@strawberry.input(description="Who registers.")
class RegisterInput:
    email: EmailAddress = strawberry.field(description="At most 254 characters; not taken yet.")
    password: str = strawberry.field(
        description="12 to 128 characters, not common, neither the address nor the name."
    )
    name: str = strawberry.field(description="1 to 100 characters.")
    organization_name: str | None = strawberry.field(
        default=None,
        description="1 to 100 characters; needed unless there is an invitation.",
    )
    invitation_token: str | None = strawberry.field(
        default=None, description="Joins the inviting organization instead of making one."
    )
    timezone: str = strawberry.field(default="UTC", description="IANA name.")


@strawberry.input(description="Who signs in.")
class LogInInput:
    email: EmailAddress = strawberry.field(description="The address that was registered.")
    password: str = strawberry.field(description="The password.")
    organization_slug: str | None = strawberry.field(
        default=None, description="Where to; the organization joined first if absent."
    )
    invitation_token: str | None = strawberry.field(
        default=None, description="Accepts this invitation on the way, and signs in there."
    )
    totp_code: str | None = strawberry.field(
        default=None, description="Six digits of the authenticator, for who has set one up."
    )
    recovery_code: str | None = strawberry.field(
        default=None, description="A recovery code instead; each is taken once."
    )
    passkey: PasskeyAnswerInput | None = strawberry.field(
        default=None, description="A passkey instead, asked for by `passkeyChallenge`."
    )


@strawberry.input(description="Where to.")
class SwitchOrganizationInput:
    organization_id: strawberry.ID = strawberry.field(description="Id of the organization.")


@strawberry.input(description="The old and the new password.")
class ChangePasswordInput:
    current_password: str = strawberry.field(description="The password until now.")
    new_password: str = strawberry.field(
        description="12 to 128 characters, not common, neither the address nor the name."
    )


@strawberry.input(description="Who has lost their password.")
class RequestPasswordResetInput:
    email: EmailAddress = strawberry.field(description="The address that was registered.")


@strawberry.type(description="What `requestPasswordReset` did; the same for every address.")
class RequestPasswordResetPayload:
    accepted: bool = strawberry.field(
        description="Always true; a mail comes to whoever has an account with this address."
    )


@strawberry.input(description="The link's token, and the new password.")
class ResetPasswordInput:
    token: str = strawberry.field(description="From the mail; good once, for an hour.")
    new_password: str = strawberry.field(
        description="12 to 128 characters, not common, neither the address nor the name."
    )


@strawberry.type(description="What `resetPassword` did; sign in with the new password next.")
class ResetPasswordPayload:
    password_changed: bool = strawberry.field(description="Always true.")


@strawberry.input(description="Which invitation to accept.")
class AcceptInvitationInput:
    token: str = strawberry.field(description="The token that the inviter was given.")


@strawberry.input(description="The organization to make.")
class CreateOrganizationInput:
    name: str = strawberry.field(description="1 to 100 characters.")


@strawberry.input(description="What to change of oneself; an absent field stays.")
class UpdateViewerInput:
    name: str | None = strawberry.field(default=None, description="1 to 100 characters.")
    timezone: str | None = strawberry.field(default=None, description="IANA name.")
    theme: Theme | None = strawberry.field(default=None, description="How pages look.")
    shortcuts: bool | None = strawberry.field(
        default=None, description="Whether single keys do something on pages."
    )
    language: str | None = strawberry.field(
        default=None,
        description="Tag of one of `viewer.languages`; empty is whichever the browser asks for.",
    )


@strawberry.type(description="A token, shown this once, and whom it signs in where.")
class SignInPayload:
    token: str = strawberry.field(description="Send it as `Authorization: Bearer ...`.")
    token_type: str = strawberry.field(description="Always `Bearer`.")
    expires_at: datetime = strawberry.field(description="When it ends.")
    expires_in_seconds: int = strawberry.field(description="How long it lasts.")

    @strawberry.field(description="The person.")
    async def user(self, info: Info) -> User:
        return await own_user(info)

    @strawberry.field(description="The organization that the token acts for.")
    async def organization(self, info: Info) -> OrganizationType:
        return own_organization(info)


@strawberry.type(description="What `logOut` did.")
class LogOutPayload:
    logged_out: bool = strawberry.field(description="Always true.")


@strawberry.type(description="What `updateViewer` changed.")
class UpdateViewerPayload:
    user: User = strawberry.field(description="Oneself.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Make a person and their organization, or their place in the inviting one, "
        "and sign them in. Five an hour from one network address. Needs no credential."
    )
    async def register(
        self,
        info: Info,
        input: Annotated[RegisterInput, strawberry.argument(description="Who registers.")],
    ) -> SignInPayload:
        asked = registration.Registration(
            email=input.email,
            password=input.password,
            name=input.name,
            organization_name=input.organization_name,
            invitation_token=input.invitation_token,
            timezone=input.timezone,
        )
        return signed_in(info, await registration.register(asked, _origin(info)))

    @strawberry.mutation(
        description="Sign in; who has a second factor sends a code of it, too. Ten a minute from "
        "one network address; five failures lock an email address for 15 minutes. Needs no "
        "credential."
    )
    async def log_in(
        self,
        info: Info,
        input: Annotated[LogInInput, strawberry.argument(description="Who signs in.")],
    ) -> SignInPayload:
        found = await operations.log_in(
            email=input.email,
            password=input.password,
            organization=input.organization_slug,
            invitation_token=input.invitation_token,
            codes=Codes(
                input.totp_code,
                input.recovery_code,
                None if input.passkey is None else answer_of(input.passkey),
            ),
            origin=_origin(info),
        )
        return signed_in(info, found)

    @strawberry.mutation(description="End the token that this request came with.")
    async def log_out(self, info: Info) -> LogOutPayload:
        await operations.log_out(actor_of(info))
        return LogOutPayload(logged_out=True)

    @strawberry.mutation(
        description="Get a token for another organization of yours; this one stays good."
    )
    async def switch_organization(
        self,
        info: Info,
        input: Annotated[SwitchOrganizationInput, strawberry.argument(description="Where to.")],
    ) -> SignInPayload:
        id = OrganizationId(parse_id(input.organization_id, "Organization"))
        return signed_in(info, await operations.switch_organization(actor_of(info), id))

    @strawberry.mutation(
        description="Change your password: every token of yours ends, but for the one answered."
    )
    async def change_password(
        self,
        info: Info,
        input: Annotated[ChangePasswordInput, strawberry.argument(description="Old and new.")],
    ) -> SignInPayload:
        found = await operations.change_password(
            actor_of(info), current=input.current_password, new=input.new_password
        )
        return signed_in(info, found)

    @strawberry.mutation(
        description="Mail a link for a new password, if somebody has this address; the answer "
        "is the same if nobody has. Five in 15 minutes from one network address, three an hour "
        "for one email address. Needs no credential."
    )
    async def request_password_reset(
        self,
        info: Info,
        input: Annotated[RequestPasswordResetInput, strawberry.argument(description="Whose.")],
    ) -> RequestPasswordResetPayload:
        await operations.request_password_reset(email=input.email, origin=_origin(info))
        return RequestPasswordResetPayload(accepted=True)

    @strawberry.mutation(
        description="Choose a new password with the token from the mail: every token of the "
        "person ends, and nobody is signed in. Needs no credential."
    )
    async def reset_password(
        self,
        info: Info,
        input: Annotated[ResetPasswordInput, strawberry.argument(description="Which, to what.")],
    ) -> ResetPasswordPayload:
        await operations.reset_password(
            token=input.token, new=input.new_password, origin=_origin(info)
        )
        return ResetPasswordPayload(password_changed=True)

    @strawberry.mutation(description="Join the inviting organization, and sign in there.")
    async def accept_invitation(
        self,
        info: Info,
        input: Annotated[AcceptInvitationInput, strawberry.argument(description="Which.")],
    ) -> SignInPayload:
        actor = actor_of(info)
        joined = await accounts.accept_invitation(actor, token=input.token)
        return signed_in(info, await operations.switch_organization(actor, joined))

    @strawberry.mutation(description="Make another organization, own it, and sign in there.")
    async def create_organization(
        self,
        info: Info,
        input: Annotated[CreateOrganizationInput, strawberry.argument(description="What.")],
    ) -> SignInPayload:
        actor = actor_of(info)
        made = await registration.create_organization(actor, name=input.name)
        return signed_in(info, await operations.switch_organization(actor, made))

    @strawberry.mutation(description="Change your own name, time zone, or how pages are.")
    async def update_viewer(
        self,
        info: Info,
        input: Annotated[UpdateViewerInput, strawberry.argument(description="The change.")],
    ) -> UpdateViewerPayload:
        await accounts.update_user(
            actor_of(info),
            name=input.name,
            timezone=input.timezone,
            theme=input.theme,
            shortcuts=input.shortcuts,
            language=input.language,
        )
        return UpdateViewerPayload(user=await own_user(info))


def _origin(info: Info) -> Origin:
    context = info.context
    return Origin(context.source_address, context.request_id, context.user_agent)


def signed_in(info: Info, found: SignedIn) -> SignInPayload:
    """Return the answer to signing in."""
    # What the rest of the document asks of the answer, it asks as whoever signed in.
    info.context.become(found.actor)
    return SignInPayload(
        token=found.token.text,
        token_type="Bearer",
        expires_at=found.token.expires_at,
        expires_in_seconds=found.token.lifetime_seconds,
    )
