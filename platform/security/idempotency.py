"""Answers that are kept for a day, so that a repeated request has no second effect.

An operation claims the request's key inside its own transaction, does its work and stores
the answer there; a repeat finds it. A crash before the commit leaves no trace, so the
client may simply ask again.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..core import clock, errors
from ..core.actor import OrganizationId
from ..core.database import Tx, fetch, transaction
from ..core.errors import (
    Conflict,
    Detail,
    DetailCode,
    ErrorCode,
    InvalidInput,
    OperationError,
)
from ..core.ids import new_id
from ..core.storable import to_json

KEPT = timedelta(hours=24)
_KEY = re.compile(r"[\x20-\x7e]{1,255}", re.ASCII)
_RESULT, _REFUSAL, _OPEN = 0, 1, 2


class KeyReused(Conflict):
    """The idempotency key came with another request before."""

    code = ErrorCode.IDEMPOTENCY_KEY_REUSE
    message = "This idempotency key was used for a different request within the last 24 hours."


class StillRunning(Conflict):
    """The first request with this key has not ended."""

    code = ErrorCode.IDEMPOTENCY_IN_PROGRESS
    message = "A request with this idempotency key is still being processed."


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the first request with a key was answered."""

    answer: dict[str, Any]
    refusal: OperationError | None = None

    def result(self) -> dict[str, Any]:
        """Return the answer as it was stored, or raise the refusal again."""
        if self.refusal is not None:
            raise self.refusal
        return self.answer


