"""From a request to the body of its answer, the same over every transport."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from litestar.types import HTTPScope

from ..core.actor import Actor
from ..core.errors import LimitReached, Unavailable
from ..core.reaching import is_unreachable
from ..core.wording import noun_for
from . import limits
from .documents import Documents, Operation, Prepared
from .execute import Result
from .request import GraphQLRequest
from .scalars import write_time

log = logging.getLogger(__name__)

T = TypeVar("T")

Authenticate: TypeAlias = Callable[[HTTPScope], Awaitable[Actor | None]]
"""Returns who sent the request, None for nobody, or raises what is wrong with the credential."""


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


Meter: TypeAlias = Callable[[Actor], Awaitable[Rate | None]]
"""Counts one request of an actor; None is for those without a limit."""
StrangersMeter: TypeAlias = Callable[[str | None], Awaitable[Rate | None]]
"""Counts one request without a credential from a network address; None as above."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One operation that a request may have run, and what that costs."""

    document: Prepared
    operation: Operation
    cost: int
    """Of a subscription, for each event."""


def wanted(documents: Documents, request: GraphQLRequest) -> Wanted:
    """Return what *request* wants to have run.

    Raises:
        DocumentRefused: it is no document, or does not fit the schema.
        OperationError: it is beyond a limit, or cannot be stored.
    """
    prepared = documents.prepared(request.query, request.sha256)
    operation = prepared.operation(request.operation_name)
    cost = operation.price.of(request.variables)
    if operation.is_subscription:
        limits.check_limit("points of cost for an event", found=cost, most=limits.EVENT_COST)
    else:
        limits.check_limit("points of cost", found=cost, most=limits.COST)
    return Wanted(prepared, operation, cost)


async def counted(meter: Meter | None, actor: Actor | None) -> Rate | None:
    """Count one request of *actor* and return what is left; None if that has no limit.

    Raises:
        Unavailable: the database cannot be asked.
    """
    if meter is None or actor is None:
        return None
    return await asked(meter(actor))


async def counted_stranger(meter: StrangersMeter | None, address: str | None) -> Rate | None:
    """Count one request of nobody in particular; see `counted`."""
    return None if meter is None else await asked(meter(address))


def check_rate(rate: Rate | None, *, of: str = "This credential") -> None:
    """Do nothing unless the request was one too many.

    Raises:
        LimitReached: it was.
    """
    if rate is not None and rate.retry_after_seconds is not None:
        raise LimitReached(
            f"{of} may make {rate.limit} {noun_for(rate.limit, 'request')} a minute.",
            retry_after_seconds=rate.retry_after_seconds,
        )


async def asked(question: Awaitable[T]) -> T:
    """Return what the database says about a credential.

    Raises:
        Unavailable: it cannot be asked.
    """
    try:
        async with asyncio.timeout(limits.ADMISSION_SECONDS):
            return await question
    except Exception as error:
        if not is_unreachable(error):
            raise
        log.error("a credential could not be looked up: %r", error)
        raise Unavailable(retry_after_seconds=5) from error


def body_of(result: Result, *, cost: int, rate: Rate | None, request_id: str) -> dict[str, Any]:
    """Return the body of an answer to something that ran."""
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [refusal.formatted(request_id) for refusal in result.errors]
    body["extensions"] = extensions(cost, rate, request_id)
    return body


def extensions(cost: int, rate: Rate | None, request_id: str) -> dict[str, Any]:
    """Return what every answer says beside its data; what did not run has cost nothing."""
    return {"requestId": request_id, "cost": {"requested": cost, "throttle": _throttle(rate)}}


def _throttle(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    reset_at = write_time(datetime.fromtimestamp(rate.reset_at, UTC))
    return {"limit": rate.limit, "remaining": rate.remaining, "resetAt": reset_at}
