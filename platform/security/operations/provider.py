"""Signing in as whom a provider names, and which account that is."""

import json
import uuid
from datetime import timedelta

from ...accounts.queries import Person, find_person, get_person
from ...accounts.rules import UserStatus, email_key
from ...audit import operations as audit
from ...core import clock
from ...core.actor import Actor, OrganizationId, Origin, UserId
from ...core.crypto import SealBroken, seal, unseal
from ...core.database import Tx, fetch, transaction
from ...core.errors import NotFound
from ...core.ids import new_id
from ...core.tenants import across_organizations
from .. import limits, provider, second_factor
from ..errors import (
    PasskeyWrong,
    ProviderRefused,
    ProviderTaken,
    ProviderUnverified,
    SecondFactorRequired,
    SecondFactorWrong,
    UserDisabled,
)
from ..provider import Begun, Identity, Return
from ..second_factor import Codes
from ..tables import ProviderIdentity
from .second_factor import checked_person
from .sessions import SignedIn, enter, person_of, record_failure

PURPOSE = "provider proof"
PROOF_LIFE = timedelta(minutes=5)
"""How long somebody whom the provider has named may take for their second factor with us."""


async def find_owner(tx: Tx, identity: Identity) -> UserId | None:
    """Return whose account an identity is tied to, and note that it was used."""
    rows = await fetch(
        "UPDATE provider_identities SET last_used_at = {} WHERE issuer = {} AND subject = {} "
        "RETURNING user_id",
        clock.now(),
        identity.issuer,
        identity.subject,
    )
    return UserId(rows[0]["user_id"]) if rows else None


async def tie(tx: Tx, user_id: UserId, identity: Identity) -> ProviderIdentity:
    """Let an identity sign in to the person's account from now on.

    Raises:
        ProviderTaken: it signs in to an account already.
    """
    row = ProviderIdentity(
        id=new_id(),
        user_id=user_id,
        issuer=identity.issuer,
        subject=identity.subject,
        email=identity.email or "",
        created_at=clock.now(),
    )
    rows = await fetch(
        "INSERT INTO provider_identities (id, user_id, issuer, subject, email, created_at) "
        "VALUES ({}, {}, {}, {}, {}, {}) ON CONFLICT DO NOTHING RETURNING id",
        row.id,
        user_id,
        row.issuer,
        row.subject,
        row.email,
        row.created_at,
    )
    if not rows:
        raise ProviderTaken
    return row


async def enter_as(user_id: UserId, identity: Identity, *, origin: Origin) -> SignedIn | str:
    """Sign in whom a provider has named; or return a proof that it did, for `finish_sign_in`.

    The proof is what one gets who has a second factor with us, unless the provider has asked for
    one of its own.

    Raises:
        UserDisabled: the person may not sign in, or belongs nowhere.
        InvitationInvalid: the invitation that they came with cannot be accepted.
    """
    user = await get_person(user_id)
    if user.status != UserStatus.ACTIVE:
        raise UserDisabled
    if user.has_second_factor and not identity.is_multi_factor:
        return _proof(user, identity.invitation_token)
    return await enter(
        user, invitation_token=identity.invitation_token, origin=origin, by="provider"
    )


@across_organizations
async def finish_provider_sign_in(proof: str, *, codes: Codes, origin: Origin) -> SignedIn:
    """Sign in whom a provider has named a moment ago, with their second factor.

    Raises:
        ProviderRefused: the proof is none, or too old.
        TooManyRequests: ten codes were tried within five minutes.
        SecondFactorRequired: no code came.
        SecondFactorWrong: the code is wrong, or was used before.
        PasskeyWrong: it is no passkey of theirs.
        UserDisabled: the person may not sign in, or belongs nowhere.
    """
    try:
        found = json.loads(unseal(bytes.fromhex(proof[:4_096]), purpose=PURPOSE))
    except (SealBroken, ValueError) as error:
        raise ProviderRefused from error
    user = await get_person(UserId(uuid.UUID(found["user"])))
    if found["until"] < clock.now().timestamp() or found["version"] != user.token_version:
        raise ProviderRefused
    if user.status != UserStatus.ACTIVE:
        raise UserDisabled
    if codes.is_empty:
        raise SecondFactorRequired
    await limits.count(limits.SECOND_FACTOR, str(user.id))
    try:
        async with transaction() as tx:
            await second_factor.prove(tx, user.id, codes)
    except (SecondFactorWrong, PasskeyWrong):
        await record_failure(user.id, "second factor", origin)
        raise
    return await enter(user, invitation_token=found["invitation"], origin=origin, by="provider")


