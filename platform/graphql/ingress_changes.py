"""Making, changing and deleting ingress mailboxes."""

from typing import Annotated, Any

import strawberry

from ..core.actor import ProjectId
from ..ingress import operations
from ..ingress.operations import Issued, MailboxChange, NewMailbox
from ..ingress.rules import IMAPS_PORT, MOST_MAILBOXES, AccountRequest, PostFormat
from .context import Info, actor_of
from .ingress import IngressMailbox, IngressMailboxRef, mailbox_type, named_mailbox
from .nodes import parse_id


@strawberry.input(description="An account on an IMAP server to look into.")
class IngressAccountInput:
    host: str = strawberry.field(description="Name of the server; its address must be public.")
    username: str = strawberry.field(description="Who signs in; printable ASCII.")
    password: str = strawberry.field(description="Kept encrypted and never shown.")
    port: int = strawberry.field(default=IMAPS_PORT, description="Port of the server.")
    tls: bool = strawberry.field(
        default=True,
        description="Encrypt the connection from its start; the certificate must be good.",
    )


@strawberry.input(description="The mailbox to make.")
class CreateIngressMailboxInput:
    url: str = strawberry.field(description="Where each mail is posted.")
    uid: str | None = strawberry.field(
        default=None, description="Your name for it, up to 255 characters; a UUID if absent."
    )
    label: str | None = strawberry.field(default=None, description="Up to 100 characters.")
    format: PostFormat = strawberry.field(
        default=PostFormat.RAW, description="How each mail is posted."
    )
    account: IngressAccountInput | None = strawberry.field(
        default=None, description="An account to look into, beside the mailbox's address."
    )
    project_id: strawberry.ID | None = strawberry.field(
        default=None, description="Project it belongs to; none, or that of the key."
    )


@strawberry.type(description="What `createIngressMailbox` made.")
class CreateIngressMailboxPayload:
    ingress_mailbox: IngressMailbox = strawberry.field(description="The mailbox.")
    secret: str = strawberry.field(description="Signs what is posted; shown this once.")


@strawberry.input(description="What to change of an account; an absent field stays.")
class IngressAccountChangeInput:
    host: str | None = strawberry.field(default=None, description="Name of the server.")
    username: str | None = strawberry.field(default=None, description="Who signs in.")
    password: str | None = strawberry.field(
        default=None,
        description="Another password; needed with another host, port or username, and to "
        "encrypt no more.",
    )
    port: int | None = strawberry.field(default=None, description="Port of the server.")
    tls: bool | None = strawberry.field(default=None, description="Encrypt from the start.")


@strawberry.input(description="The mailbox to change; an absent field stays.")
class UpdateIngressMailboxInput:
    mailbox: IngressMailboxRef = strawberry.field(description="Which.")
    url: str | None = strawberry.field(default=None, description="Where each mail is posted.")
    uid: str | None = strawberry.field(default=None, description="Another name of your own.")
    label: str | None = strawberry.field(
        default=None, description="What it is called; empty is nothing."
    )
    format: PostFormat | None = strawberry.field(
        default=None, description="How each mail is posted."
    )
    account: strawberry.Maybe[IngressAccountChangeInput | None] = strawberry.field(
        description="What to change of its account, or null: look into none any more."
    )
    rotate_secret: bool = strawberry.field(default=False, description="Make another secret.")


@strawberry.type(description="What `updateIngressMailbox` changed.")
class UpdateIngressMailboxPayload:
    ingress_mailbox: IngressMailbox = strawberry.field(description="The mailbox.")
    secret: str | None = strawberry.field(description="Its new secret, if it has one.")


@strawberry.input(description="The mailbox whose account to look into.")
class LookIntoIngressMailboxInput:
    mailbox: IngressMailboxRef = strawberry.field(description="Which.")


