"""Who looks after the deployment."""

from typing import Annotated

import strawberry

from ..accounts import queries
from ..security.operations import change_platform_admin
from ..security.second_factor import Codes
from .context import Info, actor_of
from .scalars import EmailAddress
from .second_factors import RECOVERY, TOTP


@strawberry.input(description="Who is to look after the deployment, and proof that it is you.")
class GrantPlatformAdminInput:
    email: EmailAddress = strawberry.field(description="Of somebody who has registered.")
    password: str = strawberry.field(description="Your own password.")
    totp_code: str | None = strawberry.field(default=None, description=TOTP)
    recovery_code: str | None = strawberry.field(default=None, description=RECOVERY)


@strawberry.input(description="Who is to look after it no longer, and proof that it is you.")
class RevokePlatformAdminInput:
    email: EmailAddress = strawberry.field(description="Of somebody who looks after it.")
    password: str = strawberry.field(description="Your own password.")
    totp_code: str | None = strawberry.field(default=None, description=TOTP)
    recovery_code: str | None = strawberry.field(default=None, description=RECOVERY)


@strawberry.type(description="What `grantPlatformAdmin` did.")
class GrantPlatformAdminPayload:
    granted: bool = strawberry.field(description="False: the person had it already.")


@strawberry.type(description="What `revokePlatformAdmin` did.")
class RevokePlatformAdminPayload:
    revoked: bool = strawberry.field(description="False: the person did not have it.")


@strawberry.type
class Query:
    @strawberry.field(
        description="Email addresses of everybody who looks after the deployment, the first 100 "
        "in alphabetical order. For one of them, signed in as a person."
    )
    async def platform_admins(self, info: Info) -> list[EmailAddress]:
        found = await queries.list_platform_admins(actor_of(info))
        return [EmailAddress(email) for email in found]


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Let somebody look after the whole deployment, from their next request on. "
        "For who does so themselves, signed in as a person; who has a second factor sends a code "
        "of it, too."
    )
    async def grant_platform_admin(
        self,
        info: Info,
        input: Annotated[GrantPlatformAdminInput, strawberry.argument(description="Who.")],
    ) -> GrantPlatformAdminPayload:
        changed = await change_platform_admin(
            actor_of(info),
            email=input.email,
            granted=True,
            password=input.password,
            codes=Codes(input.totp_code, input.recovery_code),
        )
        return GrantPlatformAdminPayload(granted=changed)

    @strawberry.mutation(
        description="Let somebody look after the deployment no longer, from their next request "
        "on; the last one stays. For who looks after it themselves, signed in as a person; who "
        "has a second factor sends a code of it, too."
    )
    async def revoke_platform_admin(
        self,
        info: Info,
        input: Annotated[RevokePlatformAdminInput, strawberry.argument(description="Who.")],
    ) -> RevokePlatformAdminPayload:
        changed = await change_platform_admin(
            actor_of(info),
            email=input.email,
            granted=False,
            password=input.password,
            codes=Codes(input.totp_code, input.recovery_code),
        )
        return RevokePlatformAdminPayload(revoked=changed)
