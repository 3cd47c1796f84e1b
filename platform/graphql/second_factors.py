"""Setting up a second factor, asking members for one, and ending sessions."""

from typing import Annotated

import strawberry

from ..security import operations
from ..security.second_factor import Codes
from .context import Info, actor_of
from .nodes import global_id, parse_id
from .sessions import SignInPayload, signed_in

TOTP = "Six digits of the authenticator; each is taken once."
RECOVERY = "A recovery code instead; each is taken once."


@strawberry.input(description="Who wants a second factor.")
class BeginSecondFactorInput:
    password: str = strawberry.field(description="Your password.")


@strawberry.type(description="What an authenticator needs, shown this once.")
class BeginSecondFactorPayload:
    secret: str = strawberry.field(description="Base32, to type into an authenticator.")
    uri: str = strawberry.field(description="`otpauth://...`, to show as a QR code.")


@strawberry.input(description="The first code.")
class ConfirmSecondFactorInput:
    totp_code: str = strawberry.field(description=TOTP)


@strawberry.type(description="What `confirmSecondFactor` set up.")
class ConfirmSecondFactorPayload:
    recovery_codes: list[str] = strawberry.field(
        description="Each signs in once without the authenticator; shown this once."
    )
    sign_in: SignInPayload = strawberry.field(
        description="The token that takes the place of all others."
    )


@strawberry.input(description="Proof that it is you; one of the codes is enough.")
class DisableSecondFactorInput:
    password: str = strawberry.field(description="Your password.")
    totp_code: str | None = strawberry.field(default=None, description=TOTP)
    recovery_code: str | None = strawberry.field(default=None, description=RECOVERY)


@strawberry.input(description="Proof that it is you; one of the codes is enough.")
class RenewRecoveryCodesInput:
    password: str = strawberry.field(description="Your password.")
    totp_code: str | None = strawberry.field(default=None, description=TOTP)
    recovery_code: str | None = strawberry.field(default=None, description=RECOVERY)


@strawberry.type(description="What `renewRecoveryCodes` made.")
class RenewRecoveryCodesPayload:
    recovery_codes: list[str] = strawberry.field(
        description="They take the place of those before; shown this once."
    )


@strawberry.input(description="Whether members need a second factor.")
class RequireSecondFactorInput:
    required: bool = strawberry.field(description="Whether they do.")


@strawberry.type(description="What `requireSecondFactor` did.")
class RequireSecondFactorPayload:
    required: bool = strawberry.field(description="Whether members need a second factor now.")


@strawberry.input(description="Which session to end.")
class EndSessionInput:
    session_id: strawberry.ID = strawberry.field(description="Id of the session.")


@strawberry.type(description="What `endSession` did.")
class EndSessionPayload:
    ended_id: strawberry.ID = strawberry.field(description="Id of the session that is over.")


@strawberry.type(description="What `endOtherSessions` did.")
class EndOtherSessionsPayload:
    ended: int = strawberry.field(description="How many sessions were ended.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Begin to set up a second factor; it protects nothing before "
        "`confirmSecondFactor`. Not for API keys."
    )
    async def begin_second_factor(
        self,
        info: Info,
        input: Annotated[BeginSecondFactorInput, strawberry.argument(description="Who.")],
    ) -> BeginSecondFactorPayload:
        made = await operations.begin_second_factor(actor_of(info), password=input.password)
        return BeginSecondFactorPayload(secret=made.text, uri=made.uri)

    @strawberry.mutation(
        description="Set up the second factor with its first code: signing in needs one from now "
        "on, and every token of yours ends, but for the one answered. Ten codes in 5 minutes."
    )
    async def confirm_second_factor(
        self,
        info: Info,
        input: Annotated[ConfirmSecondFactorInput, strawberry.argument(description="The code.")],
    ) -> ConfirmSecondFactorPayload:
        made = await operations.confirm_second_factor(actor_of(info), code=input.totp_code)
        return ConfirmSecondFactorPayload(
            recovery_codes=made.recovery_codes, sign_in=signed_in(info, made.signed_in)
        )

    @strawberry.mutation(
        description="Sign in with the password alone again, unless an organization of yours asks "
        "for a second factor. Every token of yours ends, but for the one answered."
    )
    async def disable_second_factor(
        self,
        info: Info,
        input: Annotated[DisableSecondFactorInput, strawberry.argument(description="Proof.")],
    ) -> SignInPayload:
        found = await operations.disable_second_factor(
            actor_of(info),
            password=input.password,
            codes=Codes(input.totp_code, input.recovery_code),
        )
        return signed_in(info, found)

    @strawberry.mutation(description="Replace your recovery codes.")
    async def renew_recovery_codes(
        self,
        info: Info,
        input: Annotated[RenewRecoveryCodesInput, strawberry.argument(description="Proof.")],
    ) -> RenewRecoveryCodesPayload:
        made = await operations.renew_recovery_codes(
            actor_of(info),
            password=input.password,
            codes=Codes(input.totp_code, input.recovery_code),
        )
        return RenewRecoveryCodesPayload(recovery_codes=made)

    @strawberry.mutation(
        description="Ask every member of the organization for a second factor, or no longer. From "
        "their next request on, members without one can only set one up, or leave; API keys go on "
        "working. Needs `users:write` and a second factor of your own; not for API keys."
    )
    async def require_second_factor(
        self,
        info: Info,
        input: Annotated[RequireSecondFactorInput, strawberry.argument(description="Whether.")],
    ) -> RequireSecondFactorPayload:
        await operations.require_second_factor(actor_of(info), required=input.required)
        return RequireSecondFactorPayload(required=input.required)

    @strawberry.mutation(description="End a session of yours, this one or another.")
    async def end_session(
        self,
        info: Info,
        input: Annotated[EndSessionInput, strawberry.argument(description="Which.")],
    ) -> EndSessionPayload:
        id = parse_id(input.session_id, "Session")
        await operations.end_session(actor_of(info), id)
        return EndSessionPayload(ended_id=global_id("Session", id))

    @strawberry.mutation(description="End every session of yours but the one that asks.")
    async def end_other_sessions(self, info: Info) -> EndOtherSessionsPayload:
        return EndOtherSessionsPayload(ended=await operations.end_other_sessions(actor_of(info)))
