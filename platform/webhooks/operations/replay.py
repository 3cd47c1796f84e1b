"""Having calls made once more: one, or those of a stretch of time."""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from ...accounts.queries import kept_days
from ...audit.operations import record
from ...core import clock
from ...core.actor import Actor, Permission
from ...core.database import Tx, fetch, transaction
from ...core.errors import Conflict, DetailCode, InvalidInput, NotFound
from ...core.ids import new_id
from ...core.retention import Kind
from ..errors import WebhookDisabled
from ..queries import find_calls, get_webhook
from ..rules import CallState
from ..tables import Webhook, WebhookCall, WebhookReplay
from ..telling import tell

MOST_OPEN_REPLAYS = 5
"""Of one webhook that are not done."""


async def replay_call(actor: Actor, call_id: uuid.UUID) -> WebhookCall:
    """Make a call once more, and return the new one; one that waits is made at once.

    The receiver gets the same event id again.

    Raises:
        NotFound: the call is absent or somebody else's.
        Conflict: it was a test.
        WebhookDisabled: the webhook is switched off.
    """
    actor.require(Permission.WRITE_WEBHOOKS)
    found = (await find_calls(actor, [call_id])).get(call_id)
    if found is None:
        raise NotFound
    if found.test:
        raise Conflict("Nothing has happened that could be told again: it was a test.")
    async with transaction() as tx:
        await _lock_enabled(tx, actor, found.webhook_id)
        now = clock.now()
        rows = await fetch(
            "UPDATE webhook_calls SET due_at = {} WHERE id = {} AND state = {} RETURNING *",
            now,
            call_id,
            CallState.PENDING.value,
        )
        if not rows:
            rows = await fetch(
                "INSERT INTO webhook_calls (id, organization_id, webhook_id, event_id, "
                "event_type, message_id, test, replay, state, attempts, due_at, log, created_at) "
                "SELECT {}, organization_id, webhook_id, event_id, event_type, message_id, "
                # The webhook's row is locked: two who replay it get two numbers.
                "false, (SELECT max(replay) + 1 FROM webhook_calls AS made "
                "WHERE made.webhook_id = one.webhook_id AND made.event_id = one.event_id), "
                "{}, 0, {}, '[]', {} FROM webhook_calls AS one WHERE id = {} RETURNING *",
                new_id(),
                CallState.PENDING.value,
                now,
                now,
                call_id,
            )
        await _wake(tx, found.webhook_id)
        await record(
            tx,
            actor,
            action="webhook.replayed",
            target_type="webhook",
            target_id=found.webhook_id,
            changes={"call_id": str(call_id)},
        )
    return WebhookCall(_exists_in_db=True, **rows[0])


async def replay_calls(
    actor: Actor,
    webhook_id: uuid.UUID,
    *,
    since: datetime,
    until: datetime | None = None,
    states: Collection[CallState] = (CallState.DEAD,),
    missed: bool = False,
) -> WebhookReplay:
    """Have the calls of a stretch of time made once more, in their order, in the background.

    Of those that are dead only such as were not delivered by an earlier replay. What waits
    goes out anyway. With *missed*, calls are also made for what the webhook wants now and was
    never called for, such as what happened while it was off. That goes as far back as calls
    are kept, for beyond that nobody knows what was called.

    Raises:
        NotFound: the webhook is absent or somebody else's.
        InvalidInput: the stretch is empty or longer ago than calls are kept, or no state that
            ends a call is named.
        Conflict: five replays of the webhook are not done yet.
        WebhookDisabled: the webhook is switched off.
    """
    actor.require(Permission.WRITE_WEBHOOKS)
    now = clock.now()
    until = min(until or now, now)
    kept = timedelta(days=await kept_days(actor, Kind.CALLS))
    _check_stretch(since, until, now, kept)
    if not (states or missed) or CallState.PENDING in states:
        raise InvalidInput.of("states", DetailCode.NOT_ALLOWED, "Name DEAD, DELIVERED or both.")
    await get_webhook(actor, webhook_id)
    replay = WebhookReplay(
        organization_id=actor.organization_id,
        webhook_id=webhook_id,
        since=since,
        until=until,
        states=sorted({state.value for state in states}),
        missed=missed,
        created_at=now,
    )
    async with transaction() as tx:
        await _lock_enabled(tx, actor, webhook_id)
        open_ones = await fetch(
            "SELECT count(*) AS replays FROM webhook_replays "
            "WHERE webhook_id = {} AND completed_at IS NULL",
            webhook_id,
        )
        if open_ones[0]["replays"] >= MOST_OPEN_REPLAYS:
            raise Conflict(f"{MOST_OPEN_REPLAYS} replays of this webhook are not done yet.")
        await WebhookReplay.insert(replay)
        tx.after_commit(tell)
        await record(
            tx,
            actor,
            action="webhook.replayed",
            target_type="webhook",
            target_id=webhook_id,
            changes={
                "since": since.isoformat(),
                "until": until.isoformat(),
                "states": replay.states,
                "missed": missed,
            },
        )
    return replay


def _check_stretch(since: datetime, until: datetime, now: datetime, kept: timedelta) -> None:
    if since >= until:
        raise InvalidInput.of("until", DetailCode.TOO_SMALL, "It ends before it begins.")
    if since < now - kept:
        raise InvalidInput.of(
            "since", DetailCode.TOO_SMALL, f"Calls are kept for {kept.days} days."
        )


async def _lock_enabled(tx: Tx, actor: Actor, webhook_id: uuid.UUID) -> Webhook:
    await fetch("SELECT FROM webhooks WHERE id = {} FOR NO KEY UPDATE", webhook_id)
    webhook = await get_webhook(actor, webhook_id)
    if not webhook.enabled:
        raise WebhookDisabled
    return webhook


async def _wake(tx: Tx, webhook_id: uuid.UUID) -> None:
    await fetch(
        "UPDATE webhook_progress SET next_due_at = least(next_due_at, {}) WHERE webhook_id = {}",
        clock.now(),
        webhook_id,
    )
    tx.after_commit(tell)
