"""From what a client sends to who it is: the only maker of actors.

Every request asks the database, in one statement with those that come with it, so that
whoever was removed, disabled or demoted, and a key that was deleted or rotated, is refused
from the next request on. The measurements are in docs/decisions/0015-credentials.md.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..accounts.rules import OrganizationStatus, UserStatus
from ..core import clock
from ..core.actor import (
    ROLE_PERMISSIONS,
    VISITING,
    Actor,
    ActorKind,
    ApiKeyId,
    Mode,
    OrganizationId,
    Origin,
    ProjectId,
    Role,
    UserId,
    Visit,
)
from ..core.batching import Batcher
from ..core.crypto import digests
from ..core.database import fetch
from ..core.errors import NotFound
from . import seen, uses
from .errors import AddressNotAllowed, KeyExpired, KeyUnknown, TokenRevoked, UserDisabled
from .rules import API_KEY_PURPOSE, both_allow, effective, is_key_form, is_within, rate_limit
from .tokens import Claims, reread, verified

APART_SECONDS = 0.004
"""Between the beginnings of two look-ups of one process, while few requests wait.

Those who were answered together ask together next, but not within a turn of the loop: without the
pause there were two look-ups for each transaction that accepts what they ask for.
"""

Digests = tuple[bytes, ...]
"""What one API key may be stored under, as `digests` says."""


async def actor_from_api_key(secret: str, origin: Origin) -> Actor:
    """Return the actor of the API key with *secret*, in any of its forms.

    Raises:
        KeyUnknown: no key has it, its grace is over, or the key or its maker is gone.
        KeyExpired: the key's time is over.
        AddressNotAllowed: it came from outside the key's networks.
    """
    if not is_key_form(secret):
        raise KeyUnknown
    row = await _lookups.run(tuple(digests(secret, purpose=API_KEY_PURPOSE)))
    if row is None:
        raise KeyUnknown
    actor = _key_actor(row, origin)
    if not origin.is_repeated:
        uses.note(row["id"], origin.source_address)
    return actor


async def _find_keys(asked: Sequence[Digests]) -> list[Mapping[str, Any] | None]:
    rows = await fetch(
        """
        SELECT s.digest, k.id, k.organization_id, k.project_id, k.scopes, k.mode, k.status,
               k.blocked_by, k.allowed_networks, k.allowed_domains, k.rate_limit_per_minute,
               k.expires_at, s.expires_at AS grace_ends_at, m.user_id, m.role,
               u.status AS user_status, u.platform_admin, o.status AS organization_status, o.plan,
               p.archived_at AS project_archived_at, p.mode AS project_mode,
               p.allowed_domains AS project_domains, p.rate_limit_per_minute AS project_rate
        FROM api_key_secrets s
        JOIN api_keys k ON k.id = s.api_key_id
        JOIN organizations o ON o.id = k.organization_id
        LEFT JOIN projects p ON p.id = k.project_id
        LEFT JOIN memberships m ON m.id = k.membership_id
        LEFT JOIN users u ON u.id = m.user_id
        WHERE s.digest = ANY({}::bytea[])
        """,
        list({each for digests in asked for each in digests}),
    )
    found = {row["digest"]: row for row in rows}
    answers: list[Mapping[str, Any] | None] = [
        next((found[each] for each in own if each in found), None) for own in asked
    ]
    await _renew(
        {
            row["digest"]: own[0]
            for own, row in zip(asked, answers, strict=True)
            if row is not None and row["digest"] != own[0]
        }
    )
    return answers


async def _renew(outdated: Mapping[bytes, bytes]) -> None:
    """Store the hashes of keys anew that were made with an old secret key: nobody but who uses
    a key can, as it is not stored itself."""
    if outdated:
        await fetch(
            "UPDATE api_key_secrets SET digest = renewed.digest "
            "FROM unnest({}::bytea[], {}::bytea[]) AS renewed (outdated, digest) "
            "WHERE api_key_secrets.digest = renewed.outdated",
            list(outdated.keys()),
            list(outdated.values()),
        )


# Requests that come while one look-up runs share the next: each is answered from what the
# database says after it came, so a key that was revoked before is refused.
_lookups: Batcher[Digests, Mapping[str, Any] | None] = Batcher(
    _find_keys, apart_seconds=APART_SECONDS
)


def _key_actor(row: Mapping[str, Any], origin: Origin) -> Actor:
    now = clock.now()
    if row["grace_ends_at"] is not None and row["grace_ends_at"] <= now:
        raise KeyUnknown
    if row["status"] != "active" or row["role"] is None:
        raise KeyUnknown("The API key is disabled.")
    if row["blocked_by"] is not None:
        raise KeyUnknown("The API key is disabled: an auto-block keeps it off.")
    if row["user_status"] != UserStatus.ACTIVE:
        raise KeyUnknown("The API key is disabled: so is the user who made it.")
    if row["project_archived_at"] is not None:
        raise KeyUnknown("The API key is disabled: its project is archived.")
    if row["expires_at"] is not None and row["expires_at"] <= now:
        raise KeyExpired
    if not is_within(origin.source_address, tuple(row["allowed_networks"])):
        raise AddressNotAllowed
    bound = row["project_id"] is not None
    ends = [at.timestamp() for at in (row["expires_at"], row["grace_ends_at"]) if at is not None]
    return Actor(
        kind=ActorKind.API_KEY,
        organization_id=OrganizationId(row["organization_id"]),
        role=Role(row["role"]),
        permissions=effective(tuple(row["scopes"]), Role(row["role"]), bound=bound),
        user_id=UserId(row["user_id"]),
        api_key_id=ApiKeyId(row["id"]),
        project_id=ProjectId(row["project_id"]) if bound else None,
        mode=Mode.SANDBOX if row["project_mode"] == Mode.SANDBOX else Mode(row["mode"]),
        suspended=row["organization_status"] == OrganizationStatus.SUSPENDED,
        platform_admin=row["platform_admin"] and not bound,
        allowed_domains=both_allow(row["allowed_domains"], row["project_domains"] or ()),
        expires_at=min(ends, default=None),
        rate_limit_per_minute=rate_limit(
            row["plan"], row["rate_limit_per_minute"], row["project_rate"]
        ),
        source_address=origin.source_address,
        request_id=origin.request_id,
        user_agent=origin.user_agent,
    )


async def actor_from_token(text: str, origin: Origin, *, slug: str | None = None) -> Actor:
    """Return the person that a token of ours names, with the role they have now.

    With *slug* they act for that organization of theirs instead of the token's own.

    Raises:
        NotFound: the person does not belong to the organization with *slug*.
        TokenInvalid: it is not one of ours.
        TokenExpired: its time is over.
        TokenRevoked: it was signed out, its person's tokens were all ended, or the person
            has left the organization.
        UserDisabled: the person may not sign in.
    """
    return await actor_from_claims(await verified(text), origin, slug=slug)


async def actor_from_claims(claims: Claims, origin: Origin, *, slug: str | None = None) -> Actor:
    """Return the person that a verified token names; `actor_from_token` says what may be wrong."""
    rows = await fetch(
        """
        SELECT u.status, u.token_version, u.platform_admin, u.language, m.role,
               o.id AS organization_id, o.status AS organization_status, o.plan,
               o.requires_second_factor AND u.second_factor_at IS NULL AS must_set_up,
               EXISTS (SELECT FROM token_revocations t WHERE t.jti = {}) AS revoked,
               EXISTS (SELECT FROM signing_keys k WHERE k.id = {}) AS is_signed
        FROM users u
        JOIN memberships m ON m.user_id = u.id
        JOIN organizations o ON o.id = m.organization_id
        WHERE u.id = {} AND CASE WHEN {}::text IS NULL THEN o.id = {} ELSE o.slug = {} END
        """,
        claims.token_id,
        claims.key_id,
        claims.user_id,
        slug,
        claims.organization_id,
        slug,
    )
    if not rows and slug is not None:
        # What is wrong with the session is said before what is wrong with the address.
        own = await actor_from_claims(claims, origin)
        if own.platform_admin and (visitor := await _visitor(own, slug)) is not None:
            return visitor
        raise NotFound("organization")
    if not rows or rows[0]["revoked"]:
        raise TokenRevoked
    row = rows[0]
    if not row["is_signed"]:
        # The key was given up, and this process did not know it yet.
        await reread()
        raise TokenRevoked
    if row["status"] != UserStatus.ACTIVE:
        raise UserDisabled
    if row["token_version"] != claims.token_version:
        raise TokenRevoked
    role = Role(row["role"])
    if not origin.is_repeated:
        seen.note(claims.token_id, origin.source_address)
    return Actor(
        kind=ActorKind.USER,
        organization_id=OrganizationId(row["organization_id"]),
        role=role,
        # Nothing at all, so that what asks for no permission in particular holds none, too.
        permissions=frozenset() if row["must_set_up"] else ROLE_PERMISSIONS[role],
        must_set_up_second_factor=row["must_set_up"],
        user_id=claims.user_id,
        suspended=row["organization_status"] == OrganizationStatus.SUSPENDED,
        platform_admin=row["platform_admin"] and not row["must_set_up"],
        expires_at=float(claims.expires_at),
        token_id=claims.token_id,
        language=row["language"],
        rate_limit_per_minute=rate_limit(row["plan"], None),
        source_address=origin.source_address,
        request_id=origin.request_id,
        user_agent=origin.user_agent,
    )


async def _visitor(own: Actor, slug: str) -> Actor | None:
    """Return *own* as a visitor of the organization with *slug*; None without a visit."""
    rows = await fetch(
        "SELECT v.id, v.reason, v.expires_at, v.organization_id, o.status, o.plan FROM visits v "
        "JOIN organizations o ON o.id = v.organization_id "
        "WHERE v.user_id = {} AND o.slug = {} AND v.expires_at > {}",
        own.user_id,
        slug,
        clock.now(),
    )
    if not rows:
        return None
    row = rows[0]
    return replace(
        own,
        organization_id=OrganizationId(row["organization_id"]),
        role=Role.ADMIN,
        permissions=VISITING,
        suspended=row["status"] == OrganizationStatus.SUSPENDED,
        # What is done here is done as a visitor, and what the platform does is done at home.
        platform_admin=False,
        visit=Visit(row["id"], row["reason"], row["expires_at"]),
        rate_limit_per_minute=rate_limit(row["plan"], None),
    )


def principal(actor: Actor) -> tuple[ActorKind, uuid.UUID | None]:
    """Return what two credentials must share to be one and the same."""
    if actor.kind is ActorKind.API_KEY:
        return actor.kind, actor.api_key_id
    return actor.kind, actor.user_id
