"""Reading the log of requests."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from piccolo.columns.combination import WhereRaw
from piccolo.query import Objects

from ..core.actor import Actor, ApiKeyId, Permission
from ..core.paging import Page, PageRequest, by_id, fetch_page
from ..security.queries import sees_all
from .rules import Api, Outcome
from .tables import ApiRequest


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests; None is any."""

    api_key_id: ApiKeyId | None = None
    api: Api | None = None
    outcome: Outcome | None = None


async def list_requests(
    actor: Actor, page: PageRequest, *, where: RequestFilter
) -> Page[ApiRequest]:
    """Return a page of the requests of those keys that the actor may see, the newest first."""
    query = _visible(actor)
    if where.api_key_id is not None:
        query = query.where(ApiRequest.api_key_id == where.api_key_id)
    if where.api is not None:
        query = query.where(ApiRequest.api == where.api.value)
    if where.outcome is not None:
        # A constant, so that any plan can use the index of those that did not succeed.
        query = query.where(WhereRaw(f"outcome = '{where.outcome.value}'"))
    scope = f"requests/{where.api_key_id}/{where.api}/{where.outcome}"
    order = by_id().owned_by(actor.organization_id)
    return await fetch_page(query, page, order, scope=scope)


async def find_requests(actor: Actor, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, ApiRequest]:
    """Return those of the requests that the actor may see."""
    query = _visible(actor).where(ApiRequest.organization_id == actor.organization_id)
    return {row.id: row for row in await query.where(ApiRequest.id.is_in(list(ids)))}


def _visible(actor: Actor) -> "Objects[ApiRequest]":
    """Return the query of the requests of the actor's own keys, or of every one for an admin.

    Of which organization, `find_requests` and the order of `list_requests` say.
    """
    actor.require(Permission.READ_API_KEYS)
    query = ApiRequest.objects()
    if not sees_all(actor):
        query = query.where(ApiRequest.user_id == actor.user_id)
    if actor.project_id is not None:
        query = query.where(ApiRequest.project_id == actor.project_id)
    return query
