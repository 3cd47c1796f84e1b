"""Setting up a second factor, doing without one again, and asking members for one."""

from dataclasses import dataclass

from ...accounts.operations import set_second_factor, set_second_factor_rule
from ...accounts.queries import Person, belongs_where_it_is_required, get_person
from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, Permission
from ...core.database import Tx, transaction
from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ...core.languages import speaking, written_in
from ...core.tenants import across_organizations
from ...notices import operations as notices
from ...notices.rules import Notice
from .. import limits, second_factor
from ..errors import SecondFactorExists, SecondFactorKept, SecondFactorMissing, TokenRevoked
from ..second_factor import Codes, NewSecret
from .sessions import SignedIn, check_own_password, person_of, sign_in

SET_UP = N_("A second factor was set up for your account.")
REMOVED = N_("A second factor was removed from your account.")
RENEWED = N_("Your account was given new recovery codes.")


@dataclass(frozen=True, slots=True)
class SetUp:
    """The recovery codes of a new second factor, and a token that takes the place of all others."""

    recovery_codes: list[str]
    signed_in: SignedIn


async def begin_second_factor(actor: Actor, *, password: str) -> NewSecret:
    """Return a secret for the person's authenticator; its first code sets the second factor up.

    Raises:
        NotPermitted: an API key has no second factor.
        AccountLocked: five attempts failed within 15 minutes.
        CredentialsWrong: it is not the password.
        SecondFactorExists: the person has one already.
    """
    user = await checked_person(actor, password)
    async with transaction() as tx:
        return await second_factor.begin(tx, user.id, email=user.email)


@across_organizations
async def confirm_second_factor(actor: Actor, *, code: str) -> SetUp:
    """Set up the second factor that was begun; every token ends, but for the one returned.

    Raises:
        NotPermitted: an API key has no second factor.
        TooManyRequests: ten codes were tried within five minutes.
        SecondFactorExists: the person has one already.
        SecondFactorMissing: none was begun.
        SecondFactorWrong: the code is not one of it.
        TokenRevoked: everything of theirs was signed out meanwhile.
    """
    user = await get_person(person_of(actor))
    if await second_factor.has_authenticator(user.id):
        raise SecondFactorExists
    await limits.count(limits.SECOND_FACTOR, str(user.id))
    async with transaction() as tx:
        codes = await second_factor.confirm(tx, user.id, code)
        version = await _set(tx, user, has_one=True)
        await _record(tx, actor, user, action="user.second_factor_enabled", change=SET_UP)
    signed_in = await sign_in(user.id, actor.organization_id, actor.origin, token_version=version)
    return SetUp(codes, signed_in)


@across_organizations
async def disable_second_factor(actor: Actor, *, password: str, codes: Codes) -> SignedIn:
    """Forget the person's authenticator; every token ends, but for the one returned.

    Passkeys stay, and as long as there is one it is asked for beside the password.

    Raises:
        NotPermitted: an API key has no second factor.
        AccountLocked: five attempts failed within 15 minutes.
        CredentialsWrong: it is not the password.
        SecondFactorMissing: the person has none.
        SecondFactorKept: it is their last one, and an organization of theirs asks for one.
        TooManyRequests: ten codes were tried within five minutes.
        SecondFactorWrong: it is no code of theirs, or was used before.
    """
    user = await _checked_holder(actor, password)
    async with transaction() as tx:
        if not await second_factor.has_authenticator(user.id):
            raise SecondFactorMissing
        await second_factor.prove(tx, user.id, codes)
        is_last = await second_factor.remove(tx, user.id)
        if is_last and await belongs_where_it_is_required(user.id):
            raise SecondFactorKept
        version = await _set(tx, user, has_one=not is_last)
        await _record(tx, actor, user, action="user.second_factor_disabled", change=REMOVED)
    return await sign_in(user.id, actor.organization_id, actor.origin, token_version=version)


@across_organizations
async def renew_recovery_codes(actor: Actor, *, password: str, codes: Codes) -> list[str]:
    """Replace the person's recovery codes and return them.

    Raises:
        NotPermitted: an API key has no second factor.
        AccountLocked: five attempts failed within 15 minutes.
        CredentialsWrong: it is not the password.
        SecondFactorMissing: the person has none.
        TooManyRequests: ten codes were tried within five minutes.
        SecondFactorWrong: it is no code of theirs, or was used before.
    """
    user = await _checked_holder(actor, password)
    async with transaction() as tx:
        await second_factor.prove(tx, user.id, codes)
        made = await second_factor.renew_recovery_codes(tx, user.id)
        await _record(
            tx,
            actor,
            user,
            action="user.recovery_codes_renewed",
            change=RENEWED,
        )
    return made


async def require_second_factor(actor: Actor, *, required: bool) -> None:
    """Say whether members of the organization need a second factor to do anything.

    From their next request on, members without one can set one up, leave, and nothing else.
    API keys go on working.

    Raises:
        NotPermitted: the role forbids it, or an API key asks.
        SecondFactorMissing: the person asks others for what they have not got themselves.
    """
    actor.require(Permission.WRITE_USERS)
    user = await get_person(person_of(actor))
    if required and not user.has_second_factor:
        raise SecondFactorMissing("Set up a second factor of your own first.")
    async with transaction() as tx:
        await set_second_factor_rule(tx, actor, required=required)


async def _set(tx: Tx, user: Person, *, has_one: bool) -> int:
    version = await set_second_factor(tx, user.id, has_one=has_one, seen_version=user.token_version)
    if version is None:
        raise TokenRevoked
    return version


async def _checked_holder(actor: Actor, password: str) -> Person:
    """Return the signed-in person, who sent their password anew and may try a code now."""
    user = await checked_person(actor, password)
    if not user.has_second_factor:
        raise SecondFactorMissing
    await limits.count(limits.SECOND_FACTOR, str(user.id))
    return user


async def checked_person(actor: Actor, password: str) -> Person:
    """Return the signed-in person, who has sent their password anew.

    Raises:
        NotPermitted: an API key is nobody.
        AccountLocked: five attempts failed within 15 minutes.
        CredentialsWrong: it is not the password.
    """
    user = await get_person(person_of(actor))
    await check_own_password(user, password, field="password")
    return user


async def _record(tx: Tx, actor: Actor, user: Person, *, action: str, change: str) -> None:
    with speaking(user.language):
        await notices.send(
            tx,
            to=user.email,
            notice=Notice.SECOND_FACTOR_CHANGED,
            values={
                "name": user.name,
                "change": _(change),
                "at": written_in(clock.now(), user.timezone),
                "address": actor.source_address or _("an unknown address"),
            },
        )
    await audit.record(tx, actor, action=action, target_type="user", target_id=user.id)
