"""Messages: sending, cancelling, and what became of them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor, Mode
from ..core.errors import DetailCode, InvalidInput
from ..core.paging import by_id
from ..core.settings import settings
from ..delivery import queries as spool
from ..delivery.isps import Isp
from ..delivery.rules import DeliveryState, MessageStatus
from ..delivery.tables import SpooledMessage
from ..mail.address import comparable
from ..mail.outcome import BounceClass
from ..messages import queries, tables
from ..messages.rules import Source, Stream
from ..vmtas.queries import vmta_names
from . import engagements, events
from .accounts import page_of
from .context import Info, actor_of
from .deliveries import Delivery, delivery_type
from .enums import describe_enum
from .message_contents import (
    MessageContent,
    MessageOutline,
    load_contents,
    load_outlines,
    load_sizes,
)
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import BigInt, Json

describe_enum(
    MessageStatus,
    "How far a message is. While a recipient is open, the first that applies of sending, "
    "deferred, queued and scheduled; then what they all are.",
    {
        "SCHEDULED": "Waits for its time.",
        "QUEUED": "In a queue, not attempted yet.",
        "SENDING": "On the wire now.",
        "DEFERRED": "An attempt failed for the moment; another is planned.",
        "DELIVERED": "Every recipient's server has taken it.",
        "BOUNCED": "Refused for good.",
        "EXPIRED": "Given up after temporary failures.",
        "SUPPRESSED": "Not sent: the recipients get no mail from this organization.",
        "CANCELLED": "Cancelled before it was delivered.",
        "PARTIAL": "Its recipients ended differently.",
    },
)
describe_enum(
    Source,
    "How a message came in.",
    {"API": "By itself.", "BATCH": "With others in one request.", "SMTP": "Over SMTP."},
    name="MessageSource",
)


@strawberry.type(description="How many deliveries are in one state.")
class DeliveryCount:
    state: DeliveryState = strawberry.field(description="The state.")
    count: int = strawberry.field(description="How many.")


@strawberry.type(description="One submission; each of its recipients is a delivery.")
class Message(events.MessageFields, engagements.MessageFields, Node):
    row: strawberry.Private[tables.Message]

    @strawberry.field(description="Number for clients that need integers.")
    def number(self) -> BigInt:
        return BigInt(self.row.number)

    @strawberry.field(
        description="Message-ID of the mail, without angle brackets; empty when it has none."
    )
    def message_id(self) -> str:
        return self.row.header_message_id

    @strawberry.field(description="How far it is: the sum of its deliveries.")
    async def status(self, info: Info) -> MessageStatus:
        return MessageStatus((await self._progress(info)).status)

    @strawberry.field(description="When its last delivery became final; null before that.")
    async def completed_at(self, info: Info) -> datetime | None:
        return (await self._progress(info)).completed_at

    async def _progress(self, info: Info) -> SpooledMessage:
        found = await info.context.loaders.load(load_progress, self.row.id)
        if found is None:
            raise LookupError(f"message {self.row.id} is not in the spool")
        return found

    @strawberry.field(description="Address of From.")
    def sender(self) -> str:
        return self.row.sender

    @strawberry.field(description="Name shown beside the address of From.")
    def sender_name(self) -> str:
        return self.row.sender_name

    @strawberry.field(
        description="Sender of the envelope as it was handed in; null when it had none of its own."
    )
    def envelope_sender(self) -> str | None:
        return self.row.envelope_sender

    @strawberry.field(
        description="Its envelope names no sender, so that nothing comes back: it is a bounce "
        "itself."
    )
    async def null_sender(self, info: Info) -> bool:
        return (await self._progress(info)).null_sender

    @strawberry.field(description="Addresses of To.")
    def to(self) -> list[str]:
        return _addresses(self.row, "to")

    @strawberry.field(description="Addresses of Cc.")
    def cc(self) -> list[str]:
        return _addresses(self.row, "cc")

    @strawberry.field(description="Addresses of Bcc; no recipient sees them.")
    def bcc(self) -> list[str]:
        return _addresses(self.row, "bcc")

    @strawberry.field(description="How many recipients it has.")
    def recipient_count(self) -> int:
        return sum(len(_addresses(self.row, kind)) for kind in ("to", "cc", "bcc"))

    @strawberry.field(description="Subject.")
    def subject(self) -> str:
        return self.row.subject

    @strawberry.field(description="The customer's name for the batch it belongs to.")
    def batch_id(self) -> str | None:
        return self.row.batch_id

    @strawberry.field(description="The customer's own name for it; unique in the project.")
    def uid(self) -> str | None:
        return self.row.uid

    @strawberry.field(description="Slug of the template that it was filled from.")
    def template_slug(self) -> str | None:
        return self.row.template

    @strawberry.field(description="The customer's tags.")
    def tags(self) -> list[str]:
        return list(self.row.tags)

    @strawberry.field(description="The customer's own keys and values.")
    def metadata(self) -> Json:
        return Json(json.loads(self.row.metadata))

    @strawberry.field(description="What kind of mail it is.")
    def stream(self) -> Stream:
        return Stream(self.row.stream)

    @strawberry.field(description="Whether it really leaves.")
    def mode(self) -> Mode:
        return Mode(self.row.mode)

    @strawberry.field(description="How it came in.")
    def source(self) -> Source:
        return Source(self.row.source)

    @strawberry.field(description="Opens are tracked.")
    def track_opens(self) -> bool:
        return self.row.track_opens

    @strawberry.field(description="Clicks are tracked.")
    def track_clicks(self) -> bool:
        return self.row.track_clicks

    @strawberry.field(description="Size of text, html and encoded attachments in bytes.")
    def size_bytes(self) -> int:
        return self.row.size_bytes

    @strawberry.field(
        description="Size of the whole mail before it is signed, in bytes; null when it is no "
        "longer kept."
    )
    async def mail_size_bytes(self, info: Info) -> int | None:
        return await info.context.loaders.load(load_sizes, (self.row.id, self.row.content_id))

    @strawberry.field(description="The pool whose vMTAs share it; null when a vMTA was named.")
    def pool(self) -> str | None:
        return self.row.pool

    @strawberry.field(description="UUID of the vMTA that was asked for.")
    def vmta_uuid(self) -> UUID | None:
        return self.row.vmta_id

    @strawberry.field(description="Name of the vMTA that was asked for.")
    async def vmta_name(self, info: Info) -> str | None:
        if self.row.vmta_id is None:
            return None
        return await info.context.loaders.load(load_vmta_names, self.row.vmta_id)

    @strawberry.field(description="Whole credits that were debited for it.")
    def credits(self) -> BigInt:
        return BigInt(self.row.credits)

    @strawberry.field(description="When it was to be sent; null is at once.")
    def send_at(self) -> datetime | None:
        return self.row.send_at

    @strawberry.field(description="When it is given up.")
    def expires_at(self) -> datetime:
        return self.row.expires_at

    @strawberry.field(description="When it was accepted.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="Until when it is known, if nothing waits for it then.")
    def kept_until(self) -> datetime:
        return self.row.created_at + timedelta(days=settings().keep_message_days)

    @strawberry.field(description="Where the dashboard shows it.")
    async def url(self, info: Info) -> str:
        return f"{await page_of(info)}/messages/{self.row.id}"

    @strawberry.field(description="How many of its deliveries are how far.")
    async def delivery_counts(self, info: Info) -> list[DeliveryCount]:
        found = await info.context.loaders.load(load_delivery_counts, self.row.id) or {}
        return [DeliveryCount(state=DeliveryState(s), count=n) for s, n in sorted(found.items())]

    @strawberry.field(
        description="One for each recipient: at most 50 unless it was sent leniently, or "
        "personally to many."
    )
    async def deliveries(self, info: Info) -> list[Delivery]:
        return await info.context.loaders.load(load_deliveries_of, self.row.id) or []

    @strawberry.field(
        description="What it says; null when it is no longer kept. Of several messages 64 MiB are "
        "read at once. Needs `messages:write`, and each reading is noted in the audit log."
    )
    async def content(self, info: Info) -> MessageContent | None:
        return await info.context.loaders.load(load_contents, (self.row.id, self.row.content_id))

    @strawberry.field(
        description="What it carries beside its text; null when it is no longer kept."
    )
    async def outline(self, info: Info) -> MessageOutline | None:
        return await info.context.loaders.load(load_outlines, (self.row.id, self.row.content_id))


async def load_delivery_counts(
    actor: Actor, ids: Sequence[UUID]
) -> Mapping[UUID, Mapping[str, int]]:
    """Return how many deliveries of each message are how far."""
    return await spool.counts_of_messages(actor, ids)


def _addresses(row: tables.Message, kind: str) -> list[str]:
    found: dict[str, list[str]] = json.loads(row.recipients)
    return found.get(kind, [])


def message_type(row: tables.Message) -> Message:
    """Return the GraphQL object of a row."""
    return Message(uuid=row.id, row=row)


async def load_messages(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Message]:
    """Return those messages that the actor may see."""
    found = await queries.find_messages(actor, ids)
    return {key: message_type(row) for key, row in found.items()}


async def load_progress(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, SpooledMessage]:
    """Return how far each message is."""
    return await spool.progress_of_messages(actor, ids)


async def load_deliveries_of(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, list[Delivery]]:
    """Return the deliveries of each message."""
    found = await spool.deliveries_of_messages(actor, ids)
    return {key: [delivery_type(row) for row in rows] for key, rows in found.items()}


async def load_vmta_names(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Return the names of vMTAs."""
    return await vmta_names(actor, ids)


