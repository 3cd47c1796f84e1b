"""Who is let through: how often a credential may ask, and what a key was answered before."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from litestar.types import HTTPScope

from ..core.actor import Actor, OrganizationId, known
from ..core.errors import ErrorCode, InvalidInput, OperationError, Unavailable
from ..core.reaching import UNREACHABLE
from ..core.wording import counted
from ..graphql.context import Context
from ..graphql.execute import Document
from .bodies import Request
from .route import Refused

log = logging.getLogger(__name__)

ADMISSION_SECONDS = 10.0
"""For finding out who asks; longer means that the database has no time for us."""


class Rate(Protocol):
    """How much of a credential's rate limit is left after a request."""

    @property
    def limit(self) -> int:
        """Requests per minute."""

    @property
    def remaining(self) -> int:
        """Requests that may follow at once."""

    @property
    def reset_at(self) -> int:
        """Unix seconds at which nothing is used."""

    @property
    def retry_after_seconds(self) -> int | None:
        """How long to wait, if this request is one too many."""


Authenticate: TypeAlias = Callable[[HTTPScope], Awaitable[Actor | None]]
"""Returns who sent a request, None for nobody, or raises what is wrong with the credential."""

AuthenticateKey: TypeAlias = Callable[[HTTPScope, str], Awaitable[Actor]]
"""Returns whose API key it is that a request carries, or raises what is wrong with it."""

Meter: TypeAlias = Callable[[Actor], Awaitable[Rate | None]]
"""Counts one request of an actor; None is for those without a limit."""

LookAtWindow: TypeAlias = Callable[[str, str | None], Awaitable[Rate | None]]
"""Returns what a limit per network address leaves to an address, and counts nothing."""

RefuseOnce: TypeAlias = Callable[
    [OrganizationId, str, str, bytes, OperationError], Awaitable[OperationError]
]
"""Spends an operation's idempotency key on a refusal, and returns what its first request got."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What `server` hands in: who asks, whether not too often, and whether for the first time."""

    authenticate: Authenticate
    meter: Meter
    look_at_window: LookAtWindow
    refuse_once: RefuseOnce
    authenticate_key: AuthenticateKey


async def admit(gate: Gate, request: Request, *, key: str | None = None) -> Actor:
    """Return who sent *request*, once it has been counted and is not one too many.

    *key* is an API key that the request carries in a place of its dialect's own.

    Raises:
        Refused: it is.
        NotAuthenticated: nobody is named, or somebody unknown.
        NotPermitted: the person is disabled, or the key may not be used from there.
        Unavailable: the credential cannot be looked up now.
    """
    try:
        async with asyncio.timeout(ADMISSION_SECONDS):
            if key is None:
                actor = known(await gate.authenticate(request.scope))
            else:
                actor = await gate.authenticate_key(request.scope, key)
            rate = await gate.meter(actor)
    except UNREACHABLE as error:
        log.error("a credential could not be looked up: %r", error)
        raise Unavailable from error
    if rate is not None:
        request.answer_headers += _rate_headers(rate)
        if (wait := rate.retry_after_seconds) is not None:
            raise Refused(
                ErrorCode.RATE_LIMITED,
                f"Too many requests; come back in {counted(wait, 'second')}.",
                retry_after_seconds=wait,
            )
    return actor


def _rate_headers(rate: Rate) -> list[tuple[str, str]]:
    return [
        ("x-ratelimit-limit", str(rate.limit)),
        ("x-ratelimit-remaining", str(rate.remaining)),
        ("x-ratelimit-reset", str(rate.reset_at)),
    ]


async def tell_window(gate: Gate, request: Request, name: str | None) -> None:
    """Put what the limit *name* per address leaves into the answer; None is no such limit."""
    if name is None:
        return
    try:
        rate = await gate.look_at_window(name, request.address)
    except UNREACHABLE as error:
        log.warning("a limit could not be looked up: %r", error)
        return
    if rate is not None:
        request.answer_headers += _rate_headers(rate)


async def refuse_once(
    gate: Gate,
    request: Request,
    context: Context,
    refused: Refused,
    *,
    reached: Document,
    body: bytes,
) -> Refused:
    """Return what a request that could not be read is told: under a key, what it was told first.

    The key is that of the operation which the request would have *reached*, so that it is
    spent for every other request. What is no JSON at all is not kept.

    Raises:
        Conflict: the key came with another request, or one with it still runs.
        Unavailable: nothing can be kept now.
    """
    key, actor = context.idempotency_key, context.actor
    is_completed = refused.code in (ErrorCode.INVALID_INPUT, ErrorCode.BATCH_REJECTED)
    if key is None or actor is None or not is_completed:
        return refused
    refusal = InvalidInput(
        refused.message, code=ErrorCode(refused.code.value), details=refused.details
    )
    fingerprint = hashlib.sha256(f"{request.method} {request.path}\n".encode() + body).digest()
    operation = reached.field
    try:
        first = await gate.refuse_once(actor.organization_id, operation, key, fingerprint, refusal)
    except UNREACHABLE as error:
        log.error("a refusal could not be kept: %r", error)
        raise Unavailable from error
    if first.replayed:
        request.answer_headers.append(("idempotent-replayed", "true"))
    return Refused(first.error_code, first.sentence, details=first.details)


def as_refused(error: Refused | OperationError) -> Refused:
    """Return a refusal of an operation as one of the edge."""
    if isinstance(error, Refused):
        return error
    return Refused(
        error.error_code,
        error.sentence,
        details=error.details,
        retry_after_seconds=error.retry_after_seconds,
        in_our_words=True,
    )
