"""Making, changing and deleting webhooks."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from ...accounts.queries import get_project
from ...audit.operations import record
from ...core import clock
from ...core.actor import Actor, Permission, ProjectId
from ...core.database import Tx, fetch, transaction
from ...core.errors import DetailCode, InvalidInput, NotFound
from ...events.consuming import Start, start_consumer
from ..errors import TooManyWebhooks
from ..queries import get_webhook, visible
from ..requests import (
    CheckedWebhook,
    FilterRequest,
    PayloadDocument,
    WebhookChanges,
    WebhookRequest,
    check_grace,
    check_request,
    refuse_private,
)
from ..rules import CONSUMER, MOST_WEBHOOKS, PayloadFormat
from ..signing import new_secret, sealed, written
from ..tables import Webhook
from ..targets import open_headers, seal_headers
from ..telling import tell


@dataclass(frozen=True, slots=True)
class Issued:
    """A webhook, and its secret if it has a new one."""

    webhook: Webhook
    secret: str | None


async def create_webhook(actor: Actor, request: WebhookRequest) -> Issued:
    """Make a webhook, which is called for what happens from now on.

    Raises:
        InvalidInput: names every field that breaks a rule.
        TooManyWebhooks: the organization has 20.
    """
    actor.require(Permission.WRITE_WEBHOOKS)
    checked = check_request(request)
    project_id = await _project(actor, request.project_id)
    await refuse_private(checked.url)
    async with transaction() as tx:
        await _make_room(tx, actor)
        return await _insert(tx, actor, checked, project_id)


async def adopt_webhook(tx: Tx, actor: Actor, request: WebhookRequest) -> Webhook:
    """Make a webhook that another platform has called, in an open transaction.

    However many there are: what has worked goes on working. Where its URL leads is looked at
    by each call.

    Raises:
        InvalidInput: names every field that breaks a rule.
    """
    actor.require(Permission.WRITE_WEBHOOKS)
    project_id = await _project(actor, request.project_id)
    return (await _insert(tx, actor, check_request(request), project_id)).webhook


async def _insert(
    tx: Tx, actor: Actor, checked: CheckedWebhook, project_id: ProjectId | None
) -> Issued:
    secret, now = new_secret(), clock.now()
    webhook = Webhook(
        organization_id=actor.organization_id,
        project_id=project_id,
        sealed_secret=sealed(secret),
        created_at=now,
        updated_at=now,
    )
    _fill(webhook, checked)
    # Before anything happens that it is for, were it the first there ever is.
    await start_consumer(tx, CONSUMER, start=Start.NOW)
    await Webhook.insert(webhook)
    await fetch(
        "INSERT INTO webhook_progress (webhook_id, organization_id) VALUES ({}, {})",
        webhook.id,
        actor.organization_id,
    )
    await _record(tx, actor, webhook.id, "webhook.created", _shown(webhook))
    tx.after_commit(tell)
    return Issued(webhook, written(secret))


async def update_webhook(actor: Actor, webhook_id: uuid.UUID, changes: WebhookChanges) -> Issued:
    """Change a webhook, give it another secret on wish, and return it.

    A changed URL holds for calls that wait, too. Switching it on forgets why it was off, and
    what waited is sent. While the grace lasts a replaced secret goes on signing beside the new
    one; of two rotations in a row only the last but one does.

    Raises:
        NotFound: it is absent or somebody else's.
        InvalidInput: names every field that breaks a rule.
    """
    actor.require(Permission.WRITE_WEBHOOKS)
    if changes.rotate_secret:
        check_grace(changes.grace)
    before = await get_webhook(actor, webhook_id)
    is_moved = changes.given.get("url", before.url) != before.url
    if is_moved:
        await refuse_private(check_request(_merged(before, changes.given)).url)
    secret = new_secret() if changes.rotate_secret else None
    async with transaction() as tx:
        webhook = await _lock(tx, actor, webhook_id)
        was_enabled, old = webhook.enabled, _shown(webhook)
        checked = check_request(_merged(webhook, changes.given), is_moved=is_moved)
        _fill(webhook, checked)
        webhook.updated_at = clock.now()
        if secret is not None:
            kept = webhook.sealed_secret if changes.grace else None
            webhook.sealed_previous_secret = kept  # type: ignore[assignment]
            webhook.previous_secret_expires_at = (
                clock.now() + changes.grace if changes.grace else None
            )
            webhook.sealed_secret = sealed(secret)
        if checked.enabled:
            webhook.disabled_reason = None
        await webhook.save()
        if checked.enabled != was_enabled:
            await _switch(tx, webhook_id, on=checked.enabled)
        told: dict[str, Any] = {
            name: {"from": old[name], "to": value}
            for name, value in _shown(webhook).items()
            if old[name] != value
        }
        if secret is not None:
            told["secret_rotated"] = True
        await _record(tx, actor, webhook_id, "webhook.updated", told)
    return Issued(webhook, None if secret is None else written(secret))


async def delete_webhook(actor: Actor, webhook_id: uuid.UUID) -> int:
    """Call a webhook no more; return how many calls that waited are dropped.

    Raises:
        NotFound: it is absent or somebody else's.
    """
    actor.require(Permission.WRITE_WEBHOOKS)
    async with transaction() as tx:
        webhook = await _lock(tx, actor, webhook_id)
        waiting = await fetch(
            "SELECT count(*) AS calls FROM webhook_calls "
            "WHERE webhook_id = {} AND state = 'pending'",
            webhook_id,
        )
        await fetch(
            "UPDATE webhooks SET deleted_at = {}, enabled = false, sealed_secret = ''::bytea, "
            "sealed_previous_secret = NULL, sealed_headers = NULL WHERE id = {}",
            clock.now(),
            webhook_id,
        )
        await fetch("DELETE FROM webhook_progress WHERE webhook_id = {}", webhook_id)
        await fetch(
            "UPDATE webhook_replays SET completed_at = {} "
            "WHERE webhook_id = {} AND completed_at IS NULL",
            clock.now(),
            webhook_id,
        )
        await _record(tx, actor, webhook_id, "webhook.deleted", {"url": webhook.url})
    dropped: int = waiting[0]["calls"]
    return dropped


async def _project(actor: Actor, project_id: ProjectId | None) -> ProjectId | None:
    if project_id is None:
        return actor.project_id
    try:
        await get_project(actor, project_id)
    except NotFound:
        raise InvalidInput.of(
            "projectId", DetailCode.NOT_FOUND, "There is no such project."
        ) from None
    return project_id


async def _make_room(tx: Tx, actor: Actor) -> None:
    # The organization's row, so that those who make the last one at once are counted in turn.
    await fetch("SELECT FROM organizations WHERE id = {} FOR NO KEY UPDATE", actor.organization_id)
    rows = await fetch(
        "SELECT count(*) AS webhooks FROM webhooks "
        "WHERE organization_id = {} AND deleted_at IS NULL",
        actor.organization_id,
    )
    if rows[0]["webhooks"] >= MOST_WEBHOOKS:
        raise TooManyWebhooks


async def _lock(tx: Tx, actor: Actor, webhook_id: uuid.UUID) -> Webhook:
    await fetch("SELECT FROM webhooks WHERE id = {} FOR NO KEY UPDATE", webhook_id)
    found = await visible(actor).where(Webhook.id == webhook_id).first()
    if found is None:
        raise NotFound
    return found


async def _switch(tx: Tx, webhook_id: uuid.UUID, *, on: bool) -> None:
    await fetch(
        "UPDATE webhook_progress SET failing_since = NULL, next_due_at = {} WHERE webhook_id = {}",
        clock.now() if on else None,
        webhook_id,
    )
    if on:
        tx.after_commit(tell)


def _fill(webhook: Webhook, checked: CheckedWebhook) -> None:
    webhook.url = checked.url
    webhook.events = list(checked.events)
    webhook.description = checked.description
    webhook.enabled = checked.enabled
    webhook.header_names = sorted(checked.headers)
    webhook.sealed_headers = seal_headers(checked.headers)  # type: ignore[assignment]
    webhook.filters = json.dumps(checked.filters.as_lists())
    webhook.in_order = checked.in_order
    webhook.format = checked.format.value
    webhook.payload_version = checked.payload_version
    webhook.document = checked.document.text if checked.document else None
    webhook.document_permissions = sorted(checked.document.permissions) if checked.document else []


def _request_of(webhook: Webhook) -> WebhookRequest:
    document = None
    if webhook.document is not None:
        document = PayloadDocument(webhook.document, frozenset(webhook.document_permissions))
    return WebhookRequest(
        url=webhook.url,
        events=tuple(webhook.events),
        description=webhook.description,
        enabled=webhook.enabled,
        headers=open_headers(webhook.sealed_headers),
        filters=FilterRequest(**json.loads(webhook.filters)),
        in_order=webhook.in_order,
        format=PayloadFormat(webhook.format),
        payload_version=webhook.payload_version,
        document=document,
    )


def _merged(webhook: Webhook, given: Mapping[str, object]) -> WebhookRequest:
    return replace(_request_of(webhook), **cast("Any", given))


def _shown(webhook: Webhook) -> dict[str, Any]:
    """Return what the audit log may say of a webhook: names of headers, not their values."""
    return {
        "url": webhook.url,
        "events": list(webhook.events),
        "description": webhook.description,
        "enabled": webhook.enabled,
        "header_names": list(webhook.header_names),
        "filters": json.loads(webhook.filters),
        "in_order": webhook.in_order,
        "format": webhook.format,
        "payload_version": webhook.payload_version,
        "document": webhook.document,
    }


async def _record(
    tx: Tx, actor: Actor, webhook_id: uuid.UUID, action: str, changes: Mapping[str, Any]
) -> None:
    await record(
        tx, actor, action=action, target_type="webhook", target_id=webhook_id, changes=changes
    )
