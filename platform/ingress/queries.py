"""Reading ingress mailboxes, and what came into them."""

import uuid
from collections.abc import Collection, Mapping, Sequence

from piccolo.query import Objects

from ..core.actor import Actor, Permission
from ..core.errors import NotFound
from ..core.paging import Page, PageRequest, by_id, fetch_page
from ..core.settings import settings
from .rules import MOST_MAILBOXES, PREFIX
from .tables import IngressMail, IngressMailbox

OLDEST_FIRST = by_id(descending=False)
NEWEST_FIRST = by_id()


async def list_mailboxes(actor: Actor, page: PageRequest) -> Page[IngressMailbox]:
    """Return a page of the mailboxes, the oldest first."""
    actor.require(Permission.READ_PROJECTS)
    return await fetch_page(visible(actor), page, OLDEST_FIRST, scope="ingress_mailboxes")


async def all_mailboxes(actor: Actor) -> Sequence[IngressMailbox]:
    """Return every mailbox, the oldest first."""
    actor.require(Permission.READ_PROJECTS)
    return list(await visible(actor).order_by(IngressMailbox.id).limit(MOST_MAILBOXES))


async def find_mailboxes(
    actor: Actor, ids: Collection[uuid.UUID]
) -> Mapping[uuid.UUID, IngressMailbox]:
    """Return those of the mailboxes that the actor may see."""
    actor.require(Permission.READ_PROJECTS)
    rows = await visible(actor).where(IngressMailbox.id.is_in(list(ids)))
    return {row.id: row for row in rows}


async def get_mailbox(actor: Actor, mailbox_id: uuid.UUID) -> IngressMailbox:
    """Return a mailbox.

    Raises:
        NotFound: it is absent or somebody else's.
    """
    return _found((await find_mailboxes(actor, [mailbox_id])).get(mailbox_id))


async def named_mailbox(actor: Actor, *, uid: str | None = None, number: int = 0) -> uuid.UUID:
    """Return the mailbox that the customer calls *uid*, or else the one with *number*.

    Raises:
        NotFound: it is absent or somebody else's.
    """
    query = visible(actor)
    if uid is not None:
        query = query.where(IngressMailbox.uid == uid)
    else:
        query = query.where(IngressMailbox.number == (number if 0 < number < 2**63 else 0))
    id: uuid.UUID = _found(await query.first()).id
    return id


async def list_mails(
    actor: Actor, page: PageRequest, *, mailbox_id: uuid.UUID | None = None
) -> Page[IngressMail]:
    """Return a page of the mails that came in, the newest first.

    What they say is for the program that they are posted to.

    Raises:
        NotFound: there is no such mailbox.
    """
    query = await _mails(actor)
    if mailbox_id is not None:
        await get_mailbox(actor, mailbox_id)
        query = query.where(IngressMail.mailbox_id == mailbox_id)
    return await fetch_page(query, page, NEWEST_FIRST, scope="ingress_mails")


async def find_mails(actor: Actor, ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, IngressMail]:
    """Return those of the mails that the actor may see."""
    rows = await (await _mails(actor)).where(IngressMail.id.is_in(list(ids)))
    return {row.id: row for row in rows}


async def _mails(actor: Actor) -> "Objects[IngressMail]":
    actor.require(Permission.READ_MESSAGES)
    query = IngressMail.objects().where(IngressMail.organization_id == actor.organization_id)
    if actor.project_id is not None:
        own = [row.id for row in await visible(actor)]
        query = query.where(IngressMail.mailbox_id.is_in(own))
    return query


def address_of(mailbox: IngressMailbox) -> str:
    """Return the address at which mail for a mailbox is taken over SMTP."""
    return f"{PREFIX}{mailbox.token}@{settings().hostname}"


def visible(actor: Actor) -> "Objects[IngressMailbox]":
    """Return the query of the mailboxes that the actor may see."""
    query = IngressMailbox.objects().where(IngressMailbox.organization_id == actor.organization_id)
    if actor.project_id is not None:
        query = query.where(IngressMailbox.project_id == actor.project_id)
    return query


def _found(row: IngressMailbox | None) -> IngressMailbox:
    if row is None:
        raise NotFound
    return row
