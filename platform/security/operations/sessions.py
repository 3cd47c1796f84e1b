"""Signing in and out."""

import uuid
from dataclasses import dataclass

from ...accounts.operations import join_by_invitation, set_password
from ...accounts.queries import Person, find_person, get_person
from ...accounts.rules import UserStatus, checked_email, email_key
from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, ActorKind, OrganizationId, Origin, Role, UserId
from ...core.database import Tx, fetch, transaction
from ...core.errors import DetailCode, ErrorCode, InvalidInput, NotFound, NotPermitted
from ...core.languages import gettext as _
from ...core.languages import speaking, written_in
from ...core.tenants import across_organizations
from ...notices import operations as notices
from ...notices.rules import Notice
from .. import abuse, attempts, limits, passwords, second_factor, used_passwords
from ..credentials import actor_from_token
from ..errors import (
    CredentialsWrong,
    PasskeyWrong,
    SecondFactorRequired,
    SecondFactorWrong,
    TokenRevoked,
    UserDisabled,
)
from ..second_factor import Codes
from ..tokens import IssuedToken, issue, signing_keys
from .resets import tell_password_changed

NO_CODES = Codes()
NOBODY = UserId(uuid.UUID(int=0))
"""Who failed to sign in where nobody knows: it is logged, and takes the same time."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A token, and the actor that its next request will be."""

    token: IssuedToken
    actor: Actor


@across_organizations
async def log_in(
    *,
    email: str,
    password: str,
    organization: str | None = None,
    invitation_token: str | None = None,
    codes: Codes = NO_CODES,
    origin: Origin,
) -> SignedIn:
    """Sign a person in to the organization with that slug, or to the one they joined first.

    An invitation is accepted on the way, and is then where they are signed in to.

    Raises:
        AddressBlocked: too much has failed from this network.
        TooManyRequests: ten a minute came from this network address.
        InvalidInput: the email address is none, or the password is too long.
        AccountLocked: five attempts with this email address failed within 15 minutes.
        CredentialsWrong: the address is unknown or the password is wrong.
        SecondFactorRequired: the person has a second factor, and no code came.
        SecondFactorWrong: the code is wrong, or was used before.
        UserDisabled: the person may not sign in, or belongs nowhere.
        InvitationInvalid: the invitation cannot be accepted.
    """
    await abuse.require_not_blocked(origin.source_address)
    if origin.source_address is not None:
        await limits.count(limits.LOG_IN, limits.address_subject(origin.source_address))
    user = await _proven(email, password, origin)
    if user.has_second_factor:
        await _prove_second_factor(user, codes, origin)
    fresh = await passwords.hashed(password) if passwords.is_outdated(user.password_hash) else None
    return await enter(
        user,
        organization=organization,
        invitation_token=invitation_token,
        origin=origin,
        by="password",
        password_hash=fresh,
    )


@across_organizations
async def enter(
    user: Person,
    *,
    organization: str | None = None,
    invitation_token: str | None = None,
    origin: Origin,
    by: str,
    password_hash: str | None = None,
) -> SignedIn:
    """Sign in somebody who has proven *by* something who they are, as `log_in` says.

    *password_hash* takes the place of theirs, if it is one of the same password.
    """
    async with transaction() as tx:
        if by == "password":
            await attempts.forget(tx, user.email_key)
        joined = None
        if invitation_token is not None:
            joined, _ = await join_by_invitation(
                tx, user.id, email=user.email, token=invitation_token, origin=origin
            )
        organization_id = await _home(user.id, slug=organization, organization_id=joined)
        # The password may have been changed while it was compared; who guessed or stole the
        # old one must not get in at that moment, nor may it come back by being hashed anew.
        if not await fetch(
            "UPDATE users SET last_login_at = {}, password_hash = coalesce({}, password_hash) "
            "WHERE id = {} AND token_version = {} RETURNING id",
            clock.now(),
            password_hash,
            user.id,
            user.token_version,
        ):
            raise CredentialsWrong
        await audit.record_for_user(
            tx,
            user.id,
            organization_id=organization_id,
            action="user.login",
            target_type="user",
            target_id=user.id,
            changes={} if by == "password" else {"by": by},
            origin=origin,
        )
    return await sign_in(user.id, organization_id, origin, token_version=user.token_version)


async def _proven(email: str, password: str, origin: Origin) -> Person:
    """Return the person with this address and password; takes as long when there is nobody."""
    key = email_key(checked_email(email))
    _check_length(password, field="password")
    await attempts.begin(key)
    user = await find_person(email=key)
    good = await passwords.verify(password, user.password_hash if user else None)
    if user is None or not good:
        await record_failure(user.id if user else NOBODY, "password", origin)
        raise CredentialsWrong
    if user.status != UserStatus.ACTIVE:
        raise UserDisabled
    return user


