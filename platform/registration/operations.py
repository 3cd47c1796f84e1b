"""Beginning: registering a person, and making an organization."""

from collections.abc import Callable
from dataclasses import dataclass

from ..accounts.operations import (
    FIRST_TOKEN_VERSION,
    NewUser,
    add_organization,
    add_user,
    is_first_user,
    join_by_invitation,
)
from ..accounts.rules import Plan, checked_email, checked_name, checked_timezone
from ..audit import operations as audit
from ..billing.provider import MANUAL, provider_name
from ..billing.work import begin_subscription
from ..core.actor import Actor, ActorKind, OrganizationId, Origin, UserId
from ..core.database import Tx, transaction
from ..core.errors import DetailCode, ErrorCode, InvalidInput, NotPermitted
from ..core.settings import settings
from ..core.tenants import across_organizations
from ..credits.alerts import set_first_alerts
from ..security import limits, passwords
from ..security.operations import SignedIn, sign_in
from ..vmtas.operations import create_default_pool
from .errors import RegistrationClosed


@dataclass(frozen=True, slots=True)
class Registration:
    """What somebody who registers says."""

    email: str
    password: str
    name: str
    organization_name: str | None = None
    invitation_token: str | None = None
    """Joins the inviting organization instead of making one."""
    timezone: str = "UTC"


@across_organizations
async def register(asked: Registration, origin: Origin) -> SignedIn:
    """Make a person, their organization or their place in the inviting one, and sign them in.

    The first person of a deployment looks after it. An invitation is good even where
    registration is closed.

    Raises:
        TooManyRequests: five an hour came from this network address.
        RegistrationClosed: the deployment takes no new accounts.
        InvalidInput: a value cannot be one, or the invitation is for another address.
        WeakPassword: the password is too short, too long or too easy to guess.
        EmailTaken: somebody has the address.
        InvitationInvalid: the invitation is unknown, withdrawn, used or too old.
    """
    if origin.source_address is not None:
        await limits.count(limits.REGISTER, limits.address_subject(origin.source_address))
    if settings().registration == "closed" and asked.invitation_token is None:
        raise RegistrationClosed
    new, organization_name = await _checked(asked)
    async with transaction() as tx:
        user_id = await make_user(tx, new, invited=asked.invitation_token is not None)
        if asked.invitation_token is not None:
            organization_id, _ = await join_by_invitation(
                tx, user_id, email=new.email, token=asked.invitation_token, origin=origin
            )
        else:
            organization_id = await begin_organization(
                tx, user_id, name=organization_name, origin=origin
            )
        await _record(tx, user_id, organization_id, new=new, origin=origin)
    return await sign_in(user_id, organization_id, origin, token_version=FIRST_TOKEN_VERSION)


async def found_organization(asked: Registration, origin: Origin) -> SignedIn:
    """Make a person and their organization for whoever runs the deployment; sign them in.

    The setting that closes registration and the limit per address do not count here.

    Raises:
        InvalidInput: a value cannot be one.
        WeakPassword: the password is too short, too long or too easy to guess.
        EmailTaken: somebody has the address.
    """
    new, organization_name = await _checked(asked)
    async with transaction() as tx:
        user_id = await add_user(tx, new, platform_admin=await is_first_user(tx))
        organization_id = await begin_organization(
            tx, user_id, name=organization_name, origin=origin
        )
        await _record(tx, user_id, organization_id, new=new, origin=origin)
    return await sign_in(user_id, organization_id, origin, token_version=FIRST_TOKEN_VERSION)


@across_organizations
async def create_organization(actor: Actor, *, name: str) -> OrganizationId:
    """Make another organization, owned by the signed-in person.

    Raises:
        NotPermitted: an API key owns nothing, a suspended organization changes nothing, and one
            that asks for a second factor waits for it.
        RegistrationClosed: the deployment takes no new organizations from anybody else than
            whoever looks after it.
        InvalidInput: the name cannot be one.
    """
    if actor.kind is not ActorKind.USER or actor.user_id is None:
        raise NotPermitted("This is for a person who is signed in, not for an API key.")
    actor.require_second_factor()
    if actor.suspended:
        raise NotPermitted(
            "Your organization is suspended, so you cannot begin another one.",
            code=ErrorCode.ORGANIZATION_SUSPENDED,
        )
    if settings().registration != "open" and not actor.platform_admin:
        raise RegistrationClosed("On this deployment only its administrator makes organizations.")
    wanted = checked_name(name, field="name")
    if actor.source_address is not None:
        await limits.count(limits.REGISTER, limits.address_subject(actor.source_address))
    async with transaction() as tx:
        return await begin_organization(tx, actor.user_id, name=wanted, origin=actor.origin)


async def _record(
    tx: Tx, user_id: UserId, organization_id: OrganizationId, *, new: NewUser, origin: Origin
) -> None:
    await audit.record_for_user(
        tx,
        user_id,
        organization_id=organization_id,
        action="user.registered",
        target_type="user",
        target_id=user_id,
        changes={"email": new.email, "name": new.name},
        origin=origin,
    )


async def make_user(tx: Tx, new: NewUser, *, invited: bool) -> UserId:
    """Make a person, if the deployment takes one now.

    Raises:
        RegistrationClosed: it takes only the first.
        EmailTaken: somebody has the address.
    """
    first = await is_first_user(tx)
    if settings().registration == "first_user" and not first and not invited:
        raise RegistrationClosed
    return await add_user(tx, new, platform_admin=first)


async def begin_organization(
    tx: Tx, owner_id: UserId, *, name: str, origin: Origin, slug: str | None = None
) -> OrganizationId:
    """Make an organization, its name checked, with what every area gives a new one."""
    plan = Plan.SELF_HOSTED if provider_name() == MANUAL else Plan.TRIAL
    organization_id = await add_organization(
        tx, name=name, plan=plan, owner_id=owner_id, origin=origin, slug=slug
    )
    await create_default_pool(tx, organization_id)
    await begin_subscription(tx, organization_id)
    await set_first_alerts(tx, organization_id)
    return organization_id


async def _checked(asked: Registration) -> tuple[NewUser, str]:
    """Return the person, and the name of the organization to make, if there is to be one.

    Raises:
        InvalidInput: names every field that breaks a rule.
        WeakPassword: the password does, and nothing else.
    """
    faults: list[InvalidInput] = []

    def tried(check: Callable[[], str]) -> str:
        try:
            return check()
        except InvalidInput as fault:
            faults.append(fault)
            return ""

    email = tried(lambda: checked_email(asked.email))
    name = tried(lambda: checked_name(asked.name, field="name"))
    organization_name = tried(lambda: _organization_name(asked))
    timezone = tried(lambda: checked_timezone(asked.timezone))
    try:
        await passwords.check(asked.password, known=[each for each in (email, name) if each])
    except InvalidInput as fault:
        faults.append(fault)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise InvalidInput.all(detail for fault in faults for detail in fault.details)
    password_hash = await passwords.hashed(asked.password)
    return NewUser(
        email=email, name=name, password_hash=password_hash, timezone=timezone
    ), organization_name


def _organization_name(asked: Registration) -> str:
    if asked.invitation_token is not None:
        return ""
    if asked.organization_name is None:
        raise InvalidInput.of(
            "organizationName",
            DetailCode.REQUIRED,
            "Name your organization, or register with an invitation.",
        )
    return checked_name(asked.organization_name, field="organizationName")
