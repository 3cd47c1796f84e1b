"""Passkeys: adding and removing them, and signing in with one."""

from typing import Annotated

import strawberry

from ..core.actor import Origin
from ..security import operations, passkeys
from ..security.passkeys import Asked
from .context import Info, actor_of
from .nodes import global_id, parse_id
from .passkey_types import Passkey, PasskeyAnswerInput, PasskeyChallenge, answer_of, passkey_of
from .sessions import SignInPayload, signed_in

NAME = "1 to 100 characters, such as `Phone`."


@strawberry.input(description="Who wants a passkey.")
class BeginPasskeyInput:
    password: str = strawberry.field(description="Your password.")


@strawberry.type(description="What `beginPasskey` asks a device for.")
class BeginPasskeyPayload:
    challenge: PasskeyChallenge = strawberry.field(description="For the device.")


@strawberry.input(description="The passkey that the device made.")
class AddPasskeyInput:
    answer: PasskeyAnswerInput = strawberry.field(description="What the device answered.")
    name: str = strawberry.field(description=NAME)


@strawberry.type(description="What `addPasskey` added.")
class AddPasskeyPayload:
    passkey: Passkey = strawberry.field(description="The passkey.")
    recovery_codes: list[str] = strawberry.field(
        description="With your first second factor: each signs in once without it; shown this "
        "once. Else empty."
    )
    sign_in: SignInPayload | None = strawberry.field(
        description="With your first second factor, the token that takes the place of all others."
    )


@strawberry.input(description="Another name for a passkey.")
class RenamePasskeyInput:
    passkey_id: strawberry.ID = strawberry.field(description="Id of the passkey.")
    name: str = strawberry.field(description=NAME)


@strawberry.type(description="What `renamePasskey` did.")
class RenamePasskeyPayload:
    renamed_id: strawberry.ID = strawberry.field(description="Id of the passkey.")


@strawberry.input(description="Which passkey to remove, and proof that it is you.")
class RemovePasskeyInput:
    passkey_id: strawberry.ID = strawberry.field(description="Id of the passkey.")
    password: str = strawberry.field(description="Your password.")


@strawberry.type(description="What `removePasskey` did.")
class RemovePasskeyPayload:
    removed_id: strawberry.ID = strawberry.field(description="Id of the passkey that is gone.")
    sign_in: SignInPayload | None = strawberry.field(
        description="Where it was your last second factor, the token that takes the place of all "
        "others."
    )


@strawberry.input(description="A passkey that signs in.")
class LogInWithPasskeyInput:
    answer: PasskeyAnswerInput = strawberry.field(description="What the device answered.")
    organization_slug: str | None = strawberry.field(
        default=None, description="Where to; the organization joined first if absent."
    )
    invitation_token: str | None = strawberry.field(
        default=None, description="Accepts this invitation on the way, and signs in there."
    )


@strawberry.type
class Query:
    @strawberry.field(
        description="What makes a browser show a passkey, for `logInWithPasskey` or as the second "
        "factor of `logIn`; null where browsers use none, such as at an address without a host "
        "name. Needs no credential."
    )
    async def passkey_challenge(self) -> PasskeyChallenge | None:
        asked = passkeys.ask_if_possible()
        return None if asked is None else _challenge_of(asked)


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Begin to add a passkey. Not for API keys.")
    async def begin_passkey(
        self,
        info: Info,
        input: Annotated[BeginPasskeyInput, strawberry.argument(description="Who.")],
    ) -> BeginPasskeyPayload:
        asked = await operations.begin_passkey(actor_of(info), password=input.password)
        return BeginPasskeyPayload(challenge=_challenge_of(asked))

    @strawberry.mutation(
        description="Add the passkey that the device made, at most 20. It signs in by itself, and "
        "a password alone no longer does. As your first second factor it ends every token of "
        "yours, but for the one answered."
    )
    async def add_passkey(
        self,
        info: Info,
        input: Annotated[AddPasskeyInput, strawberry.argument(description="Which.")],
    ) -> AddPasskeyPayload:
        made = await operations.add_passkey(
            actor_of(info), answer_of(input.answer), name=input.name
        )
        return AddPasskeyPayload(
            passkey=passkey_of(made.passkey),
            recovery_codes=made.recovery_codes,
            sign_in=None if made.signed_in is None else signed_in(info, made.signed_in),
        )

    @strawberry.mutation(description="Give a passkey of yours another name.")
    async def rename_passkey(
        self,
        info: Info,
        input: Annotated[RenamePasskeyInput, strawberry.argument(description="Which, and how.")],
    ) -> RenamePasskeyPayload:
        id = parse_id(input.passkey_id, "Passkey")
        await operations.rename_passkey(actor_of(info), id, name=input.name)
        return RenamePasskeyPayload(renamed_id=global_id("Passkey", id))

    @strawberry.mutation(
        description="Remove a passkey of yours; the last second factor stays where an "
        "organization of yours asks for one. Without any left, every token of yours ends, but for "
        "the one answered."
    )
    async def remove_passkey(
        self,
        info: Info,
        input: Annotated[RemovePasskeyInput, strawberry.argument(description="Which, and proof.")],
    ) -> RemovePasskeyPayload:
        id = parse_id(input.passkey_id, "Passkey")
        found = await operations.remove_passkey(actor_of(info), id, password=input.password)
        return RemovePasskeyPayload(
            removed_id=global_id("Passkey", id),
            sign_in=None if found is None else signed_in(info, found),
        )

    @strawberry.mutation(
        description="Sign in with a passkey alone. Ten a minute from one network address. Needs "
        "no credential."
    )
    async def log_in_with_passkey(
        self,
        info: Info,
        input: Annotated[LogInWithPasskeyInput, strawberry.argument(description="Who.")],
    ) -> SignInPayload:
        context = info.context
        found = await operations.log_in_with_passkey(
            answer_of(input.answer),
            organization=input.organization_slug,
            invitation_token=input.invitation_token,
            origin=Origin(context.source_address, context.request_id, context.user_agent),
        )
        return signed_in(info, found)


def _challenge_of(asked: Asked) -> PasskeyChallenge:
    return PasskeyChallenge(ticket=asked.ticket, options=asked.options)
