"""Sending with the fewest demands: inputs and the mutations."""

from typing import Annotated

import strawberry

from ..messages.lenient import LenientFile, LenientMessage
from ..messages.operations.lenient import (
    LenientRawMessage,
    send_lenient_message,
    send_lenient_raw_message,
)
from .context import Info, actor_of
from .sending import HeaderInput, SendReceipt, receipt_type


@strawberry.input(description="A file to send; one without name or content refuses the message.")
class LenientFileInput:
    filename: str | None = strawberry.field(
        default=None, description="Signs that no name may have become `_`."
    )
    content: str | None = strawberry.field(
        default=None, description="Its bytes in base64; anything else in it is passed over."
    )
    content_type: str | None = strawberry.field(
        default=None, description="`application/octet-stream` unless it is a type."
    )


@strawberry.input(description="A message to send leniently.")
class SendLenientMessageInput:
    sender: str | None = strawberry.field(
        name="from",
        default=None,
        description="One mailbox; its domain must be verified by its own name. Required.",
    )
    to: list[str] = strawberry.field(
        default_factory=list, description="Up to 50, of which any may be no address."
    )
    cc: list[str] = strawberry.field(
        default_factory=list, description="Up to 50, of which any may be no address."
    )
    bcc: list[str] = strawberry.field(
        default_factory=list,
        description="Up to 50 that no recipient sees, of which any may be no address.",
    )
    submitter: str | None = strawberry.field(
        default=None, description="Mailbox for the field Sender."
    )
    reply_to: str | None = strawberry.field(
        default=None, description="Mailboxes that answers go to, separated by commas."
    )
    subject: str | None = strawberry.field(
        default=None, description="Line breaks become spaces; may be left out."
    )
    html: str | None = strawberry.field(
        default=None, description="It or text is required; white space is none."
    )
    text: str | None = strawberry.field(
        default=None, description="It or html is required; white space is none."
    )
    headers: list[HeaderInput] = strawberry.field(
        default_factory=list,
        description="Header fields, up to 200 and 64 KiB. To, Cc and Date stand where there is no "
        "recipient of the kind, or instead of the time; those that are ours to write are left out.",
    )
    attachments: list[LenientFileInput] = strawberry.field(
        default_factory=list, description="Files; the message has at most 25 MiB."
    )
    tag: str | None = strawberry.field(
        default=None, description="Any text to find and count it by; cut at 64 characters."
    )
    null_sender: bool = strawberry.field(
        default=False, description="It is a bounce itself: let nothing come back."
    )


@strawberry.input(description="A whole RFC 5322 message to send as it is.")
class SendLenientRawMessageInput:
    data: str = strawberry.field(
        description="The message in base64; anything else in it is passed over."
    )
    recipients: list[str] = strawberry.field(
        description="Up to 1,000, of which any may be no address; none is allowed."
    )
    envelope_sender: str | None = strawberry.field(
        default=None, description="To be shown; the mail leaves with one that names its delivery."
    )
    null_sender: bool = strawberry.field(
        default=False, description="It is a bounce itself: let nothing come back."
    )
    tag_header: str | None = strawberry.field(
        default=None, description="Name of the field in the message whose text is its tag."
    )


@strawberry.type(description="A message was accepted.")
class SendLenientMessagePayload:
    receipt: SendReceipt = strawberry.field(
        description="What was answered at acceptance; its recipients are in the order of the "
        "request."
    )


@strawberry.type(description="A message was accepted, or found good.")
class SendLenientRawMessagePayload:
    receipt: SendReceipt | None = strawberry.field(
        description="What was answered at acceptance; null when it has no recipients. Its "
        "recipients are in the order of the request."
    )


def _message(input: SendLenientMessageInput) -> LenientMessage:
    return LenientMessage(
        sender=input.sender,
        to=input.to,
        cc=input.cc,
        bcc=input.bcc,
        submitter=input.submitter,
        reply_to=input.reply_to,
        subject=input.subject,
        html=input.html,
        text=input.text,
        headers=[(header.name, header.value) for header in input.headers],
        attachments=[
            LenientFile(file.filename, file.content, file.content_type)
            for file in input.attachments
        ],
        tag=input.tag,
        null_sender=input.null_sender,
    )


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Send one message of which only what cannot be missing is demanded: a "
        "recipient that is no address bounces, one that is named twice gets it twice. What is "
        "wrong is told one at a time: recipients, text, sender, its domain, files. Costs one "
        "`email` credit for each recipient that gets mail. Needs `messages:send`."
    )
    async def send_lenient_message(
        self,
        info: Info,
        input: Annotated[SendLenientMessageInput, strawberry.argument(description="The message.")],
    ) -> SendLenientMessagePayload:
        receipt = await send_lenient_message(actor_of(info), _message(input))
        return SendLenientMessagePayload(receipt=receipt_type(receipt))

    @strawberry.mutation(
        description="Send a whole message as it is: nothing is added, and only Bcc and "
        "Return-Path are taken out. Needs `messages:send`."
    )
    async def send_lenient_raw_message(
        self,
        info: Info,
        input: Annotated[
            SendLenientRawMessageInput, strawberry.argument(description="The message.")
        ],
    ) -> SendLenientRawMessagePayload:
        new = LenientRawMessage(
            data=input.data,
            recipients=input.recipients,
            envelope_sender=input.envelope_sender,
            null_sender=input.null_sender,
            tag_header=input.tag_header,
        )
        receipt = await send_lenient_raw_message(actor_of(info), new)
        return SendLenientRawMessagePayload(receipt=receipt_type(receipt) if receipt else None)
