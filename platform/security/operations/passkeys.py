"""Adding, naming and removing passkeys, and signing in with one."""

import uuid
from dataclasses import dataclass

from ...accounts.operations import hold_person, set_second_factor
from ...accounts.queries import Person, belongs_where_it_is_required, get_person
from ...accounts.rules import UserStatus
from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, Origin
from ...core.database import Tx, transaction
from ...core.errors import NotFound
from ...core.languages import gettext as _
from ...core.languages import speaking, written_in
from ...core.tenants import across_organizations
from ...notices import operations as notices
from ...notices.rules import Notice
from .. import abuse, limits, passkeys, second_factor
from ..errors import PasskeyWrong, SecondFactorKept, TokenRevoked, UserDisabled
from ..passkeys import Answer, Asked
from ..tables import Passkey
from .second_factor import checked_person
from .sessions import NOBODY, SignedIn, enter, person_of, record_failure, sign_in


@dataclass(frozen=True, slots=True)
class Added:
    """A new passkey; the first second factor of a person brings what setting one up brings."""

    passkey: Passkey
    recovery_codes: list[str]
    signed_in: SignedIn | None
    """Takes the place of every other token; None where none was ended."""


async def begin_passkey(actor: Actor, *, password: str) -> Asked:
    """Return what makes the person's device make a passkey.

    Raises:
        NotPermitted: an API key has no passkeys.
        AccountLocked: five attempts failed within 15 minutes.
        CredentialsWrong: it is not the password.
        PasskeysUnavailable: browsers do not use passkeys at our address.
    """
    user = await checked_person(actor, password)
    return passkeys.ask_to_register(user, await passkeys.credential_ids(user.id))


@across_organizations
async def add_passkey(actor: Actor, answer: Answer, *, name: str) -> Added:
    """Add the passkey that the device has made.

    As the person's first second factor it ends every token, but for the one returned.

    Raises:
        NotPermitted: an API key has no passkeys.
        InvalidInput: the name cannot be one.
        PasskeyWrong: the answer is not one to what this person was asked, or came before.
        PasskeyExists: the passkey belongs to an account already.
        PasskeyLimitReached: the person has as many as they may have.
        TokenRevoked: everything of theirs was signed out meanwhile.
    """
    user = await get_person(person_of(actor))
    wanted = passkeys.checked_name(name)
    codes: list[str] = []
    version = None
    async with transaction() as tx:
        passkey = await passkeys.add(tx, user, answer, name=wanted)
        if not user.has_second_factor:
            codes = await second_factor.renew_recovery_codes(tx, user.id)
            version = await _set(tx, user, has_one=True)
        await _record(tx, actor, user, passkey.id, action="passkey_added", name=wanted)
    if version is None:
        return Added(passkey, codes, None)
    return Added(
        passkey,
        codes,
        await sign_in(user.id, actor.organization_id, actor.origin, token_version=version),
    )


async def rename_passkey(actor: Actor, passkey_id: uuid.UUID, *, name: str) -> None:
    """Give a passkey of the person another name.

    Raises:
        NotPermitted: an API key has no passkeys.
        InvalidInput: the name cannot be one.
        NotFound: the person has no such passkey.
    """
    user_id = person_of(actor)
    wanted = passkeys.checked_name(name)
    async with transaction() as tx:
        if not await passkeys.rename(tx, user_id, passkey_id, name=wanted):
            raise NotFound
        await audit.record(
            tx,
            actor,
            action="user.passkey_renamed",
            target_type="passkey",
            target_id=passkey_id,
            changes={"name": wanted},
        )


@across_organizations
async def remove_passkey(actor: Actor, passkey_id: uuid.UUID, *, password: str) -> SignedIn | None:
    """Forget a passkey; without a second factor left, return a token that replaces all others.

    Raises:
        NotPermitted: an API key has no passkeys.
        AccountLocked: five attempts failed within 15 minutes.
        CredentialsWrong: it is not the password.
        NotFound: the person has no such passkey.
        SecondFactorKept: it is their last second factor, and an organization asks for one.
        TokenRevoked: everything of theirs was signed out meanwhile.
    """
    if not await passkeys.has(person_of(actor), passkey_id):
        raise NotFound
    user = await checked_person(actor, password)
    version = None
    async with transaction() as tx:
        await hold_person(tx, user.id)
        if not await passkeys.remove(tx, user.id, passkey_id):
            raise NotFound
        if not await second_factor.has_any(user.id):
            if await belongs_where_it_is_required(user.id):
                raise SecondFactorKept
            await second_factor.remove(tx, user.id)
            version = await _set(tx, user, has_one=False)
        await _record(tx, actor, user, passkey_id, action="passkey_removed")
    if version is None:
        return None
    return await sign_in(user.id, actor.organization_id, actor.origin, token_version=version)


@across_organizations
async def log_in_with_passkey(
    answer: Answer,
    *,
    organization: str | None = None,
    invitation_token: str | None = None,
    origin: Origin,
) -> SignedIn:
    """Sign in whoever has the passkey, to the organization with that slug or their first.

    Neither a password nor a code is asked for: the device has asked who uses it.

    Raises:
        TooManyRequests: ten a minute came from this network address.
        PasskeyWrong: the answer is not one to what we asked, came before, or is nobody's.
        UserDisabled: the person may not sign in, or belongs nowhere.
        InvitationInvalid: the invitation cannot be accepted.
    """
    if origin.source_address is not None:
        await limits.count(limits.LOG_IN, limits.address_subject(origin.source_address))
    await abuse.require_not_blocked(origin.source_address)
    try:
        async with transaction() as tx:
            user_id = await passkeys.prove(tx, answer)
    except PasskeyWrong:
        await record_failure(NOBODY, "passkey", origin)
        raise
    user = await get_person(user_id)
    if user.status != UserStatus.ACTIVE:
        raise UserDisabled
    return await enter(
        user,
        organization=organization,
        invitation_token=invitation_token,
        origin=origin,
        by="passkey",
    )


async def _set(tx: Tx, user: Person, *, has_one: bool) -> int:
    version = await set_second_factor(tx, user.id, has_one=has_one, seen_version=user.token_version)
    if version is None:
        raise TokenRevoked
    return version


async def _record(
    tx: Tx, actor: Actor, user: Person, passkey_id: uuid.UUID, *, action: str, name: str = ""
) -> None:
    added = action == "passkey_added"
    with speaking(user.language):
        await notices.send(
            tx,
            to=user.email,
            notice=Notice.SECOND_FACTOR_CHANGED,
            values={
                "name": user.name,
                "change": _("A passkey was added to your account.")
                if added
                else _("A passkey was removed from your account."),
                "at": written_in(clock.now(), user.timezone),
                "address": actor.source_address or _("an unknown address"),
            },
        )
    await audit.record(
        tx,
        actor,
        action=f"user.{action}",
        target_type="passkey",
        target_id=passkey_id,
        changes={"name": name} if name else {},
    )
