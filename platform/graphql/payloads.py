"""Documents that customers keep with a webhook, and the data that they make of an event.

Such a document is a subscription to `organizationEvents`, as anybody may follow it live. It
is read and priced when it is stored, and runs for each call with the rights that whoever
stored it had, for the organization of the webhook and nobody else.
"""

import json
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from graphql import FieldNode

from ..core.actor import READ_ONLY, ROLE_PERMISSIONS, Actor, Role
from ..core.errors import Detail, DetailCode, InvalidInput, OperationError
from ..events.tables import Event
from ..webhooks.documents import Shape, Shaped, Shaping
from ..webhooks.requests import PayloadDocument
from ..webhooks.rules import LONGEST_DOCUMENT
from . import limits
from .context import Context
from .subscriptions import OrganizationEvent

if TYPE_CHECKING:
    from .documents import Documents, Operation, Prepared

FIELD = "organizationEvents"
KEPT_TOKENS = 50_000


@lru_cache(maxsize=1)
def _documents() -> "Documents":
    """Return the documents of webhooks, kept apart: what clients send does not push them out."""
    # What validates and runs documents holds the schema, which holds this module.
    from .documents import Documents

    return Documents(KEPT_TOKENS)


def stored_document(actor: Actor, text: str | None) -> PayloadDocument | None:
    """Return a document as it is stored with a webhook, or None if there is none.

    Raises:
        InvalidInput: it does not fit the schema or the limits, or is no such document.
    """
    if text is None:
        return None
    if len(text) > LONGEST_DOCUMENT:
        message = f"A document has at most {LONGEST_DOCUMENT} characters."
        raise InvalidInput.of("document", DetailCode.TOO_LONG, message)
    checked = _checked(text)
    if isinstance(checked, list):
        details = [Detail("document", DetailCode.INVALID_FORMAT, each) for each in checked]
        raise InvalidInput(details[0].message, details=details)
    readable = READ_ONLY & ROLE_PERMISSIONS[Role.VIEWER] & actor.permissions
    return PayloadDocument(text, frozenset(each.value for each in readable))


def shaped_for(make_actor: Callable[[Shaping], Awaitable[Actor] | Actor]) -> Shape:
    """Return what runs the documents of webhooks; *make_actor* says as whom."""

    async def shape(shaping: Shaping) -> Shaped:
        actor = make_actor(shaping)
        return await _shape(shaping, actor if isinstance(actor, Actor) else await actor)

    return shape


async def _shape(shaping: Shaping, actor: Actor) -> Shaped:
    from .execute import run

    checked = _checked(shaping.document)
    if isinstance(checked, list):
        return Shaped(problem=checked[0])
    prepared, operation = checked
    context = Context(actor=actor, request_id=actor.request_id, may_introspect=True)
    result = await run(prepared.node, operation.node, {}, context, root=_event(shaping))
    data: Any = next(iter(result.data.values())) if result.data else None
    if data is None:
        problem = result.errors[0].message if result.errors else "The document gave no data."
        return Shaped(problem=problem)
    return Shaped(data=data)


def _checked(text: str) -> "tuple[Prepared, Operation] | list[str]":
    """Return the operation of a document, or what is wrong with it."""
    from .documents import DocumentRefused

    try:
        prepared = _documents().prepared(text)
        operation = prepared.operation(None)
        cost = operation.price.of({})
        limits.check_limit("points of cost for an event", found=cost, most=limits.EVENT_COST)
    except DocumentRefused as refused:
        return [each.message for each in refused.refusals]
    except OperationError as error:
        return [error.sentence]
    node = operation.node
    root = node.selection_set.selections[0]
    fits = (
        operation.is_subscription
        and isinstance(root, FieldNode)
        and root.name.value == FIELD
        and not root.arguments
        and not node.variable_definitions
    )
    if not fits:
        return [f"Write one subscription to `{FIELD}`, without arguments and variables."]
    return prepared, operation


def _event(shaping: Shaping) -> OrganizationEvent:
    event = shaping.event
    return OrganizationEvent(
        row=Event(
            id=event.id,
            position=event.position,
            organization_id=event.organization_id,
            project_id=event.project_id,
            message_id=event.message_id,
            delivery_id=event.delivery_id,
            type=event.type,
            simulated=event.simulated,
            data=json.dumps(dict(event.data)),
            occurred_at=event.occurred_at,
        )
    )
