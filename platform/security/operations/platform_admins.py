"""Saying who looks after the deployment: by one who does, or by whoever has the machine."""

from ...accounts.operations import set_platform_admin
from ...audit import operations as audit
from ...core.actor import Actor, require_platform_admin
from ...core.database import transaction
from ...core.tenants import across_organizations
from .. import limits, second_factor
from ..errors import SecondFactorRequired
from ..second_factor import Codes
from .second_factor import checked_person

GRANTED = "platform_admin.granted"
REVOKED = "platform_admin.revoked"


@across_organizations
async def change_platform_admin(
    actor: Actor, *, email: str, granted: bool, password: str, codes: Codes
) -> bool:
    """Let whoever has *email* look after the deployment, or no longer; say if that is new.

    The actor proves anew who they are: a token that was left somewhere is not enough.

    Raises:
        NotPermitted: an API key asks, or somebody who does not look after the deployment.
        AccountLocked: five attempts failed within 15 minutes.
        CredentialsWrong: it is not the actor's password.
        SecondFactorRequired: the actor has a second factor, and no code came.
        TooManyRequests: ten codes were tried within five minutes.
        SecondFactorWrong: it is no code of theirs, or was used before.
        InvalidInput: *email* is not an address.
        NotFound: nobody has it, or they may not sign in.
        LastPlatformAdmin: nobody would look after the deployment.
    """
    require_platform_admin(actor)
    user = await checked_person(actor, password)
    if user.has_second_factor:
        if codes.is_empty:
            raise SecondFactorRequired
        await limits.count(limits.SECOND_FACTOR, str(user.id))
    async with transaction() as tx:
        if user.has_second_factor:
            await second_factor.prove(tx, user.id, codes)
        target_id, changed = await set_platform_admin(tx, email=email, granted=granted, by=user.id)
        if changed:
            await audit.record(
                tx,
                actor,
                action=GRANTED if granted else REVOKED,
                target_type="user",
                target_id=target_id,
                changes={"email": email},
            )
    return changed


async def change_platform_admin_here(*, email: str, granted: bool) -> bool:
    """Do the same for whoever may run commands on the machine, and so has the database anyway.

    Raises:
        InvalidInput: *email* is not an address.
        NotFound: nobody has it, or they may not sign in.
        LastPlatformAdmin: nobody would look after the deployment.
    """
    async with transaction() as tx:
        target_id, changed = await set_platform_admin(tx, email=email, granted=granted, by=None)
        if changed:
            await audit.record_for_platform(
                tx,
                organization_id=None,
                action=GRANTED if granted else REVOKED,
                target_type="user",
                target_id=target_id,
                changes={"email": email},
            )
    return changed
