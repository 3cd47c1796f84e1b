"""Who looks after the deployment."""

from ...core import clock
from ...core.actor import UserId
from ...core.database import Tx, fetch
from ...core.errors import NotFound, NotPermitted
from ..errors import LastPlatformAdmin
from ..rules import UserStatus, checked_email, email_key


async def set_platform_admin(
    tx: Tx, *, email: str, granted: bool, by: UserId | None
) -> tuple[UserId, bool]:
    """Let whoever has *email* look after the deployment, or no longer.

    *by* is who says so; None is whoever has the machine. It returns the person, and whether
    anything changed. It counts from their next request on.

    Raises:
        InvalidInput: it is not an address.
        NotPermitted: *by* does not look after the deployment any more.
        NotFound: nobody has the address, or they may not sign in.
        LastPlatformAdmin: nobody would look after the deployment.
    """
    key = email_key(checked_email(email))
    # All of them, locked in one order: two who revoke each other at the same moment would
    # else leave nobody.
    rows = await fetch(
        "SELECT id FROM users WHERE platform_admin AND status = {} ORDER BY id FOR NO KEY UPDATE",
        UserStatus.ACTIVE.value,
    )
    admins = {row["id"] for row in rows}
    if by is not None and by not in admins:
        raise NotPermitted("You do not look after this deployment any more.")
    found = await fetch(
        "SELECT id FROM users WHERE email_key = {} AND (status = {} OR NOT {})",
        key,
        UserStatus.ACTIVE.value,
        granted,
    )
    if not found:
        raise NotFound("Nobody who may sign in has this email address.")
    user_id = UserId(found[0]["id"])
    if not granted and admins == {user_id}:
        raise LastPlatformAdmin
    changed = await fetch(
        "UPDATE users SET platform_admin = {}, updated_at = {} "
        "WHERE id = {} AND platform_admin <> {} RETURNING id",
        granted,
        clock.now(),
        user_id,
        granted,
    )
    return user_id, bool(changed)
