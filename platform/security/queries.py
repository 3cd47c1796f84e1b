"""Reading API keys and sessions."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from piccolo.columns.combination import WhereRaw
from piccolo.query import Objects, Select

from ..accounts.queries import (
    NEVER,
    belongs_where_it_is_required,
    get_person,
    list_belongings,
)
from ..core import clock
from ..core.actor import Actor, ActorKind, ApiKeyId, Mode, Permission, Role, UserId
from ..core.database import fetch
from ..core.errors import NotFound, NotPermitted
from ..core.paging import Order, Page, PageRequest, by_id, fetch_page
from ..core.tenants import across_organizations
from .rules import KeyStatus
from .second_factor import count_recovery_codes, has_authenticator
from .tables import ApiKey, Passkey, ProviderIdentity, SignInSession

Keys = TypeVar("Keys", "Objects[ApiKey]", "Select[ApiKey]")

_MAKER_IS_GONE = (
    "NOT EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id "
    "WHERE m.id = api_keys.membership_id AND u.status = 'active')"
)
_IN_GRACE = (
    "EXISTS (SELECT FROM api_key_secrets s WHERE s.api_key_id = api_keys.id AND s.expires_at > {})"
)


class KeyOrder(StrEnum):
    """What API keys are ordered by."""

    CREATED_AT = "created_at"
    NAME = "name"
    LAST_USED_AT = "last_used_at"


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which API keys are asked for; None is any."""

    status: KeyStatus | None = None
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class PreviousSecret:
    """A secret that a rotation replaced and that is still good for a while."""

    prefix: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class KeyView:
    """An API key as it may be shown: never with a secret."""

    row: ApiKey
    status: KeyStatus
    prefix: str
    previous: PreviousSecret | None


async def get_api_key(actor: Actor, key_id: ApiKeyId) -> KeyView:
    """Return one API key.

    Raises:
        NotFound: there is none, or the actor may not see it.
    """
    found = await find_api_keys(actor, [key_id])
    if key_id not in found:
        raise NotFound
    return found[key_id]


async def find_api_keys(actor: Actor, key_ids: Sequence[ApiKeyId]) -> Mapping[ApiKeyId, KeyView]:
    """Return those of *key_ids* that the actor may see; every key may see itself."""
    if set(key_ids) != {actor.api_key_id} and not actor.may(Permission.WRITE_API_KEYS):
        actor.require(Permission.READ_API_KEYS)
    query = visible(actor, ApiKey.objects()).where(ApiKey.id.is_in(list(key_ids)))
    return {ApiKeyId(view.row.id): view for view in await _views(await query)}


async def list_api_keys(
    actor: Actor,
    request: PageRequest,
    *,
    where: KeyFilter,
    order: KeyOrder = KeyOrder.CREATED_AT,
    descending: bool = True,
) -> Page[KeyView]:
    """Return a page of the API keys that the actor may see."""
    actor.require(Permission.READ_API_KEYS)
    page = await fetch_page(
        _filtered(visible(actor, ApiKey.objects()), where),
        request,
        _order(order, descending=descending),
        scope=f"{where.status}/{where.mode}",
    )
    return Page(
        items=await _views(page.items),
        cursors=page.cursors,
        has_next=page.has_next,
        has_previous=page.has_previous,
    )


async def count_api_keys(actor: Actor, *, where: KeyFilter) -> int:
    """Return how many API keys fit that the actor may see."""
    actor.require(Permission.READ_API_KEYS)
    rows = await _filtered(visible(actor, ApiKey.select(ApiKey.id)), where)
    return len(rows)


async def count_by_maker(actor: Actor, user_ids: Sequence[UserId]) -> Mapping[UserId, int]:
    """Return how many API keys of the organization each of *user_ids* has made."""
    actor.require(Permission.READ_USERS)
    rows = await fetch(
        "SELECT created_by, count(*) AS keys FROM api_keys WHERE organization_id = {} "
        "AND created_by = ANY({}::uuid[]) GROUP BY created_by",
        actor.organization_id,
        list(user_ids),
    )
    counted = {UserId(row["created_by"]): int(row["keys"]) for row in rows}
    return {user_id: counted.get(user_id, 0) for user_id in user_ids}