async def begin_link(actor: Actor) -> Begun:
    """Return where to send the signed-in person, who ties the provider to their account.

    Raises:
        NotPermitted: an API key is nobody.
        ProviderMissing: there is none.
        ProviderUnreachable: it does not say where.
    """
    return await provider.begin(linking=person_of(actor))


async def link_provider(actor: Actor, found: Return) -> ProviderIdentity:
    """Let the provider's identity sign in to the signed-in person's account.

    Only with an address that the provider has verified and that is the account's: whoever gets a
    person to follow a link must not get an account of theirs tied to another's.

    Raises:
        NotPermitted: an API key is nobody.
        ProviderRefused: what comes back does not fit, or the provider does not take it.
        ProviderUnreachable: the provider does not answer.
        ProviderUnverified: the address is another one, or not verified.
        ProviderTaken: it signs in to an account already.
    """
    user = await get_person(person_of(actor))
    identity = await provider.identify(found, linking=user.id)
    if identity.email is None or email_key(identity.email) != user.email_key:
        raise ProviderUnverified
    async with transaction() as tx:
        row = await tie(tx, user.id, identity)
        await audit.record(
            tx,
            actor,
            action="user.provider_linked",
            target_type="provider_identity",
            target_id=row.id,
            changes={"issuer": row.issuer},
        )
    return row


async def unlink_provider(actor: Actor, identity_id: uuid.UUID, *, password: str) -> None:
    """Let an identity of the provider no longer sign in.

    Raises:
        NotPermitted: an API key is nobody.
        AccountLocked: five attempts failed within 15 minutes.
        CredentialsWrong: it is not the password.
        NotFound: the person has no such identity.
    """
    if not await fetch(
        "SELECT FROM provider_identities WHERE id = {} AND user_id = {}",
        identity_id,
        person_of(actor),
    ):
        raise NotFound
    user = await checked_person(actor, password)
    async with transaction() as tx:
        rows = await fetch(
            "DELETE FROM provider_identities WHERE id = {} AND user_id = {} RETURNING issuer",
            identity_id,
            user.id,
        )
        if not rows:
            raise NotFound
        await audit.record(
            tx,
            actor,
            action="user.provider_unlinked",
            target_type="provider_identity",
            target_id=identity_id,
            changes={"issuer": rows[0]["issuer"]},
        )


async def check_unknown(identity: Identity) -> str:
    """Return the verified address of an identity that nobody has, and no account has it, either.

    An account with that address may be somebody else's, who never had to show that it is theirs:
    they would still know its password. So it is tied by whoever can sign in to it.

    Raises:
        ProviderUnverified: the provider has not verified the address, or an account has it.
    """
    if identity.email is None:
        raise ProviderUnverified
    if await find_person(email=identity.email) is not None:
        raise ProviderUnverified(
            "There is an account with your email address already. Sign in to it with its password, "
            "and connect it on the page of your account."
        )
    return identity.email


async def record_registration(
    tx: Tx, user_id: UserId, organization_id: OrganizationId, identity: Identity, origin: Origin
) -> None:
    """Log that an identity came with a new account."""
    await audit.record_for_user(
        tx,
        user_id,
        organization_id=organization_id,
        action="user.provider_linked",
        target_type="user",
        target_id=user_id,
        changes={"issuer": identity.issuer},
        origin=origin,
    )


def _proof(user: Person, invitation_token: str | None) -> str:
    said = {
        "user": str(user.id),
        "version": user.token_version,
        "invitation": invitation_token,
        "until": (clock.now() + PROOF_LIFE).timestamp(),
    }
    return seal(json.dumps(said).encode(), purpose=PURPOSE).hex()