register(Message, load_messages)


@strawberry.input(description="Which messages; conditions that are left out do not matter.")
class MessageFilter:
    statuses: list[MessageStatus] | None = strawberry.field(
        default=None, description="With one of these statuses."
    )
    sender: str | None = strawberry.field(default=None, description="From exactly this address.")
    recipient: str | None = strawberry.field(
        default=None, description="To exactly this address, among others."
    )
    sender_domain: str | None = strawberry.field(
        default=None, description="From an address of exactly this domain."
    )
    domain: strawberry.ID | None = strawberry.field(
        default=None, description="Sent from this sending domain or below it."
    )
    recipient_domain: str | None = strawberry.field(
        default=None, description="To an address of exactly this domain, among others."
    )
    batch_id: str | None = strawberry.field(default=None, description="Of this batch.")
    tag: str | None = strawberry.field(default=None, description="With this tag.")
    stream: Stream | None = strawberry.field(default=None, description="Of this kind.")
    mode: Mode | None = strawberry.field(default=None, description="Live or sandbox.")
    pool: str | None = strawberry.field(default=None, description="For this pool.")
    vmta: str | None = strawberry.field(
        default=None, description="For the vMTA with this name or UUID."
    )
    api_key: strawberry.ID | None = strawberry.field(
        default=None, description="Sent with this API key."
    )
    isp: Isp | None = strawberry.field(
        default=None, description="With a recipient whose mailbox is run by this provider."
    )
    bounce_class: BounceClass | None = strawberry.field(
        default=None, description="With a recipient that failed for this reason."
    )
    message_id: str | None = strawberry.field(
        default=None, description="With this Message-ID, angle brackets or not."
    )
    metadata: Json | None = strawberry.field(
        default=None, description="An object: each key has exactly this value."
    )
    subject: str | None = strawberry.field(
        default=None, description="Words that are all in the subject, case aside."
    )
    created_after: datetime | None = strawberry.field(
        default=None, description="Accepted at this time or later."
    )
    created_before: datetime | None = strawberry.field(
        default=None, description="Accepted before this time."
    )


