"""What a message says, for those who may read it."""

import base64
from collections.abc import Mapping, Sequence
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..mail.viewing import View
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


@strawberry.type(description="A file of a message, with its bytes.")
class ViewedFile:
    filename: str = strawberry.field(
        description="Its name; an attached message without one is numbered, as `1.eml`."
    )
    content_type: str = strawberry.field(description="Such as `image/png`, without parameters.")
    content: str = strawberry.field(description="Its bytes in base64.")
    size_bytes: int = strawberry.field(description="Its size in bytes, decoded.")
    sha1: str = strawberry.field(
        description="SHA-1 of its bytes in hexadecimal, to recognize a file by."
    )


@strawberry.type(description="A message as a mail program shows it.")
class MessageView:
    text: str | None = strawberry.field(description="Plain text; null when it has none.")
    html: str | None = strawberry.field(description="HTML; null when it has none.")
    headers: list[Header] = strawberry.field(
        description="Every header field in its order, decoded."
    )
    files: list[ViewedFile] = strawberry.field(description="What it carries beside its text.")


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
    found: strawberry.Private[read.ReadContent]

    @strawberry.field(
        description="What a mail program shows of it, also of a message that came in whole."
    )
    async def view(self) -> MessageView:
        return _view(await read.view_content(self.found))


Said = tuple[UUID, UUID]
"""The ids of a message and of what it says."""


async def load_contents(actor: Actor, keys: Sequence[Said]) -> Mapping[Said, MessageContent]:
    """Return what messages say, as far as it is kept."""
    found = await read.read_contents(actor, dict(keys))
    return {key: _content(found[key[0]]) for key in keys if key[0] in found}


async def load_sizes(actor: Actor, keys: Sequence[Said]) -> Mapping[Said, int]:
    """Return how many bytes messages have, as far as they are kept."""
    found = await read.read_sizes(actor, dict(keys))
    return {key: found[key[0]] for key in keys if key[0] in found}


async def load_outlines(actor: Actor, keys: Sequence[Said]) -> Mapping[Said, MessageOutline]:
    """Return what messages carry beside their text, as far as it is kept."""
    found = await read.read_outlines(actor, dict(keys))
    return {key: _outline(found[key[0]]) for key in keys if key[0] in found}


def _content(found: read.ReadContent) -> MessageContent:
    return MessageContent(
        html=found.html,
        text=found.text,
        headers=_headers(found.headers),
        reply_to=list(found.reply_to),
        attachments=_attachments(found.attachments),
        source=base64.b64encode(found.source).decode(),
        found=found,
    )


def _view(seen: View) -> MessageView:
    return MessageView(
        text=seen.text,
        html=seen.html,
        headers=_headers(seen.headers),
        files=[
            ViewedFile(
                filename=file.filename,
                content_type=file.content_type,
                content=base64.b64encode(file.content).decode(),
                size_bytes=len(file.content),
                sha1=file.sha1,
            )
            for file in seen.files
        ],
    )


def _outline(found: read.ReadOutline) -> MessageOutline:
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