async def _prove_second_factor(user: Person, codes: Codes, origin: Origin) -> None:
    if codes.is_empty:
        await attempts.take_back(user.email_key)
        raise SecondFactorRequired
    try:
        async with transaction() as tx:
            left = await second_factor.prove(tx, user.id, codes)
            if left is not None:
                await _tell_recovery_code_used(tx, user, left, origin)
    except (SecondFactorWrong, PasskeyWrong):
        # The attempt stays counted: five wrong codes lock the address like wrong passwords.
        await record_failure(user.id, "second factor", origin)
        raise


async def _tell_recovery_code_used(tx: Tx, user: Person, left: int, origin: Origin) -> None:
    with speaking(user.language):
        await notices.send(
            tx,
            to=user.email,
            notice=Notice.RECOVERY_CODE_USED,
            values={
                "name": user.name,
                "left": str(left),
                "at": written_in(clock.now(), user.timezone),
                "address": origin.source_address or _("an unknown address"),
            },
        )
    await audit.record_for_user(
        tx,
        user.id,
        organization_id=await _find_home(user.id),
        action="user.recovery_code_used",
        target_type="user",
        target_id=user.id,
        changes={"left": left},
        origin=origin,
    )


@across_organizations
async def record_failure(user_id: UserId, factor: str, origin: Origin) -> None:
    """Log that somebody could not sign in, with the *factor* that was wrong."""
    home = await _find_home(user_id)
    async with transaction() as tx:
        await audit.record_for_user(
            tx,
            user_id,
            organization_id=home,
            action="user.login_failed",
            target_type="user",
            target_id=user_id,
            changes={"wrong": factor},
            origin=origin,
        )
    await abuse.note_address(abuse.Kind.SIGN_IN, origin.source_address)


@across_organizations
async def end_session(actor: Actor, session_id: uuid.UUID) -> None:
    """End one of the signed-in person's own sessions, this one or another.

    Raises:
        NotPermitted: an API key has no sessions.
        NotFound: the person has no such session, or it is over.
    """
    user_id = person_of(actor)
    async with transaction() as tx:
        if not await _revoke(user_id, only=session_id):
            raise NotFound
        await audit.record(
            tx, actor, action="user.session_ended", target_type="session", target_id=session_id
        )


@across_organizations
async def end_other_sessions(actor: Actor) -> int:
    """End every session of the signed-in person but the one that asks; return how many.

    Raises:
        NotPermitted: an API key has no sessions.
    """
    user_id = person_of(actor)
    async with transaction() as tx:
        ended = await _revoke(user_id, but=actor.token_id)
        await audit.record(
            tx,
            actor,
            action="user.sessions_ended",
            target_type="user",
            target_id=user_id,
            changes={"sessions": ended},
        )
    return ended


async def _revoke(
    user_id: UserId, *, only: uuid.UUID | None = None, but: uuid.UUID | None = None
) -> int:
    rows = await fetch(
        "INSERT INTO token_revocations (jti, reason, expires_at) "
        "SELECT s.id, 'ended', s.expires_at + interval '1 hour' FROM sessions s "
        "JOIN users u ON u.id = s.user_id AND u.token_version = s.token_version "
        "WHERE s.user_id = {} AND s.expires_at > {} AND ({}::uuid IS NULL OR s.id = {}) "
        "AND ({}::uuid IS NULL OR s.id <> {}) ORDER BY s.id "
        "ON CONFLICT (jti) DO NOTHING RETURNING jti",
        user_id,
        clock.now(),
        only,
        only,
        but,
        but,
    )
    return len(rows)


@across_organizations
async def log_out(actor: Actor) -> None:
    """End the token that this request came with; another one of the person stays good.

    Raises:
        NotPermitted: an API key does not sign out; delete it instead.
    """
    if actor.token_id is None or actor.expires_at is None:
        raise NotPermitted("Only a token can be signed out; delete or rotate an API key instead.")
    async with transaction() as tx:
        # Kept somewhat longer than the token is good, for the leeway of its end.
        await fetch(
            "INSERT INTO token_revocations (jti, reason, expires_at) "
            "VALUES ({}, 'signed out', to_timestamp({}::float8) + interval '1 hour') "
            "ON CONFLICT (jti) DO NOTHING",
            actor.token_id,
            actor.expires_at,
        )
        await audit.record(
            tx, actor, action="user.logout", target_type="user", target_id=str(actor.user_id)
        )


@across_organizations
async def switch_organization(actor: Actor, organization_id: OrganizationId) -> SignedIn:
    """Return a token of the same person for another of their organizations.

    Raises:
        NotPermitted: an API key acts for one organization.
        NotFound: the person does not belong there.
    """
    user_id = person_of(actor)
    await _home(user_id, organization_id=organization_id)
    found = await sign_in(user_id, organization_id, actor.origin)
    async with transaction() as tx:
        await audit.record(
            tx,
            found.actor,
            action="user.switched",
            target_type="organization",
            target_id=organization_id,
        )
    return found


