"""Ingress mailboxes: mail that comes in, posted to the customer's program."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.actor import Actor
from ..ingress import queries, tables
from ..ingress.rules import MailSource, MailState, PostFormat
from .context import Info, actor_of
from .enums import describe_enum
from .nodes import Node, parse_id, register
from .paging import After, Before, Connection, First, Last, page_request, to_connection
from .scalars import BigInt

describe_enum(
    PostFormat,
    "How a mail is posted to a program.",
    {
        "RAW": "The mail itself as `message/rfc822`, with the headers of Standard Webhooks.",
        "POSTAGEAPP": "As PostageApp posts it: JSON with `inbound_email.message`, and "
        "`X-PostageApp-Signature`.",
    },
    name="IngressFormat",
)
describe_enum(
    MailState,
    "What became of a mail that came in.",
    {
        "PENDING": "It waits to be posted, or to be posted again.",
        "DELIVERED": "The program took it.",
        "DEAD": "The program did not take it for about a day.",
    },
    name="IngressMailState",
)
describe_enum(
    MailSource,
    "Which way a mail came in.",
    {"SMTP": "To the address of the mailbox.", "IMAP": "From its account."},
    name="IngressMailSource",
)


@strawberry.type(description="An account on an IMAP server that is looked into every minute.")
class IngressAccount:
    host: str = strawberry.field(description="Name of the server.")
    port: int = strawberry.field(description="Port of the server.")
    username: str = strawberry.field(description="Who signs in there.")
    tls: bool = strawberry.field(description="Whether the connection is encrypted from its start.")


@strawberry.type(description="Where mail for you comes in, and where it is posted.")
class IngressMailbox(Node):
    row: strawberry.Private[tables.IngressMailbox]

    @strawberry.field(description="Number for clients that need integers.")
    def number(self) -> BigInt:
        return BigInt(self.row.number)

    @strawberry.field(description="Your name for it; unique in the organization.")
    def uid(self) -> str:
        return self.row.uid

    @strawberry.field(description="What it is called.")
    def label(self) -> str | None:
        return self.row.label

    @strawberry.field(
        description="Mail to this address is taken over SMTP. Nobody guesses it; whoever knows "
        "it can write to it."
    )
    def address(self) -> str:
        return queries.address_of(self.row)

    @strawberry.field(description="Where each mail is posted.")
    def url(self) -> str:
        return self.row.url

    @strawberry.field(description="How each mail is posted.")
    def format(self) -> PostFormat:
        return PostFormat(self.row.format)

    @strawberry.field(description="The account that is looked into; null is none.")
    def account(self) -> IngressAccount | None:
        row = self.row
        if row.host is None or row.username is None:
            return None
        return IngressAccount(host=row.host, port=row.port, username=row.username, tls=row.tls)

    @strawberry.field(description="Why the last look into its account failed; null unless it did.")
    def failure(self) -> str | None:
        return self.row.failure

    @strawberry.field(description="When its account was last looked into.")
    def looked_at(self) -> datetime | None:
        return self.row.looked_at

    @strawberry.field(description="UUID of its project; null is none.")
    def project_uuid(self) -> UUID | None:
        return self.row.project_id

    @strawberry.field(description="When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it was last changed.")
    def updated_at(self) -> datetime:
        return self.row.updated_at


@strawberry.type(description="A mail that came into a mailbox. What it says is not shown here.")
class IngressMail(Node):
    row: strawberry.Private[tables.IngressMail]

    @strawberry.field(description="UUID of its mailbox.")
    def mailbox_uuid(self) -> UUID:
        mailbox_id: UUID = self.row.mailbox_id
        return mailbox_id

    @strawberry.field(description="Which way it came in.")
    def source(self) -> MailSource:
        return MailSource(self.row.source)

    @strawberry.field(description="Who says to have sent it.")
    def sender(self) -> str:
        return self.row.sender

    @strawberry.field(description="Its subject.")
    def subject(self) -> str:
        return self.row.subject

    @strawberry.field(description="Its octets.")
    def size_bytes(self) -> int:
        return self.row.size_bytes

    @strawberry.field(description="What became of it.")
    def state(self) -> MailState:
        return MailState(self.row.state)

    @strawberry.field(description="How often it was posted.")
    def attempts(self) -> int:
        return self.row.attempts

    @strawberry.field(description="What the program answered last, as HTTP numbers it.")
    def status(self) -> int | None:
        return self.row.status

    @strawberry.field(description="Why there was no answer to the last attempt.")
    def failure(self) -> str | None:
        return self.row.failure

    @strawberry.field(description="When it is posted next; null if it is not.")
    def due_at(self) -> datetime | None:
        return self.row.due_at

    @strawberry.field(description="When it came in.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @strawberry.field(description="When it was taken or given up.")
    def completed_at(self) -> datetime | None:
        return self.row.completed_at


def mailbox_type(row: tables.IngressMailbox) -> IngressMailbox:
    """Return a mailbox as the schema shows it."""
    return IngressMailbox(uuid=row.id, row=row)


def _mail(row: tables.IngressMail) -> IngressMail:
    return IngressMail(uuid=row.id, row=row)


async def load_mailboxes(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, IngressMailbox]:
    """Return those of the mailboxes that the actor may see."""
    found = await queries.find_mailboxes(actor, ids)
    return {id: mailbox_type(row) for id, row in found.items()}


async def load_mails(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, IngressMail]:
    """Return those of the mails that the actor may see."""
    return {id: _mail(row) for id, row in (await queries.find_mails(actor, ids)).items()}


register(IngressMailbox, load_mailboxes)
register(IngressMail, load_mails)


@strawberry.input(one_of=True, description="Names a mailbox.")
class IngressMailboxRef:
    id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="By its global id or UUID."
    )
    uid: str | None = strawberry.field(
        default=strawberry.UNSET, description="By your own name for it."
    )
    number: BigInt | None = strawberry.field(default=strawberry.UNSET, description="By its number.")


async def named_mailbox(info: Info, ref: IngressMailboxRef) -> UUID:
    """Return which mailbox is meant.

    Raises:
        NotFound: there is none.
    """
    if ref.id is not None and ref.id is not strawberry.UNSET:
        return parse_id(ref.id, "IngressMailbox")
    if ref.uid is not None and ref.uid is not strawberry.UNSET:
        return await queries.named_mailbox(actor_of(info), uid=ref.uid)
    return await queries.named_mailbox(actor_of(info), number=int(ref.number or 0))


@strawberry.type
class OrganizationFields:
    @strawberry.field(description="Where mail comes in, the oldest first. Needs `projects:read`.")
    async def ingress_mailboxes(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[IngressMailbox]:
        page = page_request(first, after, last, before)
        return to_connection(await queries.list_mailboxes(actor_of(info), page), mailbox_type)

    @strawberry.field(description="One mailbox. Needs `projects:read`.")
    async def ingress_mailbox(
        self,
        info: Info,
        ref: Annotated[IngressMailboxRef, strawberry.argument(description="Which.")],
    ) -> IngressMailbox:
        return mailbox_type(
            await queries.get_mailbox(actor_of(info), await named_mailbox(info, ref))
        )

    @strawberry.field(
        description="Mail that came in within a month, the newest first, and whether it was "
        "taken. Needs `messages:read`."
    )
    async def ingress_mails(
        self,
        info: Info,
        mailbox: Annotated[
            strawberry.ID | None, strawberry.argument(description="Id of the only mailbox.")
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[IngressMail]:
        mailbox_id = None if mailbox is None else parse_id(mailbox, "IngressMailbox")
        page = page_request(first, after, last, before)
        found = await queries.list_mails(actor_of(info), page, mailbox_id=mailbox_id)
        return to_connection(found, _mail)
