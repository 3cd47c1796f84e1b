"""The body of a call: the standard payload, its data made by a document where there is one.

Documents are GraphQL, which lies above this area: whoever sends hands in how one is run.
"""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..core import clock
from ..core.actor import OrganizationId
from .calling import Tried
from .payloads import Happened, standard_body
from .rules import LARGEST_BODY
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


async def body_of(webhook: Webhook, event: Happened, shape: Shape) -> bytes | Tried:
    """Return the body to send; or, where the document makes none, the attempt that failed."""
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
