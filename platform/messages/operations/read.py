"""Reading what a message says: it is other people's mail, so each reading is on record."""

import asyncio
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...audit import operations as audit
from ...core.actor import Actor, Permission
from ...core.database import transaction
from ...delivery.contents import MAILINGS, ContentFormat, decode_mailing, decode_parts
from ...delivery.queries import KeptContent, find_contents, first_recipients, sizes_of_contents
from ...mail.compose import Parts, compose
from ...mail.renderers import RENDERERS
from ...mail.templating import Rendered, Unrenderable
from ...mail.viewing import View, read_view
from ..errors import ContentsTooLarge

MOST_BYTES = 64 * 2**20
"""Of contents that are read together: a process holds each several times while it answers."""
PORTION_BYTES = 16 * 2**20
"""Of contents that are held at a time while only their outlines are kept."""


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
    parts: Parts | None = None
    """What it was made of, unless the customer built it."""


async def read_contents(
    actor: Actor, contents: Mapping[uuid.UUID, uuid.UUID]
) -> dict[uuid.UUID, ReadContent]:
    """Return what messages say, by message; each reading is audited.

    *contents* are the ids of what they say, by message. What is no longer kept is left out.

    Raises:
        ContentsTooLarge: together they are too large to be read at once.
    """
    actor.require(Permission.WRITE_MESSAGES)
    if len(contents) > 1:
        size = sum((await sizes_of_contents(actor, contents.values())).values())
        if size > MOST_BYTES:
            raise ContentsTooLarge(
                f"These messages have {size} bytes together, and {MOST_BYTES} are read at once; "
                "ask for fewer of them."
            )
    found = await find_contents(actor, contents.values())
    read = [message for message, content in contents.items() if content in found]
    async with transaction() as tx:
        await audit.record_each(
            tx, actor, action="message.content_read", target_type="message", target_ids=read
        )
    kept = {message: found[contents[message]] for message in read}
    filled = await _fill(actor, kept.values())
    return {message: _content(each, filled) for message, each in kept.items()}


async def read_outlines(
    actor: Actor, contents: Mapping[uuid.UUID, uuid.UUID]
) -> dict[uuid.UUID, ReadOutline]:
    """Return what messages carry beside their text, by message; see `read_contents`.

    It says nothing of what the mail says, so that reading it is not on record. A message
    that the customer built shows nothing here.
    """
    actor.require(Permission.READ_MESSAGES)
    outlines: dict[uuid.UUID, ReadOutline] = {}
    for some in await _portions(actor, contents.values()):
        for content in (await find_contents(actor, some)).values():
            parts = parts_of(content)
            outlines[content.id] = ReadOutline((), (), ()) if parts is None else _outline(parts)
    return {
        message: outlines[content] for message, content in contents.items() if content in outlines
    }


async def view_content(content: ReadContent) -> View:
    """Return what a mail program shows of a message."""
    # Whole messages have up to 25 MiB, and parts within parts.
    return await asyncio.to_thread(read_view, content.source, content.parts)


async def read_sizes(actor: Actor, contents: Mapping[uuid.UUID, uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return how many bytes each message has before it is signed; see `read_outlines`.

    One that is another for each recipient has no size of its own, and is left out.
    """
    actor.require(Permission.READ_MESSAGES)
    sizes: dict[uuid.UUID, int] = {}
    for some in await _portions(actor, contents.values()):
        for content in (await find_contents(actor, some)).values():
            parts = parts_of(content)
            if content.format not in MAILINGS:
                sizes[content.id] = len(content.body if parts is None else compose(parts))
    return {message: sizes[content] for message, content in contents.items() if content in sizes}


async def _portions(actor: Actor, ids: Collection[uuid.UUID]) -> list[list[uuid.UUID]]:
    """Return *ids* in portions, each of which fits into memory."""
    if len(ids) == 1:
        return [list(ids)]
    portions: list[list[uuid.UUID]] = []
    room = 0
    for content, size in (await sizes_of_contents(actor, ids)).items():
        if not portions or size > room:
            portions.append([])
            room = PORTION_BYTES
        portions[-1].append(content)
        room -= size
    return portions


async def _fill(actor: Actor, contents: Iterable[KeptContent]) -> dict[uuid.UUID, Parts]:
    """Return what those are made of that are another for each recipient: as the first gets it."""
    mailings = {
        content.id: decode_mailing(content.body)
        for content in contents
        if content.format in MAILINGS
    }
    if not mailings:
        return {}
    first = await first_recipients(actor, list(mailings))
    found = {}
    for id, mailing in mailings.items():
        if (recipient := first.get(id)) is None:
            continue
        values = mailing.values_for(recipient.personal)
        owner = actor.organization_id
        [rendered] = await RENDERERS.render(mailing.layers, [values], owner=owner)
        if isinstance(rendered, Unrenderable):
            rendered = Rendered(None, None, None)
        found[id] = mailing.parts_for(rendered, recipient.personal, recipient.address)
    return found


def parts_of(content: KeptContent) -> Parts | None:
    """Return what a message is made of, without what is another for each recipient.

    None is a message that the customer built.
    """
    if content.format == ContentFormat.RAW:
        return None
    if content.format in MAILINGS:
        return decode_mailing(content.body).parts
    return decode_parts(content.body)


def _content(content: KeptContent, filled: Mapping[uuid.UUID, Parts]) -> ReadContent:
    parts = filled.get(content.id) or parts_of(content)
    if parts is None:
        return ReadContent(None, None, (), (), (), content.body)
    outline = _outline(parts)
    return ReadContent(
        html=parts.html,
        text=parts.text,
        headers=outline.headers,
        reply_to=outline.reply_to,
        attachments=outline.attachments,
        source=compose(parts),
        parts=parts,
    )


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
