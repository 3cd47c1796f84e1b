"""Sending and cancelling: inputs, receipts and the mutations."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Mode
from ..core.errors import DetailCode, ErrorCode, InvalidInput, OperationError
from ..delivery.rules import DeliveryState, MessageStatus, RecipientKind
from ..messages import operations
from ..messages.operations import submission
from ..messages.operations.send import NewRawMessage, decode_raw
from ..messages.rules import Disposition, NewAttachment, NewMessage, Stream, TemplateUse
from .context import Info, actor_of
from .messages import Message, load_messages
from .nodes import parse_id
from .scalars import BigInt, Json


@strawberry.input(description="A header field to set.")
class HeaderInput:
    name: str = strawberry.field(description="Its name, such as `X-Order`.")
    value: str = strawberry.field(description="Its value, without line breaks.")


@strawberry.input(description="A file to send.")
class AttachmentInput:
    filename: str = strawberry.field(description="1 to 255 characters, no path.")
    content: str = strawberry.field(description="Its bytes in base64.")
    content_type: str | None = strawberry.field(
        default=None, description="Such as `image/png`; left out, it follows from the name."
    )
    disposition: Disposition = strawberry.field(
        default=Disposition.ATTACHMENT, description="Where it stands."
    )
    content_id: str | None = strawberry.field(
        default=None, description="How the HTML refers to it; needed for an inline file."
    )


@strawberry.input(description="A template that fills what the message does not say itself.")
class TemplateUseInput:
    template: str = strawberry.field(
        description="Slug or UUID of a published template of the project or of all projects."
    )
    locale: str | None = strawberry.field(
        default=None, description="In which language; the template's own for all others without it."
    )
    variables: Json | None = strawberry.field(
        default=None, description="An object: what names stand for; 64 KiB at the most."
    )


@strawberry.input(description="A message to send.")
class MessageInput:
    sender: str = strawberry.field(
        name="from", description="One mailbox, such as `Ada <ada@example.org>`."
    )
    to: list[str] = strawberry.field(
        description="Mailboxes; with cc and bcc 1 to 50, none of them twice."
    )
    cc: list[str] = strawberry.field(default_factory=list, description="Mailboxes.")
    bcc: list[str] = strawberry.field(
        default_factory=list, description="Mailboxes that no recipient sees."
    )
    reply_to: list[str] = strawberry.field(
        default_factory=list, description="Up to 5 mailboxes that answers go to."
    )
    subject: str | None = strawberry.field(
        default=None, description="1 to 998 characters, no line breaks."
    )
    html: str | None = strawberry.field(default=None, description="At most 5 MiB.")
    text: str | None = strawberry.field(
        default=None, description="At most 5 MiB; left out, it is made from the HTML."
    )
    headers: list[HeaderInput] = strawberry.field(
        default_factory=list, description="Up to 50 header fields of your own, 8 KiB in all."
    )
    attachments: list[AttachmentInput] = strawberry.field(
        default_factory=list, description="Up to 20 files; the message has at most 25 MiB."
    )
    tags: list[str] = strawberry.field(
        default_factory=list, description="Up to 10 words to find and count it by."
    )
    metadata: Json | None = strawberry.field(
        default=None, description="An object of up to 20 strings; webhooks show it."
    )
    track_opens: bool | None = strawberry.field(
        default=None,
        description="Track opens; left out, project, domain or organization decide.",
    )
    track_clicks: bool | None = strawberry.field(
        default=None,
        description="Track clicks; left out, project, domain or organization decide.",
    )
    track_text_links: bool | None = strawberry.field(
        default=None,
        description="Track clicks on addresses in plain text, too; left out, project or "
        "organization decide.",
    )
    send_at: datetime | None = strawberry.field(
        default=None, description="Not before this time, at most 30 days ahead."
    )
    stream: Stream = strawberry.field(
        default=Stream.TRANSACTIONAL, description="What kind of mail it is."
    )
    vmta: str | None = strawberry.field(
        default=None, description="Name or UUID of the vMTA to send through; not with pool."
    )
    pool: str | None = strawberry.field(
        default=None, description="Name of the pool to send through; not with vmta."
    )
    batch_id: str | None = strawberry.field(
        default=None, description="Your name for the batch it belongs to."
    )
    max_lifetime_seconds: int | None = strawberry.field(
        default=None, description="How long it is tried, 300 to 432000; left out 259200."
    )
    template: TemplateUseInput | None = strawberry.field(
        default=None,
        description="What makes html and text, in the place of both; and the subject and `from` "
        "where they are empty.",
    )


@strawberry.input(description="A message to send.")
class SendMessageInput(MessageInput):
    idempotency_key: str | None = strawberry.field(
        default=None, description="A repeat with the same key within 24 hours sends nothing."
    )


@strawberry.input(description="Messages to send in one request.")
class SendMessagesInput:
    messages: list[MessageInput] = strawberry.field(
        description="1 to 100 messages with at most 1,000 recipients in all."
    )
    batch_id: str | None = strawberry.field(
        default=None, description="Your name for the batch; left out, a UUID is made."
    )
    atomic: bool = strawberry.field(
        default=False, description="One message that is not valid refuses all."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="A repeat with the same key within 24 hours sends nothing."
    )


@strawberry.input(description="A whole RFC 5322 message to send.")
class SendRawMessageInput:
    data: str = strawberry.field(description="The message in base64, at most 25 MiB.")
    recipients: list[str] | None = strawberry.field(
        default=None, description="Addresses; left out, those of To, Cc and Bcc."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="A repeat with the same key within 24 hours sends nothing."
    )


@strawberry.input(description="A message to cancel.")
class CancelMessageInput:
    id: strawberry.ID = strawberry.field(description="Its id or UUID.")
    reason: str | None = strawberry.field(
        default=None, description="For the audit log, at most 200 characters."
    )


@strawberry.type(description="One recipient as it was at acceptance.")
class ReceiptRecipient:
    uuid: UUID = strawberry.field(description="UUID of the delivery.")
    address: str = strawberry.field(description="Address of the recipient.")
    kind: RecipientKind = strawberry.field(description="In which field of the message it stands.")
    state: DeliveryState = strawberry.field(description="State at acceptance.")
    number: BigInt = strawberry.field(description="Number of the delivery.")
    token: str = strawberry.field(description="Token of the delivery.")


@strawberry.type(
    description="What was answered at acceptance. It means: durable, not attempted yet. A "
    "replay answers the same."
)
class SendReceipt:
    # Plain fields, not resolvers: every request for sending comes through here.
    uuid: UUID = strawberry.field(description="UUID of the message.")
    number: BigInt = strawberry.field(description="Number of the message.")
    status: MessageStatus = strawberry.field(description="Status at acceptance.")
    message_id: str = strawberry.field(
        description="Message-ID of the mail, without angle brackets."
    )
    batch_id: str | None = strawberry.field(description="The batch it belongs to.")
    mode: Mode = strawberry.field(description="Whether it really leaves.")
    recipients: list[ReceiptRecipient] = strawberry.field(description="Every recipient.")
    accepted: int = strawberry.field(description="Recipients that will be attempted.")
    suppressed: int = strawberry.field(
        description="Recipients that get no mail from this organization."
    )
    credits_consumed: int = strawberry.field(description="Whole credits debited.")
    credits_remaining: BigInt | None = strawberry.field(
        description="Whole credits left; null when they are not counted."
    )
    send_at: datetime | None = strawberry.field(
        description="When it is to be sent; null is at once."
    )
    warnings: list[str] = strawberry.field(
        description="Codes of what is allowed and still likely to hurt."
    )
    created_at: datetime = strawberry.field(description="When it was accepted.")


def receipt_type(row: submission.Receipt) -> SendReceipt:
    """Return the GraphQL object of a receipt."""
    return SendReceipt(
        uuid=row.id,
        number=BigInt(row.number),
        status=MessageStatus(row.status),
        message_id=row.header_message_id,
        batch_id=row.batch_id,
        mode=Mode(row.mode),
        recipients=[
            ReceiptRecipient(
                uuid=recipient.id,
                address=recipient.email,
                kind=RecipientKind(recipient.kind),
                state=DeliveryState(recipient.status),
                number=BigInt(recipient.number),
                token=recipient.token,
            )
            for recipient in row.recipients
        ],
        accepted=row.accepted,
        suppressed=row.suppressed,
        credits_consumed=row.credits_consumed,
        credits_remaining=None if row.credits_remaining is None else BigInt(row.credits_remaining),
        send_at=row.send_at,
        warnings=list(row.warnings),
        created_at=row.created_at,
    )


@strawberry.type(description="A message was accepted.")
class SendMessagePayload:
    receipt: SendReceipt = strawberry.field(description="What was answered at acceptance.")

    @strawberry.field(description="The message as it is now. Needs `messages:read`.")
    async def message(self, info: Info) -> Message | None:
        return await info.context.loaders.load(load_messages, self.receipt.uuid)


@strawberry.type(description="What is wrong with one field.")
class RefusalDetail:
    field: str = strawberry.field(description="Path of the field, such as `to[0]`.")
    code: DetailCode = strawberry.field(description="What is wrong.")
    message: str = strawberry.field(description="The same for people.")


@strawberry.type(description="Why one message of a batch was refused.")
class MessageRefusal:
    code: ErrorCode = strawberry.field(description="Why.")
    message: str = strawberry.field(description="The same for people.")
    details: list[RefusalDetail] = strawberry.field(description="Each field that is wrong.")


@strawberry.type(description="What became of one message of a batch: a receipt or a refusal.")
class SendMessagesResult:
    index: int = strawberry.field(description="Its place in the request, from 0.")
    receipt: SendReceipt | None = strawberry.field(description="If it was accepted.")
    refusal: MessageRefusal | None = strawberry.field(description="If it was refused.")


@strawberry.type(description="What became of a batch.")
class SendMessagesPayload:
    batch_id: str = strawberry.field(description="The name of the batch.")
    results: list[SendMessagesResult] = strawberry.field(
        description="One for each message, in the order of the request."
    )
    accepted: int = strawberry.field(description="Messages that were accepted.")
    rejected: int = strawberry.field(description="Messages that were refused.")
    credits_consumed: int = strawberry.field(description="Whole credits debited for all.")
    credits_remaining: BigInt | None = strawberry.field(
        description="Whole credits left; null when they are not counted."
    )
    created_at: datetime | None = strawberry.field(description="When they were accepted.")


@strawberry.type(description="What cancelling did.")
class CancelMessagePayload:
    uuid: UUID = strawberry.field(description="UUID of the message.")
    status: MessageStatus = strawberry.field(description="Status of the message now.")
    cancelled: int = strawberry.field(description="Recipients that were cancelled now.")
    in_progress: int = strawberry.field(
        description="Recipients on the wire: cancelled if the attempt fails for the moment."
    )
    already_final: int = strawberry.field(description="Recipients that were final before.")
    credits_refunded: int = strawberry.field(description="Whole credits paid back.")
    cancelled_at: datetime = strawberry.field(description="When it was cancelled.")

    @strawberry.field(description="The message as it is now. Needs `messages:read`.")
    async def message(self, info: Info) -> Message | None:
        return await info.context.loaders.load(load_messages, self.uuid)


def new_message(input: MessageInput) -> NewMessage:
    """Return the message that *input* is, not checked yet."""
    return NewMessage(
        sender=input.sender,
        to=input.to,
        cc=input.cc,
        bcc=input.bcc,
        reply_to=input.reply_to,
        subject=input.subject,
        html=input.html,
        text=input.text,
        headers=[(header.name, header.value) for header in input.headers],
        attachments=[
            NewAttachment(
                file.filename, file.content, file.content_type, file.disposition, file.content_id
            )
            for file in input.attachments
        ],
        tags=input.tags,
        metadata=metadata_of(input.metadata),
        track_opens=input.track_opens,
        track_clicks=input.track_clicks,
        track_text_links=input.track_text_links,
        send_at=input.send_at,
        stream=input.stream,
        vmta=input.vmta,
        pool=input.pool,
        batch_id=input.batch_id,
        max_lifetime_seconds=input.max_lifetime_seconds,
        template=_template(input.template),
    )


def _template(input: TemplateUseInput | None) -> TemplateUse | None:
    if input is None:
        return None
    variables: object = {} if input.variables is None else input.variables
    return TemplateUse(input.template, input.locale, variables)


def metadata_of(value: object) -> dict[str, str] | None:
    """Return the customer's keys and values.

    Raises:
        InvalidInput: it is no object.
    """
    if value is None or isinstance(value, dict):
        return value
    raise InvalidInput.of("metadata", DetailCode.INVALID_TYPE, "Write an object of strings.")


def _refusal(error: OperationError) -> MessageRefusal:
    return MessageRefusal(
        code=error.error_code,
        message=error.sentence,
        details=[
            RefusalDetail(field=detail.field, code=detail.code, message=detail.message)
            for detail in error.details
        ],
    )


SendMessageArgument = Annotated[SendMessageInput, strawberry.argument(description="The message.")]


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Send one message. Costs one `email` credit for each recipient that gets "
        "mail. Needs `messages:send`."
    )
    async def send_message(self, info: Info, input: SendMessageArgument) -> SendMessagePayload:
        receipt, replayed = await operations.send_message(
            actor_of(info),
            new_message(input),
            key=input.idempotency_key or info.context.idempotency_key,
        )
        info.context.replayed |= replayed
        return SendMessagePayload(receipt=receipt_type(receipt))

    @strawberry.mutation(
        description="Send up to 100 messages that are accepted together, each for itself "
        "unless `atomic`. Needs `messages:send`."
    )
    async def send_messages(
        self,
        info: Info,
        input: Annotated[SendMessagesInput, strawberry.argument(description="The messages.")],
    ) -> SendMessagesPayload:
        batch = await operations.send_messages(
            actor_of(info),
            [new_message(message) for message in input.messages],
            batch_id=input.batch_id,
            atomic=input.atomic,
            key=input.idempotency_key or info.context.idempotency_key,
            mark=info.context.idempotency_mark,
        )
        info.context.replayed |= batch.replayed
        return _batch_payload(batch)

    @strawberry.mutation(
        description="Send a message that is complete already; Bcc and Return-Path are taken "
        "out of it. Needs `messages:send`."
    )
    async def send_raw_message(
        self,
        info: Info,
        input: Annotated[SendRawMessageInput, strawberry.argument(description="The message.")],
    ) -> SendMessagePayload:
        receipt, replayed = await operations.send_raw_message(
            actor_of(info),
            NewRawMessage(decode_raw(input.data), input.recipients),
            key=input.idempotency_key or info.context.idempotency_key,
        )
        info.context.replayed |= replayed
        return SendMessagePayload(receipt=receipt_type(receipt))

    @strawberry.mutation(
        description="Cancel what has not left yet; recipients without an attempt are paid "
        "back. Needs `messages:write`."
    )
    async def cancel_message(
        self,
        info: Info,
        input: Annotated[CancelMessageInput, strawberry.argument(description="Which one.")],
    ) -> CancelMessagePayload:
        done = await operations.cancel_message(
            actor_of(info), parse_id(input.id, "Message"), reason=input.reason
        )
        return CancelMessagePayload(
            uuid=done.id,
            status=MessageStatus(done.status),
            cancelled=done.cancelled,
            in_progress=done.in_progress,
            already_final=done.already_final,
            credits_refunded=done.credits_refunded,
            cancelled_at=done.cancelled_at,
        )


def _batch_payload(batch: operations.BatchReceipt) -> SendMessagesPayload:
    receipts = batch.receipts
    remaining = receipts[-1].credits_remaining if receipts else None
    return SendMessagesPayload(
        batch_id=batch.batch_id,
        results=[
            SendMessagesResult(
                index=item.index,
                receipt=receipt_type(item.receipt) if item.receipt else None,
                refusal=_refusal(item.refusal) if item.refusal else None,
            )
            for item in batch.results
        ],
        accepted=len(receipts),
        rejected=len(batch.results) - len(receipts),
        credits_consumed=sum(receipt.credits_consumed for receipt in receipts),
        credits_remaining=None if remaining is None else BigInt(remaining),
        created_at=receipts[0].created_at if receipts else None,
    )