@strawberry.type(description="What `lookIntoIngressMailbox` begins.")
class LookIntoIngressMailboxPayload:
    ingress_mailbox: IngressMailbox = strawberry.field(
        description="The mailbox; `lookedAt` and `failure` say a moment later how it went."
    )


@strawberry.input(description="The mailbox to delete.")
class DeleteIngressMailboxInput:
    mailbox: IngressMailboxRef = strawberry.field(description="Which.")


@strawberry.type(description="What `deleteIngressMailbox` deleted.")
class DeleteIngressMailboxPayload:
    ingress_mailbox: IngressMailbox = strawberry.field(description="The mailbox as it was.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Make a mailbox: what comes in at its address, or from now on into its "
        f"account, is posted to a program. At most {MOST_MAILBOXES}. Needs `projects:write` and "
        "`webhooks:write`."
    )
    async def create_ingress_mailbox(
        self,
        info: Info,
        input: Annotated[CreateIngressMailboxInput, strawberry.argument(description="It.")],
    ) -> CreateIngressMailboxPayload:
        given, project = input.account, input.project_id
        account = None
        if given is not None:
            account = AccountRequest(
                given.host, given.username, given.password, given.port, given.tls
            )
        new = NewMailbox(
            url=input.url,
            uid=input.uid,
            label=input.label,
            format=input.format,
            account=account,
            project_id=None if project is None else ProjectId(parse_id(project, "Project")),
        )
        issued = await operations.create_mailbox(actor_of(info), new)
        assert issued.secret is not None
        return CreateIngressMailboxPayload(
            ingress_mailbox=mailbox_type(issued.mailbox), secret=issued.secret
        )

    @strawberry.mutation(
        description="Change a mailbox; what waits is posted as it is then. Needs `projects:write` "
        "and `webhooks:write`."
    )
    async def update_ingress_mailbox(
        self,
        info: Info,
        input: Annotated[UpdateIngressMailboxInput, strawberry.argument(description="How.")],
    ) -> UpdateIngressMailboxPayload:
        issued = await _updated(info, input)
        return UpdateIngressMailboxPayload(
            ingress_mailbox=mailbox_type(issued.mailbox), secret=issued.secret
        )

    @strawberry.mutation(
        description="Look into the account of a mailbox at once, and not only when its time has "
        "come; at most 6 times a minute. Needs `projects:write` and `webhooks:write`."
    )
    async def look_into_ingress_mailbox(
        self,
        info: Info,
        input: Annotated[LookIntoIngressMailboxInput, strawberry.argument(description="Which.")],
    ) -> LookIntoIngressMailboxPayload:
        row = await operations.look_now(actor_of(info), await named_mailbox(info, input.mailbox))
        return LookIntoIngressMailboxPayload(ingress_mailbox=mailbox_type(row))

    @strawberry.mutation(
        description="Take mail at a mailbox no more; what waits to be posted is dropped. Needs "
        "`projects:write` and `webhooks:write`."
    )
    async def delete_ingress_mailbox(
        self,
        info: Info,
        input: Annotated[DeleteIngressMailboxInput, strawberry.argument(description="Which.")],
    ) -> DeleteIngressMailboxPayload:
        row = await operations.delete_mailbox(
            actor_of(info), await named_mailbox(info, input.mailbox)
        )
        return DeleteIngressMailboxPayload(ingress_mailbox=mailbox_type(row))


async def _updated(info: Info, input: UpdateIngressMailboxInput) -> Issued:
    account: dict[str, Any] | None = None
    if input.account is not None and (given := input.account.value) is not None:
        names = ("host", "username", "password", "port", "tls")
        account = {name: getattr(given, name) for name in names}
    return await operations.update_mailbox(
        actor_of(info),
        await named_mailbox(info, input.mailbox),
        MailboxChange(
            url=input.url,
            uid=input.uid,
            label=input.label,
            format=input.format,
            account=account,
            leaves_account=input.account is not None and input.account.value is None,
            rotates_secret=input.rotate_secret,
        ),
    )
