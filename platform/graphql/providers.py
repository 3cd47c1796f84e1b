"""Signing in with a provider of identities, and tying one to an account."""

from typing import Annotated

import strawberry

from ..core.actor import Origin
from ..core.settings import settings
from ..registration.by_provider import enter_by_provider
from ..security import operations, provider
from ..security.provider import Return
from ..security.second_factor import Codes
from .context import Info, actor_of
from .nodes import global_id, parse_id
from .passkey_types import PasskeyAnswerInput, answer_of
from .provider_types import ProviderIdentity, identity_of
from .sessions import SignInPayload, signed_in


@strawberry.type(description="A provider of identities that people may sign in with.")
class SignInProvider:
    name: str = strawberry.field(description="What its button says, after `Sign in with`.")
    issuer: str = strawberry.field(description="URL of the provider.")


@strawberry.input(description="With what somebody goes to the provider.")
class BeginProviderSignInInput:
    invitation_token: str | None = strawberry.field(
        default=None, description="Accepts this invitation on the way back."
    )


@strawberry.type(description="Where a browser goes, and what it keeps.")
class BeginProviderSignInPayload:
    url: str = strawberry.field(description="The provider's; it sends the browser back to us.")
    ticket: str = strawberry.field(
        description="For the browser that goes there alone, as in a cookie; good for 10 minutes."
    )


@strawberry.input(description="With what a browser came back from the provider.")
class LogInWithProviderInput:
    ticket: str = strawberry.field(description="What the browser kept.")
    state: str = strawberry.field(description="`state` of the address it came back to.")
    code: str = strawberry.field(description="`code` of the address; good once.")
    issuer: str | None = strawberry.field(
        default=None, description="`iss` of the address, where the provider sends it."
    )


@strawberry.input(description="With what a browser came back from the provider.")
class LinkProviderInput(LogInWithProviderInput): ...


@strawberry.type(description="Who came back: signed in, or one step before it.")
class ProviderSignInPayload:
    sign_in: SignInPayload | None = strawberry.field(
        description="The token; null where a second factor is needed first."
    )
    proof: str | None = strawberry.field(
        description="For `finishProviderSignIn`, where a second factor is needed; good for 5 "
        "minutes."
    )


@strawberry.input(description="The second factor of somebody whom the provider has named.")
class FinishProviderSignInInput:
    proof: str = strawberry.field(description="From `logInWithProvider`.")
    totp_code: str | None = strawberry.field(
        default=None, description="Six digits of the authenticator."
    )
    recovery_code: str | None = strawberry.field(
        default=None, description="A recovery code instead; each is taken once."
    )
    passkey: PasskeyAnswerInput | None = strawberry.field(
        default=None, description="A passkey instead, asked for by `passkeyChallenge`."
    )


@strawberry.type(description="What `linkProvider` tied to the account.")
class LinkProviderPayload:
    identity: ProviderIdentity = strawberry.field(description="The identity.")


@strawberry.input(description="Which identity, and proof that it is you.")
class UnlinkProviderInput:
    identity_id: strawberry.ID = strawberry.field(description="Id of the identity.")
    password: str = strawberry.field(
        description="Your password; whoever has none asks for one by `requestPasswordReset`."
    )


@strawberry.type(description="What `unlinkProvider` did.")
class UnlinkProviderPayload:
    removed_id: strawberry.ID = strawberry.field(description="Id of the identity that is gone.")


@strawberry.type
class Query:
    @strawberry.field(
        description="The provider of identities that people may sign in with; null is none. Needs "
        "no credential."
    )
    def sign_in_provider(self) -> SignInProvider | None:
        if not provider.is_offered():
            return None
        return SignInProvider(name=settings().oidc_name, issuer=settings().oidc_issuer)


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Begin to sign in with the provider. Needs no credential.")
    async def begin_provider_sign_in(
        self,
        info: Info,
        input: Annotated[BeginProviderSignInInput, strawberry.argument(description="With what.")],
    ) -> BeginProviderSignInPayload:
        begun = await provider.begin(invitation_token=input.invitation_token)
        return BeginProviderSignInPayload(url=begun.url, ticket=begun.ticket)

    @strawberry.mutation(
        description="Sign in whoever comes back from the provider; somebody new gets an account, "
        "as with `register`, if the provider has verified their email address and no account has "
        "it. Ten a minute from one network address. Needs no credential."
    )
    async def log_in_with_provider(
        self,
        info: Info,
        input: Annotated[LogInWithProviderInput, strawberry.argument(description="With what.")],
    ) -> ProviderSignInPayload:
        found = await enter_by_provider(_return_of(input), _origin(info))
        if isinstance(found, str):
            return ProviderSignInPayload(sign_in=None, proof=found)
        return ProviderSignInPayload(sign_in=signed_in(info, found), proof=None)

    @strawberry.mutation(
        description="Sign in with the second factor after the provider. Ten codes in 5 minutes. "
        "Needs no credential."
    )
    async def finish_provider_sign_in(
        self,
        info: Info,
        input: Annotated[FinishProviderSignInInput, strawberry.argument(description="The code.")],
    ) -> SignInPayload:
        passkey = None if input.passkey is None else answer_of(input.passkey)
        found = await operations.finish_provider_sign_in(
            input.proof,
            codes=Codes(input.totp_code, input.recovery_code, passkey),
            origin=_origin(info),
        )
        return signed_in(info, found)

    @strawberry.mutation(description="Begin to tie the provider to your account. Not for API keys.")
    async def begin_linking_provider(self, info: Info) -> BeginProviderSignInPayload:
        begun = await operations.begin_link(actor_of(info))
        return BeginProviderSignInPayload(url=begun.url, ticket=begun.ticket)

    @strawberry.mutation(
        description="Let the provider sign you in, if it has verified the email address of your "
        "account. Not for API keys."
    )
    async def link_provider(
        self,
        info: Info,
        input: Annotated[LinkProviderInput, strawberry.argument(description="With what.")],
    ) -> LinkProviderPayload:
        row = await operations.link_provider(actor_of(info), _return_of(input))
        return LinkProviderPayload(identity=identity_of(row))

    @strawberry.mutation(description="Let an identity of the provider no longer sign you in.")
    async def unlink_provider(
        self,
        info: Info,
        input: Annotated[UnlinkProviderInput, strawberry.argument(description="Which.")],
    ) -> UnlinkProviderPayload:
        id = parse_id(input.identity_id, "ProviderIdentity")
        await operations.unlink_provider(actor_of(info), id, password=input.password)
        return UnlinkProviderPayload(removed_id=global_id("ProviderIdentity", id))


def _return_of(input: LogInWithProviderInput) -> Return:
    return Return(input.ticket, input.state, input.code, input.issuer)


def _origin(info: Info) -> Origin:
    context = info.context
    return Origin(context.source_address, context.request_id, context.user_agent)