async def count_requests(actor: Actor, key_ids: Sequence[ApiKeyId]) -> Mapping[ApiKeyId, int]:
    """Return the requests of each key in the last 24 hours, in whole hours; a minute late."""
    rows = await fetch(
        "SELECT u.api_key_id, sum(u.requests)::bigint AS requests FROM api_key_uses u "
        "JOIN api_keys k ON k.id = u.api_key_id WHERE k.organization_id = {} "
        "AND u.api_key_id = ANY({}::uuid[]) AND u.hour > {} GROUP BY u.api_key_id",
        actor.organization_id,
        list(key_ids),
        clock.now() - timedelta(hours=24),
    )
    counted = {ApiKeyId(row["api_key_id"]): int(row["requests"]) for row in rows}
    return {key_id: counted.get(key_id, 0) for key_id in key_ids}


def sees_all(actor: Actor) -> bool:
    """Say whether the actor handles every API key of the organization, not only their own."""
    return actor.role in (Role.ADMIN, Role.OWNER)


def visible(actor: Actor, query: Keys) -> Keys:
    """Return *query* for the keys that the actor may handle.

    Source: postmta-api section 5.5: a developer handles their own keys only.
    """
    query = query.where(ApiKey.organization_id == actor.organization_id)
    if not sees_all(actor):
        query = query.where(ApiKey.created_by == actor.user_id)
    if actor.project_id is not None:
        query = query.where(ApiKey.project_id == actor.project_id)
    return query


def _filtered(query: Keys, where: KeyFilter) -> Keys:
    now = clock.now()
    if where.mode is not None:
        query = query.where(ApiKey.mode == where.mode.value)
    if where.status is None:
        return query
    disabled = f"(status = 'disabled' OR blocked_by IS NOT NULL OR {_MAKER_IS_GONE})"
    if where.status is KeyStatus.DISABLED:
        return query.where(WhereRaw(disabled))
    query = query.where(WhereRaw(f"NOT {disabled}"))
    if where.status is KeyStatus.EXPIRED:
        return query.where(WhereRaw("expires_at <= {}", now))
    query = query.where(WhereRaw("(expires_at IS NULL OR expires_at > {})", now))
    if where.status is KeyStatus.ROTATING:
        return query.where(WhereRaw(_IN_GRACE, now))
    return query.where(WhereRaw(f"NOT {_IN_GRACE}", now))


def _order(order: KeyOrder, *, descending: bool) -> Order:
    if order is KeyOrder.NAME:
        return Order("name", "name", lambda row: row.name, descending)
    if order is KeyOrder.LAST_USED_AT:
        return Order(
            "last_used_at",
            "coalesce(last_used_at, 'epoch'::timestamptz)",
            lambda row: row.last_used_at or NEVER,
            descending,
        )
    return by_id(descending=descending)


async def _views(rows: Sequence[ApiKey]) -> list[KeyView]:
    now = clock.now()
    ids = [row.id for row in rows]
    secrets = await fetch(
        "SELECT api_key_id, prefix, expires_at FROM api_key_secrets "
        "WHERE api_key_id = ANY({}::uuid[]) AND (expires_at IS NULL OR expires_at > {})",
        ids,
        now,
    )
    good = await fetch(
        "SELECT k.id FROM api_keys k JOIN memberships m ON m.id = k.membership_id "
        "JOIN users u ON u.id = m.user_id WHERE k.id = ANY({}::uuid[]) AND u.status = 'active'",
        ids,
    )
    with_maker = {row["id"] for row in good}
    prefixes: dict[uuid.UUID, str] = {}
    previous: dict[uuid.UUID, PreviousSecret] = {}
    for secret in secrets:
        if secret["expires_at"] is None:
            prefixes[secret["api_key_id"]] = secret["prefix"]
        else:
            previous[secret["api_key_id"]] = PreviousSecret(secret["prefix"], secret["expires_at"])
    return [
        KeyView(
            row=row,
            status=_status(row, now, made=row.id in with_maker, rotating=row.id in previous),
            prefix=prefixes.get(row.id, ""),
            previous=previous.get(row.id),
        )
        for row in rows
    ]


def _status(row: ApiKey, now: datetime, *, made: bool, rotating: bool) -> KeyStatus:
    if row.status != KeyStatus.ACTIVE or row.blocked_by is not None or not made:
        return KeyStatus.DISABLED
    if row.expires_at is not None and row.expires_at <= now:
        return KeyStatus.EXPIRED
    return KeyStatus.ROTATING if rotating else KeyStatus.ACTIVE


@across_organizations
async def list_sessions(actor: Actor, request: PageRequest) -> Page[SignInSession]:
    """Return a page of the signed-in person's sessions that are good now, the newest first."""
    return await fetch_page(_own_sessions(actor), request, by_id())


