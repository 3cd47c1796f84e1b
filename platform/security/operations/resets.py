"""A new password for somebody who has lost theirs, by a link that is mailed to them.

Whether an address has an account shows neither in the answer nor in the time it takes: the
same statements run for both, and the mail is sent later, by a worker.
"""

import uuid
from collections.abc import Sequence
from datetime import timedelta

from ...accounts.operations import set_password
from ...accounts.queries import Person, find_person, get_person
from ...accounts.rules import UserStatus, checked_email, email_key
from ...audit import operations as audit
from ...core import clock
from ...core.actor import OrganizationId, Origin, UserId
from ...core.crypto import digest, digests
from ...core.database import Tx, fetch, transaction
from ...core.ids import new_id, new_token
from ...core.languages import gettext as _
from ...core.languages import speaking, written_in
from ...core.settings import settings
from ...core.tenants import across_organizations
from ...notices import operations as notices
from ...notices.rules import Notice
from .. import attempts, limits, passwords, used_passwords
from ..errors import ResetInvalid

LIFETIME = timedelta(hours=1)
PURPOSE = "password_reset"
TOKEN_LENGTH = 43
NOBODY = UserId(uuid.UUID(int=0))


@across_organizations
async def request_password_reset(*, email: str, origin: Origin) -> None:
    """Mail a link for a new password to whoever has *email*; nothing tells whether anybody has.

    Raises:
        InvalidInput: it is not an address.
        TooManyRequests: five in a quarter of an hour came from this network address, or three
            in an hour for this email address.
    """
    key = email_key(checked_email(email))
    if origin.source_address is not None:
        await limits.count(limits.ASK_FOR_RESET, limits.address_subject(origin.source_address))
    await limits.count(limits.RESET_ADDRESS, digest(key, purpose=PURPOSE).hex())
    found = await find_person(email=key)
    user = found if found is not None and found.status is UserStatus.ACTIVE else None
    token, now = new_token(TOKEN_LENGTH), clock.now()
    async with transaction() as tx:
        await fetch(
            "INSERT INTO password_resets (id, user_id, token_digest, expires_at, created_at) "
            "VALUES ({}, {}, {}, {}, {})",
            new_id(),
            user.id if user else None,
            digest(token, purpose=PURPOSE),
            now + LIFETIME,
            now,
        )
        with speaking(user.language if user else ""):
            await notices.send(
                tx,
                to=user.email if user else None,
                notice=Notice.PASSWORD_RESET,
                values={
                    "name": user.name if user else "",
                    "link": f"{settings().public_url}/reset/{token}",
                    "minutes": str(int(LIFETIME.total_seconds() // 60)),
                },
            )
        await _record(tx, user.id if user else NOBODY, "user.password_reset_requested", origin)


@across_organizations
async def reset_password(*, token: str, new: str, origin: Origin) -> None:
    """Replace the password of whoever was mailed *token*, and end everything signed in as them.

    It signs nobody in: who has a second factor still needs it. An address that was locked by
    wrong passwords may try again.

    Raises:
        TooManyRequests: ten in a minute came from this network address.
        ResetInvalid: the token is unknown, used or too old.
        WeakPassword: *new* is too short, too long, too easy to guess, or was used before.
    """
    if origin.source_address is not None:
        await limits.count(limits.RESET_PASSWORD, limits.address_subject(origin.source_address))
    if not token.isascii():
        raise ResetInvalid
    token_digests = digests(token, purpose=PURPOSE)
    user = await _owner(token_digests)
    await passwords.check(new, known=[user.email, user.name], field="newPassword")
    await used_passwords.check(user, new, field="newPassword")
    new_hash = await passwords.hashed(new)
    async with transaction() as tx:
        # The person first, as wherever a password changes: of two who use a link at the same
        # moment, or two links, one waits here and then finds the link gone.
        await set_password(tx, user.id, new_hash)
        rows = await fetch(
            "DELETE FROM password_resets WHERE token_digest = ANY({}::bytea[]) "
            "AND expires_at > {} RETURNING id",
            token_digests,
            clock.now(),
        )
        if not rows:
            raise ResetInvalid
        await used_passwords.remember(tx, user)
        await fetch("DELETE FROM password_resets WHERE user_id = {}", user.id)
        await attempts.forget(tx, user.email_key)
        await tell_password_changed(tx, user, origin)
        await _record(tx, user.id, "user.password_reset", origin)


async def _owner(token_digests: Sequence[bytes]) -> Person:
    rows = await fetch(
        "SELECT user_id FROM password_resets WHERE token_digest = ANY({}::bytea[]) "
        "AND expires_at > {} AND user_id IS NOT NULL",
        token_digests,
        clock.now(),
    )
    if not rows:
        raise ResetInvalid
    user = await get_person(UserId(rows[0]["user_id"]))
    if user.status is not UserStatus.ACTIVE:
        raise ResetInvalid
    return user


async def tell_password_changed(tx: Tx, user: Person, origin: Origin) -> None:
    """Write to a person that their password was changed, in case it was not them."""
    with speaking(user.language):
        await notices.send(
            tx,
            to=user.email,
            notice=Notice.PASSWORD_CHANGED,
            values={
                "name": user.name,
                "at": written_in(clock.now(), user.timezone),
                "address": origin.source_address or _("an unknown address"),
            },
        )


async def _record(tx: Tx, user_id: UserId, action: str, origin: Origin) -> None:
    """Log what a person did, in the organization they joined first."""
    rows = await fetch(
        "SELECT organization_id FROM memberships WHERE user_id = {} ORDER BY id LIMIT 1", user_id
    )
    await audit.record_for_user(
        tx,
        user_id,
        organization_id=OrganizationId(rows[0]["organization_id"]) if rows else None,
        action=action,
        target_type="user",
        target_id=user_id,
        origin=origin,
    )
