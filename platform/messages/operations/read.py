"""Reading what a message says: it is other people's mail, so each reading is on record."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...audit import operations as audit
from ...core.actor import Actor, Permission
from ...core.database import transaction
from ...delivery.contents import decode_parts
from ...delivery.queries import find_content
from ...mail.compose import Parts, compose
from ..tables import Message


@dataclass(frozen=True, slots=True)
class ReadAttachment:
    """An attachment without its bytes."""

    filename: str
    content_type: str
    size_bytes: int
    inline: bool
    content_id: str | None


@dataclass(frozen=True, slots=True)
class ReadOutline:
    """What a message carries beside its text."""

    headers: Sequence[tuple[str, str]]
    reply_to: Sequence[str]
    attachments: Sequence[ReadAttachment]


@dataclass(frozen=True, slots=True)
class ReadContent:
    """What a message says; a message that the customer built has only its source."""

    html: str | None
    text: str | None
    headers: Sequence[tuple[str, str]]
    reply_to: Sequence[str]
    attachments: Sequence[ReadAttachment]
    source: bytes
    """The whole message as RFC 5322, unsigned."""


async def read_content(actor: Actor, message: Message) -> ReadContent | None:
    """Return what *message* says, or None when it is no longer kept; the reading is audited."""
    actor.require(Permission.WRITE_MESSAGES)
    content = await find_content(actor, message.content_id)
    if content is None:
        return None
    async with transaction() as tx:
        await audit.record(
            tx,
            actor,
            action="message.content_read",
            target_type="message",
            target_id=message.id,
        )
    if content.format == "raw":
        return ReadContent(None, None, (), (), (), content.body)
    parts = decode_parts(content.body)
    outline = _outline(parts)
    return ReadContent(
        html=parts.html,
        text=parts.text,
        headers=outline.headers,
        reply_to=outline.reply_to,
        attachments=outline.attachments,
        source=compose(parts),
    )


async def read_outline(actor: Actor, message: Message) -> ReadOutline | None:
    """Return what *message* carries beside its text, or None when it is no longer kept.

    It says nothing of what the mail says, so that reading it is not on record. A message
    that the customer built shows nothing here.
    """
    actor.require(Permission.READ_MESSAGES)
    content = await find_content(actor, message.content_id)
    if content is None:
        return None
    if content.format == "raw":
        return ReadOutline((), (), ())
    return _outline(decode_parts(content.body))


def _outline(parts: Parts) -> ReadOutline:
    return ReadOutline(
        # Feedback-ID is ours, for mailbox providers.
        headers=[pair for pair in parts.headers if pair[0] != "Feedback-ID"],
        reply_to=[mailbox.address for mailbox in parts.reply_to],
        attachments=[
            ReadAttachment(
                item.filename,
                item.content_type,
                len(item.content),
                item.inline,
                item.content_id,
            )
            for item in parts.attachments
        ],
    )
