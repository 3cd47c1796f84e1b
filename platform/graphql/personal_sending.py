"""Sending one message to many, filled for each: inputs and the mutation."""

from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Mode
from ..mail.templating import Syntax
from ..messages import operations
from ..messages.rules import NewAttachment, Stream
from .accounts import page_of
from .context import Info, actor_of
from .messages import Message, load_messages
from .scalars import BigInt, Json
from .sending import AttachmentInput, HeaderInput, metadata_of


@strawberry.input(description="Whom a message goes to, and what it says to them alone.")
class PersonalRecipientInput:
    address: str = strawberry.field(description="One mailbox, such as `Ada <ada@example.org>`.")
    variables: Json | None = strawberry.field(
        default=None,
        description="An object: what names stand for in their mail, before those of everybody.",
    )


@strawberry.input(description="A message to send to many, filled for each of them.")
class SendPersonalMessageInput:
    recipients: list[PersonalRecipientInput] = strawberry.field(
        description="1 to 10,000; who is there twice gets it once."
    )
    sender: str | None = strawberry.field(
        name="from",
        default=None,
        description="One mailbox; left out, the template's, or `mail@` of the oldest domain.",
    )
    cc: list[str] = strawberry.field(
        default_factory=list, description="Mailboxes that get one, too, and that everybody sees."
    )
    bcc: list[str] = strawberry.field(
        default_factory=list, description="Mailboxes that get one, too, and that nobody sees."
    )
    apart: bool = strawberry.field(
        default=True,
        description="Nobody sees whom else it goes to; otherwise up to 50 recipients do.",
    )
    reply_to: list[str] = strawberry.field(
        default_factory=list, description="Up to 5 mailboxes that answers go to."
    )
    subject: str | None = strawberry.field(
        default=None, description="A source; it stands before the template's."
    )
    html: str | None = strawberry.field(
        default=None, description="A source; with a template, what is put into it."
    )
    text: str | None = strawberry.field(
        default=None, description="A source; with a template, what is put into it."
    )
    syntax: Syntax = strawberry.field(
        default=Syntax.JINJA, description="How subject, html and text say where values go."
    )
    template: str | None = strawberry.field(
        default=None,
        description="Slug or UUID of a published template of the project or of all projects.",
    )
    locale: str | None = strawberry.field(
        default=None, description="In which language the template speaks."
    )
    variables: Json | None = strawberry.field(
        default=None, description="An object: what names stand for in everybody's mail."
    )
    headers: list[HeaderInput] = strawberry.field(
        default_factory=list, description="Up to 50 header fields of your own, 8 KiB in all."
    )
    attachments: list[AttachmentInput] = strawberry.field(
        default_factory=list, description="Up to 20 files; each mail has at most 25 MiB."
    )
    tags: list[str] = strawberry.field(
        default_factory=list, description="Up to 10 words to find and count it by."
    )
    metadata: Json | None = strawberry.field(
        default=None, description="An object of up to 20 strings; webhooks show it."
    )
    stream: Stream | None = strawberry.field(
        default=None, description="What kind of mail it is; left out, the project decides."
    )
    uid: str | None = strawberry.field(
        default=None,
        description="Your name for it, up to 255 characters: a second message of the project "
        "with the same one is refused, as long as the first is known.",
    )
    redirect_to: str | None = strawberry.field(
        default=None, description="A mailbox that gets everybody's mail instead of them."
    )
    sandbox: bool = strawberry.field(
        default=False, description="Accept it as a sandbox key would: nothing leaves."
    )


@strawberry.type(description="A message to many was accepted: durable, not attempted yet.")
class SendPersonalMessagePayload:
    uuid: UUID = strawberry.field(description="UUID of the message.")
    number: BigInt = strawberry.field(description="Number of the message.")
    uid: str | None = strawberry.field(description="Your name for it.")
    mode: Mode = strawberry.field(description="Whether it really leaves.")
    accepted: int = strawberry.field(description="Recipients that will be attempted.")
    suppressed: int = strawberry.field(
        description="Recipients that get no mail from this organization."
    )
    credits_consumed: int = strawberry.field(description="Whole credits debited.")
    url: str = strawberry.field(description="Where the dashboard shows it.")

    @strawberry.field(description="The message as it is now. Needs `messages:read`.")
    async def message(self, info: Info) -> Message | None:
        return await info.context.loaders.load(load_messages, self.uuid)


def _message(input: SendPersonalMessageInput) -> operations.NewPersonalMessage:
    return operations.NewPersonalMessage(
        recipients=input.recipients,
        sender=input.sender or None,
        cc=input.cc,
        bcc=input.bcc,
        is_apart=input.apart,
        reply_to=input.reply_to,
        subject=input.subject,
        html=input.html,
        text=input.text,
        syntax=input.syntax,
        headers=[(header.name, header.value) for header in input.headers],
        attachments=[
            NewAttachment(
                file.filename, file.content, file.content_type, file.disposition, file.content_id
            )
            for file in input.attachments
        ],
        tags=input.tags,
        metadata=metadata_of(input.metadata),
        stream=input.stream,
        template=input.template or None,
        locale=input.locale,
        variables={} if input.variables is None else input.variables,
        uid=input.uid or None,
        redirect_to=input.redirect_to or None,
        is_sandbox=input.sandbox,
    )


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Send one message to up to 10,000 recipients, each of whom gets a mail of "
        "their own that is filled with their own values. It is rendered for the first of them "
        "at once, which shows what is wrong; one that cannot be rendered for somebody later "
        "bounces. Costs one `email` credit for each recipient that gets mail. Needs "
        "`messages:send`."
    )
    async def send_personal_message(
        self,
        info: Info,
        input: Annotated[SendPersonalMessageInput, strawberry.argument(description="The message.")],
    ) -> SendPersonalMessagePayload:
        # Before it is accepted: afterwards nothing may fail any more.
        page = await page_of(info)
        receipt = await operations.send_personal_message(actor_of(info), _message(input))
        return SendPersonalMessagePayload(
            uuid=receipt.id,
            number=BigInt(receipt.number),
            uid=input.uid or None,
            mode=Mode(receipt.mode),
            accepted=receipt.accepted,
            suppressed=receipt.suppressed,
            credits_consumed=receipt.credits_consumed,
            url=f"{page}/messages/{receipt.id}",
        )