def wanted_messages(filter: MessageFilter | None) -> queries.MessageFilter:
    """Return the messages that a filter asks for."""
    if filter is None:
        return queries.MessageFilter()
    message_id = filter.message_id
    return queries.MessageFilter(
        statuses=[status.value for status in filter.statuses or ()],
        sender=comparable(filter.sender) if filter.sender else None,
        recipient=comparable(filter.recipient) if filter.recipient else None,
        sender_domain=filter.sender_domain and filter.sender_domain.lower(),
        recipient_domain=filter.recipient_domain and filter.recipient_domain.lower(),
        batch_id=filter.batch_id,
        tag=filter.tag,
        stream=filter.stream and filter.stream.value,
        mode=filter.mode and filter.mode.value,
        pool=filter.pool,
        domain_id=parse_id(filter.domain, "Domain") if filter.domain else None,
        vmta=filter.vmta,
        isp=filter.isp and filter.isp.value,
        api_key_id=parse_id(filter.api_key, "ApiKey") if filter.api_key else None,
        bounce_class=filter.bounce_class and filter.bounce_class.value,
        header_message_id=message_id and message_id.strip("<> "),
        metadata=_pairs(filter.metadata),
        words=(filter.subject or "").split(),
        created_after=filter.created_after,
        created_before=filter.created_before,
    )


def _pairs(metadata: object) -> list[tuple[str, str]]:
    if metadata is None:
        return []
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise InvalidInput.of(
            "filter.metadata", DetailCode.INVALID_TYPE, "Write an object with string values."
        )
    return sorted(metadata.items())


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="Messages, newest first. Needs `messages:read`.")
    async def messages(
        self,
        info: Info,
        filter: Annotated[
            MessageFilter | None, strawberry.argument(description="Only such messages.")
        ] = None,
        oldest_first: Annotated[
            bool, strawberry.argument(description="Turn the order round.")
        ] = False,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Message]:
        actor, wanted = actor_of(info), wanted_messages(filter)
        page = await queries.list_messages(
            actor,
            page_request(first, after, last, before, maximum=500),
            wanted=wanted,
            order=by_id(descending=not oldest_first),
        )
        return to_connection(
            page,
            message_type,
            total=lambda exact: queries.count_messages(actor, wanted, exact=exact),
        )

    @strawberry.field(description="One message. Needs `messages:read`.")
    async def message(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Its id or UUID.")],
    ) -> Message:
        return message_type(await queries.get_message(actor_of(info), parse_id(id, "Message")))

    @strawberry.field(description="The message with this number. Needs `messages:read`.")
    async def message_by_number(
        self,
        info: Info,
        number: Annotated[BigInt, strawberry.argument(description="Its number.")],
    ) -> Message:
        return message_type(await queries.get_message_by_number(actor_of(info), number))
