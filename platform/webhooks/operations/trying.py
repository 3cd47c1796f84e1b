"""Trying a webhook with an event that did not happen."""

import json
import uuid
from dataclasses import dataclass

from ...audit.operations import record
from ...core import clock
from ...core.actor import Actor, Permission
from ...core.database import transaction
from ...core.errors import DetailCode, InvalidInput
from ...core.ids import new_id
from ...events.rules import EventType
from ...mail.fetching import open_fetcher
from ...security import limits
from ..attempts import entry_of
from ..calling import Tried, call
from ..documents import Shape, Subject, body_of
from ..formats import is_told
from ..payloads import sample
from ..queries import get_webhook
from ..rules import TEST_EVENT, TESTABLE, CallState, PayloadFormat
from ..tables import Webhook, WebhookCall
from ..targets import target_of


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of trying a webhook."""

    call: WebhookCall
    tried: Tried


async def test_webhook(
    actor: Actor, webhook_id: uuid.UUID, *, event: str | None, shape: Shape
) -> Tested:
    """Send *event* with made-up data once, also to a webhook that is off, and return the call.

    It takes as long as the receiver, up to ten seconds. It is in the log, and counts for
    nothing.

    Raises:
        NotFound: the webhook is absent or somebody else's.
        InvalidInput: there is no such event.
        TooManyRequests: it was tried 10 times within a minute.
    """
    actor.require(Permission.WRITE_WEBHOOKS)
    webhook = await get_webhook(actor, webhook_id)
    event = _chosen(webhook, event)
    await limits.count(limits.TEST_WEBHOOK, str(webhook_id))
    now = clock.now()
    happened = sample(event, id=new_id(), organization_id=actor.organization_id, now=now)
    call_id = new_id()
    body = await body_of(webhook, Subject(call_id, now, happened), shape)
    if isinstance(body, Tried):
        tried = body
    else:
        target = await target_of(webhook)
        async with open_fetcher() as fetcher:
            tried = await call(fetcher, target, id=str(happened.id), body=body)
    row = WebhookCall(
        id=call_id,
        organization_id=actor.organization_id,
        webhook_id=webhook_id,
        event_id=happened.id,
        event_type=event,
        test=True,
        state=(CallState.DELIVERED if tried.succeeded else CallState.DEAD).value,
        attempts=1,
        log=json.dumps([entry_of(tried)]),
        request=tried.request.decode(),
        created_at=now,
        delivered_at=clock.now() if tried.succeeded else None,
    )
    async with transaction() as tx:
        await WebhookCall.insert(row)
        await record(
            tx,
            actor,
            action="webhook.tested",
            target_type="webhook",
            target_id=webhook_id,
            changes={"event": event},
        )
    return Tested(row, tried)


def _chosen(webhook: Webhook, event: str | None) -> str:
    """Return the event to try with; foreign formats have none for tests, so it is a delivery."""
    is_foreign = webhook.format != PayloadFormat.STANDARD
    if event is None or (is_foreign and event == TEST_EVENT):
        return EventType.MESSAGE_DELIVERED.value if is_foreign else TEST_EVENT
    if event not in TESTABLE:
        raise InvalidInput.of("event", DetailCode.NOT_ALLOWED, "There is no such event.")
    if is_foreign and not is_told(webhook, event):
        message = "There is no such event in its format."
        raise InvalidInput.of("event", DetailCode.NOT_ALLOWED, message)
    return event
