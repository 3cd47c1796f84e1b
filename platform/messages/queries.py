"""Reading messages for an actor."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta

from piccolo.columns.combination import WhereRaw
from piccolo.custom_types import Combinable
from piccolo.query import Objects

from ..core.actor import Actor, Permission
from ..core.errors import NotFound
from ..core.ids import first_id_at
from ..core.paging import Order, Page, PageRequest, by_id, fetch_page
from ..delivery.queries import recipient_clause, status_clause
from .tables import Erasure, Message


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages; what is None or empty does not matter."""

    statuses: Sequence[str] = ()
    sender: str | None = None
    """Address of From."""
    recipient: str | None = None
    """Address of any recipient."""
    sender_domain: str | None = None
    recipient_domain: str | None = None
    batch_id: str | None = None
    tag: str | None = None
    stream: str | None = None
    mode: str | None = None
    pool: str | None = None
    vmta: str | None = None
    """Name or UUID of the vMTA that was asked for."""
    domain_id: uuid.UUID | None = None
    """The sending domain; its subdomains count."""
    isp: str | None = None
    """Who runs the mailbox of any recipient."""
    api_key_id: uuid.UUID | None = None
    bounce_class: str | None = None
    header_message_id: str | None = None
    metadata: Sequence[tuple[str, str]] = field(default_factory=tuple)
    words: Sequence[str] = ()
    """Each must be in the subject."""
    created_after: datetime | None = None
    """Inclusive."""
    created_before: datetime | None = None
    """Exclusive."""

    @property
    def is_whole_log(self) -> bool:
        """Say whether nothing but a time is asked for; other conditions have their indexes."""
        others = {each.name for each in fields(self)} - {"created_after", "created_before"}
        return not any(getattr(self, name) for name in others)

    @property
    def scope(self) -> str:
        """Return what ties a cursor to this filter; the same for the same filter."""
        return str(hash_of(repr(self)))


def hash_of(text: str) -> str:
    """Return a short, stable hash of *text*."""
    return uuid.uuid5(uuid.NAMESPACE_OID, text).hex[:12]


def _of_actor(actor: Actor) -> list[Combinable]:
    return [Message.organization_id == actor.organization_id, *_of_project(actor)]


def _of_project(actor: Actor) -> list[Combinable]:
    actor.require(Permission.READ_MESSAGES)
    return [Message.project_id == actor.project_id] if actor.project_id else []


def _visible(actor: Actor) -> "Objects[Message]":
    return Message.objects().where(*_of_actor(actor))


async def find_messages(actor: Actor, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Message]:
    """Return those of *ids* that the actor may see, by id."""
    rows = await _visible(actor).where(Message.id.is_in(list(ids)))
    return {row.id: row for row in rows}


async def get_message(actor: Actor, message_id: uuid.UUID) -> Message:
    """Return one message.

    Raises:
        NotFound: there is none, or it is not the actor's.
    """
    found = await find_messages(actor, [message_id])
    if message_id not in found:
        raise NotFound("There is no such message in this organization.")
    return found[message_id]


async def get_message_by_number(actor: Actor, number: int) -> Message:
    """Return the message that foreign clients know by *number*.

    Raises:
        NotFound: there is none, or it is not the actor's.
    """
    message = None
    if 0 < number < 2**63:
        message = await _visible(actor).where(Message.number == number).first()
    if message is None:
        raise NotFound("There is no such message in this organization.")
    return message


async def list_messages(
    actor: Actor,
    page: PageRequest,
    *,
    wanted: MessageFilter,
    order: Order | None = None,
) -> Page[Message]:
    """Return messages, newest first unless *order* says otherwise."""
    order = order or by_id()
    query = _visible(actor)
    if wanted.is_whole_log and order.unique:
        query = Message.objects().where(*_of_project(actor))
        order = order.owned_by(actor.organization_id)
    if wanted.created_after:
        # Ids are in the order of time, so that the index ends there, too.
        oldest = first_id_at(max(wanted.created_after, BEGINNING) - UNCERTAINTY)
        query = query.where(WhereRaw(_NOT_BEFORE, actor.organization_id, oldest))
    return await fetch_page(query.where(*_conditions(wanted)), page, order, scope=wanted.scope)


async def count_messages(actor: Actor, wanted: MessageFilter) -> int:
    """Return how many messages there are; on a long log this takes a while."""
    found: int = await Message.count().where(*_of_actor(actor), *_conditions(wanted))
    return found


def _conditions(wanted: MessageFilter) -> list[Combinable]:
    columns = (
        (Message.sender_key, wanted.sender and wanted.sender.lower()),
        (Message.sender_domain, wanted.sender_domain),
        (Message.batch_id, wanted.batch_id),
        (Message.stream, wanted.stream),
        (Message.mode, wanted.mode),
        (Message.pool, wanted.pool),
        (Message.domain_id, wanted.domain_id),
        (Message.api_key_id, wanted.api_key_id),
        (Message.header_message_id, wanted.header_message_id),
    )
    found: list[Combinable] = [column == value for column, value in columns if value is not None]
    if wanted.statuses:
        found.append(status_clause(wanted.statuses))
    if wanted.vmta is not None:
        found.append(WhereRaw(_OF_VMTA, wanted.vmta))
    if wanted.recipient or wanted.recipient_domain or wanted.bounce_class or wanted.isp:
        found.append(
            recipient_clause(
                address_key=wanted.recipient and wanted.recipient.lower(),
                domain=wanted.recipient_domain,
                bounce_class=wanted.bounce_class,
                isp=wanted.isp,
            )
        )
    if wanted.tag is not None:
        found.append(Message.tags.any(wanted.tag))
    found += [WhereRaw("metadata ->> {} = {}", key, value) for key, value in wanted.metadata]
    # strpos, not LIKE: a word is a word, whatever signs it holds.
    found += [WhereRaw("strpos(lower(subject), {}) > 0", word.lower()) for word in wanted.words]
    if wanted.created_after:
        found.append(Message.created_at >= wanted.created_after)
    if wanted.created_before:
        found.append(Message.created_at < wanted.created_before)
    return found


BEGINNING = datetime.fromtimestamp(0, UTC)
"""No message is older; much earlier there is no time before it."""

UNCERTAINTY = timedelta(minutes=1)
"""A message's id is older than its time, by much less than this."""
_NOT_BEFORE = "(messages.organization_id, messages.id) >= ({}, {})"
_OF_VMTA = (
    "EXISTS (SELECT FROM vmtas v WHERE v.id = messages.vmta_id AND {} IN (v.name, v.id::text))"
)


async def list_erasures(actor: Actor, *, page: PageRequest) -> Page[Erasure]:
    """Return who is being erased or was, newest first, without saying who that is."""
    actor.require(Permission.READ_SECURITY)
    query = Erasure.objects().where(Erasure.organization_id == actor.organization_id)
    return await fetch_page(query, page, by_id(), scope="erasures")


async def find_erasures(actor: Actor, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Erasure]:
    """Return those of the erasures that are the organization's."""
    actor.require(Permission.READ_SECURITY)
    query = Erasure.objects().where(Erasure.organization_id == actor.organization_id)
    rows = await query.where(Erasure.id.is_in(list(ids)))
    return {row.id: row for row in rows}
