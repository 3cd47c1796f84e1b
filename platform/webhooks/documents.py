"""The body of a call: in its format, its data made by a document where there is one.

Documents are GraphQL, which lies above this area: whoever sends hands in how one is run.
"""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from ..core import clock
from ..core.actor import OrganizationId
from .calling import Tried
from .payloads import Happened, standard_body
from .postageapp import FORMATS
from .postageapp_calls import postageapp_body_of
from .postal_calls import postal_body_of
from .rules import LARGEST_BODY, PayloadFormat
from .tables import Webhook


@dataclass(frozen=True, slots=True)
class Shaping:
    """A document to run for an event: for whom, and with which rights."""

    document: str
    organization_id: OrganizationId
    project_id: uuid.UUID | None
    permissions: Sequence[str]
    event: Happened


@dataclass(frozen=True, slots=True)
class Shaped:
    """What a document came to; with *problem* it came to nothing."""

    data: Any = None
    problem: str | None = None


Shape: TypeAlias = Callable[[Shaping], Awaitable[Shaped]]

DOCUMENT_FAILED = "document_failed"
TOO_LARGE = "payload_too_large"
NO_WORD = "not_in_format"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a body is made for: a call, and the event that it tells of."""

    call_id: uuid.UUID
    queued_at: datetime
    event: Happened


async def body_of(webhook: Webhook, subject: Subject, shape: Shape) -> bytes | Tried:
    """Return the body to send; or, where there is none, the attempt that failed."""
    event = subject.event
    if webhook.format == PayloadFormat.POSTAL:
        body = await postal_body_of(event, id=subject.call_id, queued_at=subject.queued_at)
        if body is None:
            # Calls are made for what Postal tells of: the message is gone, or the format new.
            return Tried(clock.now(), 0, error=NO_WORD, is_final=True)
        return body
    if webhook.format in FORMATS:
        body = await postageapp_body_of(webhook, event, id=subject.call_id)
        return Tried(clock.now(), 0, error=NO_WORD, is_final=True) if body is None else body
    if webhook.document is None:
        return standard_body(event)
    shaped = await shape(
        Shaping(
            webhook.document,
            OrganizationId(webhook.organization_id),
            webhook.project_id,
            webhook.document_permissions,
            event,
        )
    )
    if shaped.problem is not None:
        return Tried(clock.now(), 0, reply=shaped.problem, error=DOCUMENT_FAILED)
    body = standard_body(event, shaped=shaped.data, is_shaped=True)
    if len(body) > LARGEST_BODY:
        return Tried(clock.now(), 0, error=TOO_LARGE)
    return body
