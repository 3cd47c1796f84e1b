"""Sending again what did not arrive: a new message that says the same."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from ...core import clock
from ...core.actor import Actor, Mode, Permission, ProjectId
from ...delivery.contents import MAILINGS, ContentFormat, decode_parts
from ...delivery.matching import AskedOfDeliveries, MatchingDelivery, matching_deliveries
from ...delivery.queries import KeptContent, find_contents
from ...delivery.rules import LIFETIME, OPEN, DeliveryState
from ...mail.address import parse_mailbox
from ..errors import NotResendable
from ..queries import get_message
from ..rules import CheckedMessage, Recipient, Shown, Source, Stream
from ..tables import Message
from .accept import accept
from .submission import Receipt, Submission, only_receipt

OPERATION = "resendMessage"
OURS = "Feedback-ID"
"""A header that each message gets anew."""


async def resend_message(
    actor: Actor,
    message_id: uuid.UUID,
    *,
    only: Collection[uuid.UUID] | None = None,
    key: str | None = None,
) -> Receipt:
    """Send a message again to those who did not get it, or of them *only* to some deliveries.

    It is a new message with a delivery, and a credit, for each of them. Repeated with *key*, it
    is sent once.

    Raises:
        NotFound: there is no such message.
        NotResendable: everybody has it or may still get it, it is no longer kept, or it is
            another for each recipient.
        DomainNotVerified, DomainNotAllowed, SendingBlocked: the sender may not send any more.
        InvalidInput: its vMTA or pool is gone.
        InsufficientCredits: the balance does not cover it.
    """
    actor.require(Permission.READ_MESSAGES)
    actor.require(Permission.SEND_MESSAGES)
    message = await get_message(actor, message_id)
    found = await matching_deliveries(actor.organization_id, [message.id], AskedOfDeliveries())
    meant = [each for each in found if only is None or each.id in only]
    failed = [each for each in meant if each.state not in {*OPEN, DeliveryState.DELIVERED}]
    if not failed:
        raise NotResendable("Everybody got this message, or may still get it.")
    contents = await find_contents(actor, [message.content_id])
    if message.content_id not in contents:
        raise NotResendable("What this message says is no longer kept.")
    submission = Submission(
        actor=_sender(actor, message),
        messages=[_again(message, contents[message.content_id], failed)],
        source=Source.API,
        batch_id=None,
        atomic=False,
        operation=OPERATION,
        key=key,
        fingerprint=message.id.bytes,
    )
    return only_receipt(await accept(submission))


def _sender(actor: Actor, message: Message) -> Actor:
    """Return who sends it: in its project, and in the sandbox if it was there."""
    is_sandbox = Mode.SANDBOX in (actor.mode, message.mode)
    mode = Mode.SANDBOX if is_sandbox else Mode.LIVE
    return replace(actor, project_id=ProjectId(message.project_id), mode=mode)


def _again(
    message: Message, content: KeptContent, failed: Sequence[MatchingDelivery]
) -> CheckedMessage:
    return CheckedMessage(
        recipients=tuple(Recipient(each.kind, parse_mailbox(each.address)) for each in failed),
        expires_at=clock.now() + LIFETIME,
        size_bytes=message.size_bytes,
        subject=message.subject,
        tags=tuple(message.tags),
        metadata=msgspec.json.decode(message.metadata),
        track_opens=message.track_opens,
        track_clicks=message.track_clicks,
        stream=Stream(message.stream),
        vmta=str(message.vmta_id) if message.vmta_id else None,
        pool=None if message.vmta_id else message.pool,
        batch_id=message.batch_id,
        envelope_sender=message.envelope_sender,
        template=message.template,
        **_said(message, content),
    )


def _said(message: Message, content: KeptContent) -> dict[str, Any]:
    """Return what it says, in its header and below."""
    if content.format in MAILINGS:
        raise NotResendable("This message is another for each recipient; send it anew.")
    if content.format == ContentFormat.RAW:
        sender = replace(parse_mailbox(message.sender), display_name=message.sender_name)
        # It stands in the mail itself, so that it is what it was.
        return {
            "sender": sender,
            "raw": content.body,
            "header_message_id": message.header_message_id,
        }
    parts = decode_parts(content.body)
    return {
        "sender": parts.sender,
        "reply_to": parts.reply_to,
        "text": parts.text,
        "html": parts.html,
        "headers": tuple(pair for pair in parts.headers if pair[0] != OURS),
        "attachments": parts.attachments,
        # Whom it says it is to stays, though it goes to some of them only.
        "shown": Shown(parts.to, parts.cc, parts.submitter, None),
    }
