"""Coming back from a provider of identities: into one's account, or into a new one."""

from ..accounts.operations import FIRST_TOKEN_VERSION, NewUser, join_by_invitation
from ..accounts.rules import checked_email
from ..audit import operations as audit
from ..core.actor import Origin
from ..core.database import transaction
from ..core.ids import new_token
from ..core.settings import settings
from ..core.tenants import across_organizations
from ..security import abuse, limits, passwords, provider
from ..security.operations import (
    SignedIn,
    check_unknown,
    enter_as,
    find_owner,
    record_registration,
    sign_in,
    tie,
)
from ..security.provider import Identity, Return
from .errors import RegistrationClosed
from .operations import begin_organization, make_user

LONGEST_NAME = 100


@across_organizations
async def enter_by_provider(found: Return, origin: Origin) -> SignedIn | str:
    """Sign in whoever comes back from the provider, with a new account if they have none yet.

    The answer is a proof, for `finish_provider_sign_in`, where their second factor is needed.

    Raises:
        TooManyRequests: ten a minute came from this network address, or five accounts an hour.
        ProviderMissing: there is no provider.
        ProviderRefused: what comes back does not fit, or the provider does not take it.
        ProviderUnreachable: the provider does not answer.
        ProviderUnverified: it has not verified the address, or another account has it.
        RegistrationClosed: the deployment takes no new accounts.
        UserDisabled: the person may not sign in, or belongs nowhere.
        InvitationInvalid: the invitation that they came with cannot be accepted.
    """
    if origin.source_address is not None:
        await limits.count(limits.LOG_IN, limits.address_subject(origin.source_address))
    await abuse.require_not_blocked(origin.source_address)
    identity = await provider.identify(found)
    async with transaction() as tx:
        user_id = await find_owner(tx, identity)
    if user_id is not None:
        return await enter_as(user_id, identity, origin=origin)
    return await _register(identity, origin)


async def _register(identity: Identity, origin: Origin) -> SignedIn:
    email = checked_email(await check_unknown(identity))
    invited = identity.invitation_token is not None
    if settings().registration == "closed" and not invited:
        raise RegistrationClosed
    if origin.source_address is not None:
        await limits.count(limits.REGISTER, limits.address_subject(origin.source_address))
    name = _name(identity, email)
    # Nobody knows this password; whoever wants one asks for a link by mail.
    password_hash = await passwords.hashed(new_token(43))
    new = NewUser(email=email, name=name, password_hash=password_hash, timezone="UTC")
    async with transaction() as tx:
        user_id = await make_user(tx, new, invited=invited)
        await tie(tx, user_id, identity)
        if identity.invitation_token is not None:
            organization_id, _ = await join_by_invitation(
                tx, user_id, email=email, token=identity.invitation_token, origin=origin
            )
        else:
            organization_id = await begin_organization(tx, user_id, name=name, origin=origin)
        await audit.record_for_user(
            tx,
            user_id,
            organization_id=organization_id,
            action="user.registered",
            target_type="user",
            target_id=user_id,
            changes={"email": email, "name": name},
            origin=origin,
        )
        await record_registration(tx, user_id, organization_id, identity, origin)
    return await sign_in(user_id, organization_id, origin, token_version=FIRST_TOKEN_VERSION)


def _name(identity: Identity, email: str) -> str:
    """Return the name that the provider knows, or else what comes before the @."""
    shown = "".join(letter for letter in identity.name if letter.isprintable()).strip()
    return (shown or email.partition("@")[0])[:LONGEST_NAME]
