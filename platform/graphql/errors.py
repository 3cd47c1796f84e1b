"""What a client is told: a refusal with its code, or INTERNAL with nothing said."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from ..core.errors import Detail, ErrorCode, OperationError, Unavailable
from ..core.reaching import is_unreachable

log = logging.getLogger(__name__)

Path = tuple[str | int, ...]
INTERNAL_MESSAGE = "Something went wrong on our side. The request id helps us to find it."


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error of an answer, for whatever edge has to put it into words."""

    code: ErrorCode
    message: str
    path: Path = ()
    """Where in the answer it happened; empty when nothing ran."""
    details: tuple[Detail, ...] = ()
    retry_after_seconds: int | None = None
    locations: tuple[tuple[int, int], ...] = ()
    """Line and column in the document."""
    replayed: bool = False
    """It is what an earlier request with the same idempotency key was told."""

    def formatted(self, request_id: str) -> dict[str, Any]:
        """Return it as an entry of `errors` in a GraphQL answer."""
        extensions: dict[str, Any] = {"code": self.code.value, "requestId": request_id}
        if self.details:
            extensions["field"] = self.details[0].field
            extensions["details"] = [
                {"field": d.field, "code": d.code.value, "message": d.message} for d in self.details
            ]
        if self.retry_after_seconds is not None:
            extensions["retryAfterSeconds"] = self.retry_after_seconds
        answer: dict[str, Any] = {"message": self.message}
        if self.locations:
            answer["locations"] = [{"line": line, "column": col} for line, col in self.locations]
        if self.path:
            answer["path"] = list(self.path)
        answer["extensions"] = extensions
        return answer


def refuse(error: OperationError, *, path: Path = ()) -> Refusal:
    """Return the refusal that an operation raised."""
    return Refusal(
        code=error.error_code,
        message=error.sentence,
        path=path,
        details=error.details,
        retry_after_seconds=error.retry_after_seconds,
        replayed=error.replayed,
    )


def refusals(errors: Sequence[GraphQLError] | None, *, request_id: str) -> list[Refusal]:
    """Return what the client is told about errors of execution; bugs are logged here."""
    told = [_refusal(error, request_id=request_id) for error in errors or ()]
    for error in errors or ():
        _forget_frames(error)
    return told


def _forget_frames(error: GraphQLError) -> None:
    """Let *error* hold no frames: one is the executor's, which holds the error and the document."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = None
        waiting += each.__cause__, each.__context__
        if isinstance(each, GraphQLError):
            waiting.append(each.original_error)


def _refusal(error: GraphQLError, *, request_id: str) -> Refusal:
    path = tuple(error.path or ())
    cause = root_cause(error)
    if isinstance(cause, OperationError):
        return refuse(cause, path=path)
    if cause is not None and is_unreachable(cause):
        log.error("a part is not reachable: %r", cause, extra={"request_id": request_id})
        return refuse(Unavailable(retry_after_seconds=5), path=path)
    if cause is None:
        return Refusal(ErrorCode.DOCUMENT_INVALID, error.message, path, locations=places(error))
    return refuse_bug(cause, request_id=request_id, path=path)


def refuse_bug(error: Exception, *, request_id: str, path: Path = ()) -> Refusal:
    """Log what nobody foresaw and return what the client is told of it: nothing."""
    log.error("a resolver failed", exc_info=error, extra={"request_id": request_id})
    return Refusal(ErrorCode.INTERNAL, INTERNAL_MESSAGE, path)


def root_cause(error: GraphQLError) -> Exception | None:
    """Return the exception beneath GraphQL's own wrappings, or None if GraphQL itself refused."""
    cause: Exception | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def places(error: GraphQLError) -> tuple[tuple[int, int], ...]:
    """Return the lines and columns that a GraphQL error points at."""
    return tuple((place.line, place.column) for place in error.locations or ())
