"""From the headers of a request to whoever sends it.

    Authorization: Bearer pmta_...     an API key
    Authorization: Bearer <anything>   a token, or an API key in a foreign form
    X-API-Key: ...                     an API key

A dialect may have a place of its own for a key, and then looks nowhere else.

Credentials are read from headers only, never from a query string: addresses are logged.
"""

import asyncio
import logging

from litestar.types import HTTPScope

from ..core.actor import Actor, ActorKind, Mode, Origin, Permission, ProjectId, Role
from ..core.errors import ErrorCode, LimitReached, NotAuthenticated, Unavailable
from ..core.reaching import UNREACHABLE
from ..core.wording import counted
from ..exports.pages import Asking, PageRefused
from ..rest_compat.gate import ADMISSION_SECONDS
from ..security import limits
from ..security.credentials import actor_from_api_key, actor_from_token, principal
from ..security.errors import KeyUnknown, TokenInvalid
from ..security.later import Asked, actor_of
from ..security.rules import is_key_form
from ..webhooks.documents import Shaping

log = logging.getLogger(__name__)

LONGEST_HEADER = 4_096
"""Bytes of a credential header; a token has about 500."""


class AmbiguousCredentials(NotAuthenticated):
    """Two credentials came with one request, and they do not name one principal."""

    code = ErrorCode.AMBIGUOUS_CREDENTIALS
    message = "Send one credential: Authorization or X-API-Key, not two different ones."


async def authenticate(scope: HTTPScope) -> Actor | None:
    """Return who sent the request, or None if it names nobody.

    Raises:
        NotAuthenticated: a credential is malformed, unknown or over, or there are two.
        NotPermitted: the person is disabled, or the key may not be used from there.
    """
    actor = await _authenticated(scope)
    _remember(scope, actor)
    return actor


async def _authenticated(scope: HTTPScope) -> Actor | None:
    origin = origin_of(scope)
    bearer = _bearer(_values(scope, b"authorization"))
    keys = _values(scope, b"x-api-key")
    if len(keys) > 1 and len(set(keys)) > 1:
        raise AmbiguousCredentials
    by_bearer = None if bearer is None else await actor_from_bearer(bearer, origin)
    if not keys:
        return by_bearer
    if bearer == keys[0]:
        return by_bearer
    by_key = await actor_from_api_key(keys[0], origin)
    if by_bearer is not None and principal(by_bearer) != principal(by_key):
        raise AmbiguousCredentials
    return by_key


async def authenticate_key(scope: HTTPScope, key: str) -> Actor:
    """Return whose API key it is that a request carries in a place of its own.

    Raises:
        NotAuthenticated: it is malformed, unknown or over.
        NotPermitted: it may not be used from there.
    """
    actor = await actor_from_api_key(key, origin_of(scope))
    _remember(scope, actor)
    return actor


def _remember(scope: HTTPScope, actor: Actor | None) -> None:
    """Let the log of requests know whose key it was."""
    if actor is not None and actor.kind is ActorKind.API_KEY:
        scope["state"]["caller"] = actor


async def actor_from_bearer(text: str, origin: Origin) -> Actor:
    """Return whom a bearer value names: an API key in any of its forms, or a token.

    Raises:
        NotAuthenticated: it is malformed, unknown or over.
        NotPermitted: the person is disabled, or the key may not be used from there.
    """
    # A token has two dots, which no form of a key has.
    if text.startswith("pmta_") or is_key_form(text):
        return await actor_from_api_key(text, origin)
    return await actor_from_token(text, origin)


async def enter(scope: HTTPScope, token: str, *, slug: str | None) -> Actor:
    """Return who holds a session of the dashboard, acting for the organization with *slug*.

    Raises:
        NotAuthenticated: the session is over.
        NotPermitted: the person is disabled.
        NotFound: they do not belong to that organization.
        LimitReached: the session asks too often.
        Unavailable: nothing can be looked up now.
    """
    try:
        async with asyncio.timeout(ADMISSION_SECONDS):
            origin = origin_of(scope)
            actor = await actor_from_token(token, origin, slug=slug)
            # Who is only looked at again, while a page is followed, has not asked again.
            rate = None if origin.is_repeated else await limits.take(actor)
    except UNREACHABLE as error:
        log.error("a session could not be looked up: %r", error)
        raise Unavailable from error
    _require_left(rate)
    return actor


async def admit_stranger(scope: HTTPScope, *, per_minute: int) -> None:
    """Count a request of nobody in particular, which a page is to be made for.

    Raises:
        LimitReached: its network asks too often.
        Unavailable: nothing can be counted now.
    """
    try:
        async with asyncio.timeout(ADMISSION_SECONDS):
            rate = await limits.take_stranger(
                scope["state"]["client_address"], per_minute=per_minute
            )
    except UNREACHABLE as error:
        log.error("a stranger could not be counted: %r", error)
        raise Unavailable from error
    _require_left(rate)


def _require_left(rate: limits.RateState | None) -> None:
    if rate is not None and (wait := rate.retry_after_seconds) is not None:
        raise LimitReached(
            f"Too many requests; come back in {counted(wait, 'second')}.",
            code=ErrorCode.RATE_LIMITED,
            retry_after_seconds=wait,
        )


def actor_for_webhook(shaping: Shaping) -> Actor:
    """Return who a document of a webhook runs as: its organization, with the right to read what
    whoever stored it might."""
    project = shaping.project_id
    return Actor(
        kind=ActorKind.PLATFORM,
        organization_id=shaping.organization_id,
        role=Role.VIEWER,
        permissions=frozenset(Permission(each) for each in shaping.permissions),
        project_id=None if project is None else ProjectId(project),
        request_id=f"webhook-{shaping.event.id}",
    )


async def actor_for_export(asking: Asking) -> Actor:
    """Return who the pages of an export are read as: whoever asked for it, as they are by now.

    Raises:
        PageRefused: they are nobody any more.
    """
    actor = await actor_of(
        Asked(
            organization_id=asking.organization_id,
            project_id=asking.project_id,
            user_id=asking.user_id,
            api_key_id=asking.api_key_id,
            permissions=asking.permissions,
            # Nothing is sent.
            mode=Mode.LIVE,
            request_id=f"export-{asking.export_id}",
        )
    )
    if actor is None:
        raise PageRefused("Whoever asked for it may not read that any more.")
    return actor


def origin_of(scope: HTTPScope) -> Origin:
    """Return where the request came from, as the edge of the application found it."""
    state = scope["state"]
    agent = next((v for k, v in scope["headers"] if k.lower() == b"user-agent"), b"")
    return Origin(
        state["client_address"],
        state["request_id"],
        agent.decode("latin-1"),
        is_repeated=state.get("is_repeated", False),
    )


def _values(scope: HTTPScope, name: bytes) -> list[str]:
    """Return the values of one header; a text that no credential can be refuses the request."""
    found = []
    for key, value in scope["headers"]:
        if key.lower() == name:
            if len(value) > LONGEST_HEADER or not value.isascii():
                raise KeyUnknown if name == b"x-api-key" else TokenInvalid
            found.append(value.decode("ascii").strip())
    return found


def _bearer(values: list[str]) -> str | None:
    """Return the bearer value, or None if there is no Authorization header.

    Source: RFC 6750 section 2.1; the scheme's case does not matter (RFC 9110 section 11.1).
    """
    if not values:
        return None
    if len(set(values)) > 1:
        raise AmbiguousCredentials
    scheme, _, text = values[0].partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise TokenInvalid("Authorization must be 'Bearer' and a token or an API key.")
    return text.strip()
