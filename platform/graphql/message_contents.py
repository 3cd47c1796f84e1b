"""What a message says, for those who may read it."""

import base64
from collections.abc import Sequence

import strawberry

from ..core.actor import Actor
from ..messages import tables
from ..messages.operations import read
from ..messages.rules import Disposition
from .enums import describe_enum

describe_enum(
    Disposition,
    "Where a file stands.",
    {"ATTACHMENT": "Beside the text.", "INLINE": "Within the text."},
    name="AttachmentDisposition",
)


@strawberry.type(description="A header field that the customer set.")
class Header:
    name: str = strawberry.field(description="Its name.")
    value: str = strawberry.field(description="Its value.")


@strawberry.type(description="A file of a message, without its bytes.")
class Attachment:
    filename: str = strawberry.field(description="Its name.")
    content_type: str = strawberry.field(description="Such as `image/png`.")
    size_bytes: int = strawberry.field(description="Its size in bytes, decoded.")
    disposition: Disposition = strawberry.field(description="Where it stands.")
    content_id: str | None = strawberry.field(description="How the HTML refers to it.")


@strawberry.type(description="What a message carries beside its text.")
class MessageOutline:
    headers: list[Header] = strawberry.field(description="Header fields that were set.")
    reply_to: list[str] = strawberry.field(description="Addresses of Reply-To.")
    attachments: list[Attachment] = strawberry.field(description="Its files.")


@strawberry.type(description="What a message says. One that came in whole has only its source.")
class MessageContent:
    html: str | None = strawberry.field(description="HTML, as the customer sent it.")
    text: str | None = strawberry.field(description="Plain text, as the customer sent it.")
    headers: list[Header] = strawberry.field(description="Header fields that were set.")
    reply_to: list[str] = strawberry.field(description="Addresses of Reply-To.")
    attachments: list[Attachment] = strawberry.field(description="Its files.")
    source: str = strawberry.field(
        description="The whole message as RFC 5322 before it is signed, in base64."
    )


async def read_content(actor: Actor, message: tables.Message) -> MessageContent | None:
    """Return what *message* says, or None when it is no longer kept."""
    found = await read.read_content(actor, message)
    if found is None:
        return None
    return MessageContent(
        html=found.html,
        text=found.text,
        headers=_headers(found.headers),
        reply_to=list(found.reply_to),
        attachments=_attachments(found.attachments),
        source=base64.b64encode(found.source).decode(),
    )


async def read_outline(actor: Actor, message: tables.Message) -> MessageOutline | None:
    """Return what *message* carries beside its text, or None when it is no longer kept."""
    found = await read.read_outline(actor, message)
    if found is None:
        return None
    return MessageOutline(
        headers=_headers(found.headers),
        reply_to=list(found.reply_to),
        attachments=_attachments(found.attachments),
    )


def _headers(pairs: Sequence[tuple[str, str]]) -> list[Header]:
    return [Header(name=name, value=value) for name, value in pairs]


def _attachments(files: Sequence[read.ReadAttachment]) -> list[Attachment]:
    return [
        Attachment(
            filename=file.filename,
            content_type=file.content_type,
            size_bytes=file.size_bytes,
            disposition=Disposition.INLINE if file.inline else Disposition.ATTACHMENT,
            content_id=file.content_id,
        )
        for file in files
    ]
