"""Deliveries: one recipient of one message, and every attempt to hand it over."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..delivery import queries, tables
from ..delivery.contents import Personal
from ..delivery.isps import Isp, isp_of
from ..delivery.rules import DeliveryState, RecipientKind
from ..events.queries import MOST_EVENTS, OfDelivery, events_by_delivery
from ..events.rules import EventType
from ..mail.address import comparable
from ..mail.outcome import BounceClass, Verdict
from ..mail.tls import TlsPolicy
from .context import Info, actor_of
from .delivery_waits import DeliveryWait, waits_of
from .engagements import DeliveryFields
from .enums import describe_enum
from .events import Event
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import BigInt
from .suppressions import Suppression, load_by_address

if TYPE_CHECKING:
    from .messages import Message

MessageType = Annotated["Message", strawberry.lazy(".messages")]

describe_enum(
    DeliveryState,
    "How far one delivery is.",
    {
        "SCHEDULED": "Waits for its time.",
        "QUEUED": "In a queue, not attempted yet.",
        "SENDING": "On the wire now.",
        "DEFERRED": "The last attempt failed for the moment; another is planned.",
        "DELIVERED": "The receiving server has taken it. Final.",
        "BOUNCED": "Refused for good. Final.",
        "EXPIRED": "Given up after temporary failures. Final.",
        "SUPPRESSED": "The address gets no mail from this organization; not attempted. Final.",
        "CANCELLED": "Cancelled before it was delivered. Final.",
    },
)

describe_enum(
    RecipientKind,
    "In which field of a message a recipient stands.",
    {
        "TO": "In To.",
        "CC": "In Cc.",
        "BCC": "In none: no recipient sees it.",
    },
)
describe_enum(
    Verdict,
    "How one attempt ended.",
    {
        "DELIVERED": "The receiving server has taken it.",
        "DEFERRED": "It failed for the moment.",
        "BOUNCED": "It was refused for good.",
    },
)
describe_enum(
    BounceClass,
    "Why an attempt failed.",
    {
        "INVALID_RECIPIENT": "There is no such mailbox. Hard.",
        "INACTIVE_MAILBOX": "The mailbox is switched off. Hard.",
        "BAD_DOMAIN": "The domain does not exist or takes no mail. Hard.",
        "MAILBOX_FULL": "The mailbox is full. Soft.",
        "TEMPORARY_FAILURE": "The server failed for the moment. Soft.",
        "CONNECTION_FAILURE": "The server could not be reached or talked to. Soft.",
        "RATE_LIMITED": "The server wants less mail at a time. Soft.",
        "AUTH_FAILURE": "SPF, DKIM, DMARC or reverse DNS did not satisfy the server. Block.",
        "CONTENT_REJECTED": "The content was refused. Block.",
        "REPUTATION_BLOCK": "The sending address or domain is on a blocklist. Block.",
        "POLICY_REJECTED": "A rule of the server refused it. Block.",
        "UNCLASSIFIED": "The reply fits no other class.",
    },
)
describe_enum(
    TlsPolicy,
    "What decided how much encryption an attempt took.",
    {
        "DISABLED": "The vMTA or the organization wants none.",
        "OPPORTUNISTIC": "Nothing: encrypted where it works, with any certificate.",
        "REQUIRED": "The vMTA or the organization wants encryption, with any certificate.",
        "VERIFIED": "The vMTA or the organization wants a certificate that is good for the server.",
        "MTA_STS": "The MTA-STS policy of the recipient's domain.",
        "DANE": "TLSA records of the server, under DNSSEC.",
    },
)


@strawberry.type(description="One try to hand a delivery over.")
class Attempt:
    row: strawberry.Private[tables.Attempt]

    @strawberry.field(description="UUID of the attempt.")
    def uuid(self) -> UUID:
        return self.row.id

    @strawberry.field(description="1 is the first attempt of the delivery.")
    def number(self) -> int:
        return self.row.number

    @strawberry.field(description="How it ended.")
    def verdict(self) -> Verdict:
        return Verdict(self.row.verdict)

    @strawberry.field(description="SMTP reply code; null when no server answered.")
    def code(self) -> int | None:
        return self.row.code

    @strawberry.field(description="Enhanced status code such as `5.1.1`.")
    def enhanced_code(self) -> str | None:
        return self.row.enhanced_code

    @strawberry.field(description="What the server said, or why none was reached.")
    def reply(self) -> str:
        return self.row.reply

    @strawberry.field(description="Why it failed; null when it did not.")
    def bounce_class(self) -> BounceClass | None:
        return BounceClass(self.row.bounce_class) if self.row.bounce_class else None

    @strawberry.field(description="Name of the server.")
    def mx_host(self) -> str | None:
        return self.row.mx_host

    @strawberry.field(description="Address of the server.")
    def mx_address(self) -> str | None:
        return self.row.mx_address

    @strawberry.field(description="Our address; null is the system's choice.")
    def source_address(self) -> str | None:
        return self.row.source_address

    @strawberry.field(description="Such as `TLSv1.3`; null is no encryption.")
    def tls_version(self) -> str | None:
        return self.row.tls_version

    @strawberry.field(description="Name of the cipher suite.")
    def tls_cipher(self) -> str | None:
        return self.row.tls_cipher

    @strawberry.field(description="Whether the server's certificate was found good.")
    def tls_verified(self) -> bool | None:
        return self.row.tls_verified

    @strawberry.field(
        description="What decided how much encryption it took; null when no server was chosen."
    )
    def tls_policy(self) -> TlsPolicy | None:
        return TlsPolicy(self.row.tls_policy) if self.row.tls_policy else None

    @strawberry.field(
        description="The dialogue, a line each, without credentials and without the message."
    )
    def transcript(self) -> list[str]:
        return queries.transcript_lines(self.row)

    @strawberry.field(description="When it began.")
    def started_at(self) -> datetime:
        return self.row.started_at

    @strawberry.field(description="How long it took, in milliseconds.")
    def duration_ms(self) -> int:
        return self.row.duration_ms


@strawberry.type(description="One recipient of one message.")
class Delivery(DeliveryFields, Node):
    row: strawberry.Private[tables.Delivery]

    @strawberry.field(description="Number for clients that need integers.")
    def number(self) -> BigInt:
        return BigInt(self.row.number)

    @strawberry.field(description="16 characters that name it to clients that need tokens.")
    def token(self) -> str:
        return self.row.token

    @strawberry.field(description="UUID of its message.")
    def message_uuid(self) -> UUID:
        return self.row.message_id

    @strawberry.field(description="The message it is of.")
    async def message(self, info: Info) -> MessageType:
        from .messages import load_messages

        found = await info.context.loaders.load(load_messages, self.row.message_id)
        if found is None:
            raise LookupError(f"message {self.row.message_id} is gone")
        return found

    @strawberry.field(description=f"What happened to it, oldest first, at most {MOST_EVENTS}.")
    async def events(
        self,
        info: Info,
        types: Annotated[
            list[EventType] | None, strawberry.argument(description="Only of these types.")
        ] = None,
    ) -> list[Event]:
        asked = OfDelivery(
            self.row.message_id, self.row.id, tuple(type.value for type in types or EventType)
        )
        rows = await info.context.loaders.load(events_by_delivery, asked)
        return [Event(row=row) for row in rows or []]

    @strawberry.field(description="Address of the recipient.")
    def address(self) -> str:
        return self.row.address

    @strawberry.field(
        description="Whom it would have gone to, where a message was sent to somebody else "
        "instead, as long as its content is kept."
    )
    async def stands_for(self, info: Info) -> str | None:
        found = await info.context.loaders.load(load_personal, self.row.id)
        return found.stands_for if found is not None else None

    @strawberry.field(description="What stops mail to the recipient now.")
    async def suppression(self, info: Info) -> Suppression | None:
        return await info.context.loaders.load(load_by_address, self.row.address_key)

    @strawberry.field(description="Domain of the recipient, A-labels.")
    def domain(self) -> str:
        return self.row.domain

    @strawberry.field(description="In which field of the message it stands.")
    def kind(self) -> RecipientKind:
        return RecipientKind(self.row.kind)

    @strawberry.field(description="How far it is.")
    def state(self) -> DeliveryState:
        return DeliveryState(self.row.state)

    @strawberry.field(description="UUID of the queue it waits in.")
    def queue_uuid(self) -> UUID:
        return self.row.queue_id

    @strawberry.field(description="Name of the vMTA it goes through.")
    async def vmta_name(self, info: Info) -> str | None:
        return await info.context.loaders.load(load_vmta_names, self.row.queue_id)

    @strawberry.field(description="Who runs the mailbox.")
    def isp(self) -> Isp:
        return isp_of(self.row.domain, self.row.mx_host)

    @strawberry.field(description="How many attempts were made.")
    def attempt_count(self) -> int:
        return self.row.attempts

    @strawberry.field(description="Every attempt, first one first.")
    async def attempts(self, info: Info) -> list[Attempt]:
        if self.row.attempts == 0:
            return []
        rows = await info.context.loaders.load(load_attempts, self.row.id)
        return [Attempt(row=row) for row in rows or ()]

    @strawberry.field(description="Code of the last SMTP reply.")
    def code(self) -> int | None:
        return self.row.code

    @strawberry.field(description="Enhanced status code of the last reply.")
    def enhanced_code(self) -> str | None:
        return self.row.enhanced_code

    @strawberry.field(description="Text of the last reply, or why no server was reached.")
    def reply(self) -> str | None:
        return self.row.reply

    @strawberry.field(description="Name of the server of the last attempt.")
    def mx_host(self) -> str | None:
        return self.row.mx_host

    @strawberry.field(description="Why the last attempt failed; null when it did not.")
    def bounce_class(self) -> BounceClass | None:
        return BounceClass(self.row.bounce_class) if self.row.bounce_class else None

    @strawberry.field(description="When the last attempt was made.")
    def last_attempt_at(self) -> datetime | None:
        return self.row.last_attempt_at

    @strawberry.field(description="When the next attempt is planned; null when there is none.")
    def next_attempt_at(self) -> datetime | None:
        waiting = self.row.state != DeliveryState.SENDING.value
        return self.row.due_at if waiting else None

    @strawberry.field(
        description="All that keeps it from being attempted now, its own reasons before those of "
        "its queue; empty when it is on the wire or final."
    )
    async def waits(self, info: Info) -> list[DeliveryWait]:
        return await waits_of(info, self.row)

    @strawberry.field(description="When the receiving server took it.")
    def delivered_at(self) -> datetime | None:
        return self.row.delivered_at

    @strawberry.field(description="When it became final.")
    def settled_at(self) -> datetime | None:
        return self.row.settled_at

    @strawberry.field(description="When it is given up.")
    def expires_at(self) -> datetime:
        return self.row.expires_at

    @strawberry.field(description="When it was accepted.")
    def created_at(self) -> datetime:
        return self.row.created_at


def delivery_type(row: tables.Delivery) -> Delivery:
    """Return the GraphQL object of a row."""
    return Delivery(uuid=row.id, row=row)


async def load_vmta_names(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Return the name of each queue's vMTA."""
    return await queries.vmta_names_of_queues(actor, ids)


