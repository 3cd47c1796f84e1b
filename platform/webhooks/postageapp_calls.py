"""The body of a call in PostageApp's formats: what it says is read here."""

import uuid
from collections.abc import Mapping
from typing import Any

from ..core.database import fetch
from ..mail.address import Mailbox, format_mailbox
from ..mail.mailing import NOTHING_OF_ITS_OWN, decode_mailing, decode_parts, decode_personal
from .payloads import Happened
from .postageapp import Facts, Told, has_word, postageapp_body
from .rules import PayloadFormat
from .signing import opened, written
from .tables import Webhook

# What belongs to areas beside and above is read as it lies. The content may be gone.
_FACTS = """
    SELECT o.name AS account, p.name AS project, m.number, m.uid, m.template, m.sender,
        m.sender_name, m.subject, d.id, d.address, c.format, c.body,
        own.delivery_id AS own_first, own.body AS own
    FROM deliveries AS d
    JOIN messages AS m ON m.id = d.message_id
    JOIN organizations AS o ON o.id = d.organization_id
    JOIN projects AS p ON p.id = d.project_id
    LEFT JOIN contents AS c ON c.id = m.content_id AND octet_length(c.body) <= {}
    LEFT JOIN LATERAL (
        SELECT v.delivery_id, v.body FROM personal_values AS v
        WHERE v.content_id = m.content_id AND v.delivery_id <= d.id
        ORDER BY v.delivery_id DESC LIMIT 1
    ) AS own ON true
    WHERE d.id = {} AND d.organization_id = {}
"""
LARGEST_READ = 2**20
"""Bytes of a content that are read for its header fields; beyond, those that are known count."""


async def postageapp_body_of(webhook: Webhook, event: Happened, *, id: uuid.UUID) -> bytes | None:
    """Return the body of the call *id*, or None if PostageApp has no word for the event."""
    if not has_word(event.type, event.data):
        return None
    facts = await _facts(event)
    if facts is None:
        return None
    told = Told(event.type, event.data, event.occurred_at, facts)
    secret = written(opened(webhook.sealed_secret))
    return postageapp_body(told, id=id, secret=secret, form=PayloadFormat(webhook.format))


async def _facts(event: Happened) -> Facts | None:
    rows = await fetch(_FACTS, LARGEST_READ, event.delivery_id, event.organization_id)
    if rows:
        return _read(rows[0])
    if event.simulated and event.message is not None:
        return _made_up(event)
    return None


def _read(row: Mapping[str, Any]) -> Facts:
    kept = decode_personal([(row["own_first"], row["own"])] if row["own"] is not None else [])
    own = kept.get(row["id"], NOTHING_OF_ITS_OWN)
    variables: dict[str, Any] = {}
    headers: list[tuple[str, str]] = []
    if row["body"] is not None and row["format"] in ("mailing", "template"):
        mailing = decode_mailing(row["body"])
        variables = mailing.values_for(own)
        headers = list(mailing.parts.headers)
    elif row["body"] is not None and row["format"] == "parts":
        headers = list(decode_parts(row["body"]).headers)
    sender = format_mailbox(Mailbox(row["sender_name"], row["sender"]))
    return Facts(
        account=row["account"],
        project=row["project"],
        message_id=row["number"],
        message_uid=row["uid"],
        recipient=own.stands_for or row["address"],
        template=row["template"],
        headers=[
            ("Subject", row["subject"]),
            ("From", sender),
            *(pair for pair in headers if pair[0] != "Feedback-ID"),
        ],
        variables={name: value for name, value in variables.items() if name != "locale"},
    )


def _made_up(event: Happened) -> Facts:
    """Return the facts of an event that did not happen."""
    message = event.message
    assert message is not None
    return Facts(
        account="A test",
        project="A test",
        message_id=message.number or 1,
        message_uid="test",
        recipient=message.email or "",
        template=None,
        headers=[("Subject", message.subject), ("From", message.sender)],
        variables={},
    )