def fingerprint(value: object) -> bytes:
    """Return the SHA-256 of *value* as canonical JSON; equal inputs have equal fingerprints."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def checked_key(key: str) -> str:
    """Return *key* if it can be one.

    Raises:
        InvalidInput: not 1 to 255 printable ASCII characters.
    """
    if not _KEY.fullmatch(key):
        raise InvalidInput.of(
            "idempotencyKey",
            DetailCode.INVALID_FORMAT,
            "An idempotency key is 1 to 255 printable ASCII characters.",
        )
    return key


async def claim(
    tx: Tx, organization_id: OrganizationId, operation: str, key: str, fingerprint: bytes
) -> StoredAnswer | None:
    """Reserve *key* for this transaction, or return what its first request was answered.

    Raises:
        KeyReused: the key came with another input.
        StillRunning: another transaction holds the key now.
        InvalidInput: it cannot be a key.
    """
    now = clock.now()
    # The advisory lock is what a second request meets while the first one runs; without it
    # that request would wait for the row, and hold a connection meanwhile.
    rows = await fetch(
        """
        WITH free AS (
            SELECT pg_try_advisory_xact_lock(hashtextextended({}, 7021)) AS got
        ), made AS (
            INSERT INTO idempotency_records
                (id, organization_id, operation, key, fingerprint, kind, answer, created_at)
            SELECT {}, {}, {}, {}, {}, {}, 'null', {} FROM free WHERE got
            ON CONFLICT (organization_id, operation, key) DO UPDATE
                SET fingerprint = excluded.fingerprint, kind = excluded.kind,
                    answer = excluded.answer, created_at = excluded.created_at
                WHERE idempotency_records.created_at < {}
            RETURNING id
        )
        SELECT got, EXISTS (SELECT FROM made) AS made FROM free
        """,
        f"{organization_id}/{operation}/{checked_key(key)}",
        new_id(),
        organization_id,
        operation,
        key,
        fingerprint,
        _OPEN,
        now,
        now - KEPT,
    )
    if not rows[0]["got"]:
        raise StillRunning
    if rows[0]["made"]:
        return None
    return await _stored(organization_id, operation, key, fingerprint)


async def find(
    organization_id: OrganizationId, operation: str, key: str, fingerprint: bytes
) -> StoredAnswer | None:
    """Return what the first request with *key* was answered, or None if there was none.

    For looking before the input is checked, so that a repeat is answered as the first was.

    Raises:
        KeyReused: the key came with another input.
        InvalidInput: it cannot be a key.
    """
    rows = await fetch(
        "SELECT fingerprint, kind FROM idempotency_records WHERE organization_id = {} "
        "AND operation = {} AND key = {} AND created_at >= {}",
        organization_id,
        operation,
        checked_key(key),
        clock.now() - KEPT,
    )
    if not rows or rows[0]["kind"] == _OPEN:
        return None
    return await _stored(organization_id, operation, key, fingerprint)


async def store(
    tx: Tx, organization_id: OrganizationId, operation: str, key: str, answer: Mapping[str, Any]
) -> None:
    """Keep *answer*, JSON without secrets, for the key that this transaction claimed."""
    await _finish(organization_id, operation, key, kind=_RESULT, answer=dict(answer))


async def store_refusal(
    organization_id: OrganizationId,
    operation: str,
    key: str,
    fingerprint: bytes,
    refusal: OperationError,
) -> None:
    """Keep *refusal* for the key, in a transaction of its own: the operation's rolled back.

    If another request has claimed the key meanwhile, its answer is the one that is kept.
    """
    async with transaction() as tx:
        try:
            found = await claim(tx, organization_id, operation, key, fingerprint)
        except (KeyReused, StillRunning):
            return
        if found is None:
            await settle_refusal(tx, organization_id, operation, key, refusal)


async def refuse_once(
    organization_id: OrganizationId,
    operation: str,
    key: str,
    fingerprint: bytes,
    refusal: OperationError,
) -> OperationError:
    """Return what a request that never reached its operation is told, now and when repeated.

    For edges that cannot read a request: its key is spent all the same, so that another
    request with it is refused, and *refusal* is what a repeat is told.

    Raises:
        KeyReused: the key came with another request.
        StillRunning: another transaction holds the key now.
        InvalidInput: it cannot be a key.
    """
    async with transaction() as tx:
        found = await claim(tx, organization_id, operation, key, fingerprint)
        if found is None:
            await settle_refusal(tx, organization_id, operation, key, refusal)
            return refusal
    if found.refusal is None:
        raise KeyReused
    return found.refusal


async def settle_refusal(
    tx: Tx, organization_id: OrganizationId, operation: str, key: str, refusal: OperationError
) -> None:
    """Keep *refusal* for the key that this transaction claimed and will commit.

    For operations that share a transaction: one request is refused, the others are not.
    """
    await _finish(organization_id, operation, key, kind=_REFUSAL, answer=refusal_to_json(refusal))


def refusal_to_json(refusal: OperationError) -> dict[str, Any]:
    """Return *refusal* as JSON that `refusal_from_json` reads."""
    kind = next(k for k in type(refusal).__mro__ if k.__module__ == errors.__name__)
    return {
        "type": kind.__name__,
        "code": refusal.error_code.value,
        "message": refusal.sentence,
        "details": [[d.field, d.code.value, d.message] for d in refusal.details],
        "retryAfterSeconds": refusal.retry_after_seconds,
    }


async def forget_refusal(organization_id: OrganizationId, operation: str, key: str) -> None:
    """Free the key of what was refused: nothing was done with it, so that it may be tried again.

    For work of the platform's own, which goes on by itself once the reason has passed.
    """
    await fetch(
        "DELETE FROM idempotency_records WHERE organization_id = {} AND operation = {} "
        "AND key = {} AND kind = {}",
        organization_id,
        operation,
        key,
        _REFUSAL,
    )


async def _finish(
    organization_id: OrganizationId, operation: str, key: str, *, kind: int, answer: dict[str, Any]
) -> None:
    await fetch(
        "UPDATE idempotency_records SET kind = {}, answer = {}::jsonb "
        "WHERE organization_id = {} AND operation = {} AND key = {}",
        kind,
        to_json(answer),
        organization_id,
        operation,
        key,
    )


async def _stored(
    organization_id: OrganizationId, operation: str, key: str, fingerprint: bytes
) -> StoredAnswer:
    rows = await fetch(
        "SELECT fingerprint, kind, answer FROM idempotency_records "
        "WHERE organization_id = {} AND operation = {} AND key = {}",
        organization_id,
        operation,
        key,
    )
    if not rows or rows[0]["kind"] == _OPEN:
        raise StillRunning
    if rows[0]["fingerprint"] != fingerprint:
        raise KeyReused
    answer = json.loads(rows[0]["answer"])
    if rows[0]["kind"] == _REFUSAL:
        return StoredAnswer({}, refusal_from_json(answer))
    return StoredAnswer(answer)


def refusal_from_json(answer: Mapping[str, Any]) -> OperationError:
    """Return the refusal that was kept."""
    kind: type[OperationError] = getattr(errors, answer["type"])
    refusal = kind(
        answer["message"],
        code=ErrorCode(answer["code"]),
        details=[Detail(field, DetailCode(code), text) for field, code, text in answer["details"]],
        retry_after_seconds=answer["retryAfterSeconds"],
    )
    refusal.replayed = True
    return refusal