@across_organizations
async def find_sessions(actor: Actor, ids: Sequence[uuid.UUID]) -> Sequence[SignInSession]:
    """Return those of *ids* that are the signed-in person's and good now."""
    return await _own_sessions(actor).where(SignInSession.id.is_in(list(ids)))


def _own_sessions(actor: Actor) -> "Objects[SignInSession]":
    if actor.kind is not ActorKind.USER or actor.user_id is None:
        raise NotPermitted("This is for a person who is signed in, not for an API key.")
    return (
        SignInSession.objects()
        .where(SignInSession.user_id == actor.user_id)
        .where(SignInSession.expires_at > clock.now())
        .where(
            WhereRaw("token_version = (SELECT u.token_version FROM users u WHERE u.id = user_id)")
        )
        .where(WhereRaw("NOT EXISTS (SELECT FROM token_revocations t WHERE t.jti = sessions.id)"))
    )


async def organization_names(
    actor: Actor, organization_ids: Sequence[uuid.UUID]
) -> Mapping[uuid.UUID, str]:
    """Return the names of those of *organization_ids* that the actor's person belongs to."""
    return {
        each.organization_id: each.name
        for each in await list_belongings(actor)
        if each.organization_id in organization_ids
    }


@dataclass(frozen=True, slots=True)
class OwnSecondFactor:
    """What a person is told of their second factor."""

    is_set_up: bool
    has_authenticator: bool
    is_required: bool
    recovery_codes: int


async def get_own_second_factor(actor: Actor) -> OwnSecondFactor:
    """Return how the signed-in person stands to a second factor."""
    if actor.kind is not ActorKind.USER or actor.user_id is None:
        raise NotPermitted("This is for a person who is signed in, not for an API key.")
    person = await get_person(actor.user_id)
    return OwnSecondFactor(
        is_set_up=person.has_second_factor,
        has_authenticator=await has_authenticator(actor.user_id),
        is_required=await belongs_where_it_is_required(actor.user_id),
        recovery_codes=await count_recovery_codes(actor.user_id),
    )


async def list_passkeys(actor: Actor) -> Sequence[Passkey]:
    """Return the signed-in person's passkeys, at most 20, the oldest first.

    Raises:
        NotPermitted: an API key has none.
    """
    return await _own_passkeys(actor).order_by(Passkey.id)


async def find_passkeys(actor: Actor, ids: Collection[uuid.UUID]) -> Sequence[Passkey]:
    """Return those of the passkeys that are the signed-in person's."""
    if actor.kind is not ActorKind.USER:
        return []
    return await _own_passkeys(actor).where(Passkey.id.is_in(list(ids)))


def _own_passkeys(actor: Actor) -> "Objects[Passkey]":
    if actor.kind is not ActorKind.USER or actor.user_id is None:
        raise NotPermitted("This is for a person who is signed in, not for an API key.")
    return Passkey.objects().where(Passkey.user_id == actor.user_id)


async def list_provider_identities(actor: Actor) -> Sequence[ProviderIdentity]:
    """Return what signs the person in by a provider, the oldest first.

    Raises:
        NotPermitted: an API key has none.
    """
    return await _own_identities(actor).order_by(ProviderIdentity.id)


async def find_provider_identities(
    actor: Actor, ids: Collection[uuid.UUID]
) -> Sequence[ProviderIdentity]:
    """Return those of the identities that are the signed-in person's."""
    if actor.kind is not ActorKind.USER:
        return []
    return await _own_identities(actor).where(ProviderIdentity.id.is_in(list(ids)))


def _own_identities(actor: Actor) -> "Objects[ProviderIdentity]":
    if actor.kind is not ActorKind.USER or actor.user_id is None:
        raise NotPermitted("This is for a person who is signed in, not for an API key.")
    return ProviderIdentity.objects().where(ProviderIdentity.user_id == actor.user_id)


async def names_of_api_keys(actor: Actor, ids: Sequence[str]) -> dict[str, str]:
    """Return the names of the organization's API keys among *ids*, deleted ones included.

    It asks for no permission: it is a part of what analytics tell of keys.
    """
    rows = await fetch(
        "SELECT id, name FROM api_keys WHERE organization_id = {} AND id = ANY({}::uuid[])",
        actor.organization_id,
        list(ids),
    )
    return {str(row["id"]): row["name"] for row in rows}