async def load_attempts(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, list[tables.Attempt]]:
    """Return the attempts of each delivery."""
    return await queries.attempts_of_deliveries(actor, ids)


async def load_deliveries(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Delivery]:
    """Return those deliveries that the actor may see."""
    found = await queries.find_deliveries(actor, ids)
    return {key: delivery_type(row) for key, row in found.items()}


register(Delivery, load_deliveries)


async def load_personal(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Personal]:
    """Return what fills single recipients' mail."""
    return await queries.find_personal(actor, ids)


@strawberry.input(description="Which deliveries; conditions that are left out do not matter.")
class DeliveryFilter:
    states: list[DeliveryState] | None = strawberry.field(
        default=None, description="In one of these states."
    )
    address: str | None = strawberry.field(default=None, description="To exactly this address.")


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="Deliveries, newest first. Needs `messages:read`.")
    async def deliveries(
        self,
        info: Info,
        filter: Annotated[
            DeliveryFilter | None, strawberry.argument(description="Only such deliveries.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Delivery]:
        wanted = filter or DeliveryFilter()
        page = await queries.list_deliveries(
            actor_of(info),
            page_request(first, after, last, before, maximum=500),
            states=[state.value for state in wanted.states or ()],
            address_key=comparable(wanted.address) if wanted.address else None,
        )
        return to_connection(page, delivery_type)

    @strawberry.field(description="One delivery. Needs `messages:read`.")
    async def delivery(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Its id or UUID.")],
    ) -> Delivery:
        row = await queries.get_delivery(actor_of(info), parse_id(id, "Delivery"))
        return delivery_type(row)

    @strawberry.field(description="The delivery with this number. Needs `messages:read`.")
    async def delivery_by_number(
        self,
        info: Info,
        number: Annotated[BigInt, strawberry.argument(description="Its number.")],
    ) -> Delivery:
        return delivery_type(await queries.get_delivery_by_number(actor_of(info), number))