@across_organizations
async def change_password(actor: Actor, *, current: str, new: str) -> SignedIn:
    """Replace the signed-in person's password; every token of theirs ends, but for a new one.

    Raises:
        NotPermitted: an API key has no password.
        AccountLocked: five attempts failed within 15 minutes.
        CredentialsWrong: *current* is not the password.
        WeakPassword: *new* is too short, too long, too easy to guess, or was used before.
        TokenRevoked: everything was signed out meanwhile, such as by a new password.
    """
    user_id = person_of(actor)
    user = await get_person(user_id)
    await passwords.check(new, known=[user.email, user.name], field="newPassword")
    await check_own_password(user, current, field="currentPassword")
    await used_passwords.check(user, new, field="newPassword")
    new_hash = await passwords.hashed(new)
    async with transaction() as tx:
        version = await set_password(tx, user_id, new_hash, seen_version=user.token_version)
        if version is None:
            raise TokenRevoked
        await used_passwords.remember(tx, user)
        await fetch("DELETE FROM password_resets WHERE user_id = {}", user_id)
        await tell_password_changed(tx, user, actor.origin)
        await audit.record(
            tx, actor, action="user.password_changed", target_type="user", target_id=user_id
        )
    return await sign_in(user_id, actor.organization_id, actor.origin, token_version=version)


async def check_own_password(user: Person, password: str, *, field: str) -> None:
    """Do nothing if it is the password of somebody who is signed in already.

    Raises:
        InvalidInput: it is too long to be one.
        AccountLocked: five attempts failed within 15 minutes.
        CredentialsWrong: it is not.
    """
    _check_length(password, field=field)
    await attempts.begin(user.email_key)
    if not await passwords.verify(password, user.password_hash):
        raise CredentialsWrong("The current password is wrong.")
    async with transaction() as tx:
        await attempts.forget(tx, user.email_key)


async def sign_in(
    user_id: UserId,
    organization_id: OrganizationId,
    origin: Origin,
    *,
    token_version: int | None = None,
) -> SignedIn:
    """Return a new token for a person whose identity has been proven.

    *token_version* is theirs when it was proven, so that the token is over at once if all of
    theirs were ended since; None is the present one, for who showed a good token just now.

    Raises:
        NotFound: the person does not belong to the organization.
        TokenRevoked: all tokens of the person were ended since they proved who they are.
    """
    rows = await fetch(
        "SELECT m.role, u.token_version FROM memberships m JOIN users u ON u.id = m.user_id "
        "WHERE m.user_id = {} AND m.organization_id = {}",
        user_id,
        organization_id,
    )
    if not rows:
        raise NotFound
    version = rows[0]["token_version"] if token_version is None else token_version
    token = issue(
        await signing_keys(),
        user_id=user_id,
        organization_id=organization_id,
        role=Role(rows[0]["role"]),
        token_version=version,
    )
    await fetch(
        "INSERT INTO sessions (id, user_id, organization_id, token_version, source_address, "
        "user_agent, expires_at, created_at) VALUES ({}, {}, {}, {}, {}, {}, {}, {})",
        token.token_id,
        user_id,
        organization_id,
        version,
        origin.source_address,
        "".join(letter for letter in origin.user_agent if letter.isprintable())[:200],
        token.expires_at,
        clock.now(),
    )
    return SignedIn(token, await actor_from_token(token.text, origin))


async def _home(
    user_id: UserId, *, slug: str | None = None, organization_id: OrganizationId | None = None
) -> OrganizationId:
    found = await _find_home(user_id, slug=slug, organization_id=organization_id)
    if found is not None:
        return found
    if slug is not None or organization_id is not None:
        raise NotFound("You do not belong to this organization.")
    raise NotPermitted(
        "You belong to no organization any more; sign in with an invitation.",
        code=ErrorCode.USER_DISABLED,
    )


async def _find_home(
    user_id: UserId, *, slug: str | None = None, organization_id: OrganizationId | None = None
) -> OrganizationId | None:
    """Return the organization asked for, or the one joined first, or None."""
    rows = await fetch(
        "SELECT o.id FROM memberships m JOIN organizations o ON o.id = m.organization_id "
        "WHERE m.user_id = {} AND ({}::text IS NULL OR o.slug = {}) "
        "AND ({}::uuid IS NULL OR o.id = {}) ORDER BY m.id LIMIT 1",
        user_id,
        slug,
        slug,
        organization_id,
        organization_id,
    )
    return OrganizationId(rows[0]["id"]) if rows else None


def person_of(actor: Actor) -> UserId:
    """Return who is signed in.

    Raises:
        NotPermitted: an API key is nobody.
    """
    if actor.kind is not ActorKind.USER or actor.user_id is None:
        raise NotPermitted("This is for a person who is signed in, not for an API key.")
    return actor.user_id


def _check_length(password: str, *, field: str) -> None:
    if not 1 <= len(password) <= passwords.LONGEST:
        raise InvalidInput.of(
            field,
            DetailCode.TOO_LONG if password else DetailCode.REQUIRED,
            f"A password has 1 to {passwords.LONGEST} characters.",
        )
