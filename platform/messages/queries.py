"""Reading messages for an actor."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta

from piccolo.columns.combination import WhereRaw
from piccolo.custom_types import Combinable
from piccolo.query import Objects

from ..accounts.queries import default_project_id
from ..core.actor import Actor, Permission, ProjectId
from ..core.counting import Total, total_of
from ..core.database import fetch
from ..core.errors import DetailCode, InvalidInput, NotFound
from ..core.ids import first_id_at
from ..core.paging import Order, Page, PageRequest, by_id, fetch_page, start_of
from ..delivery.matching import AskedOfDeliveries
from ..delivery.queries import recipient_clause, status_clause
from .tables import Erasure, Message

FoundMessage = Message
"""What a list holds."""


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
        return not self._names_beyond("created_after", "created_before")

    @property
    def is_by_status(self) -> bool:
        """Say whether a status is asked for, and nothing that has an index of its own."""
        return bool(self.statuses) and not self._names_beyond(
            "statuses", "stream", "mode", "created_after", "created_before"
        )

    def _names_beyond(self, *names: str) -> bool:
        others = {each.name for each in fields(self)} - set(names)
        return any(getattr(self, name) for name in others)

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


async def get_message_by_uid(actor: Actor, uid: str) -> Message:
    """Return the message that the customer calls *uid*, in the actor's project or the default one.

    Raises:
        NotFound: there is none.
    """
    project_id = await _own_project(actor)
    query = _visible(actor).where(Message.project_id == project_id)
    message = await query.where(Message.uid == uid).first() if uid and "\x00" not in uid else None
    if message is None:
        raise NotFound("There is no such message in this organization.")
    return message


async def _own_project(actor: Actor) -> ProjectId:
    return actor.project_id or await default_project_id(actor.organization_id)


MOST_ON_PAGE = 250
LAST_PAGE = 400


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """A page of what has a uid, for clients that know pages by numbers alone."""

    page: int = 1
    """From 1; beyond the 400th there is nothing."""
    per_page: int = MOST_ON_PAGE
    since: datetime | None = None
    """Inclusive."""
    until: datetime | None = None
    """Exclusive."""
    oldest_first: bool = False

    @property
    def places(self) -> tuple[int, int]:
        """The place of its last item, and how many come before its first."""
        return self.page * self.per_page, (self.page - 1) * self.per_page

    def check(self) -> None:
        """Do nothing if there can be such a page.

        Raises:
            InvalidInput: a number is out of range.
        """
        if self.page < 1:
            raise InvalidInput.of("page", DetailCode.TOO_SMALL, "Pages count from 1.")
        if not 1 <= self.per_page <= MOST_ON_PAGE:
            code = DetailCode.TOO_SMALL if self.per_page < 1 else DetailCode.TOO_LARGE
            raise InvalidInput.of("perPage", code, f"A page has 1 to {MOST_ON_PAGE} items.")

    @property
    def ids(self) -> tuple[uuid.UUID, uuid.UUID]:
        """The first id of its time, and the first after it."""
        # Ids are in the order of time, so that the index says which is when.
        start = first_id_at(max(self.since, BEGINNING)) if self.since else uuid.UUID(int=0)
        return start, first_id_at(self.until) if self.until else uuid.UUID(int=2**128 - 1)


# Whoever knows pages by numbers alone has what comes before counted: in an index of ids, and
# never more than 100,000 of them.
_NEWEST = """
    SELECT id FROM (
        SELECT id, row_number() OVER (ORDER BY id DESC) AS place FROM messages
        WHERE project_id = {} AND uid IS NOT NULL AND id >= {} AND id < {}
        ORDER BY id DESC LIMIT {}) AS counted
    WHERE place > {} ORDER BY place
"""
_OLDEST = """
    SELECT id FROM (
        SELECT id, row_number() OVER (ORDER BY id) AS place FROM messages
        WHERE project_id = {} AND uid IS NOT NULL AND id >= {} AND id < {}
        ORDER BY id LIMIT {}) AS counted
    WHERE place > {} ORDER BY place
"""
_UID_DELIVERIES = """
    SELECT id FROM (
        SELECT delivery.id, row_number() OVER (ORDER BY message.id, delivery.id) AS place
        FROM messages AS message JOIN deliveries AS delivery ON delivery.message_id = message.id
        WHERE message.project_id = {} AND message.uid IS NOT NULL AND message.id >= {}
            AND message.id < {} ORDER BY message.id, delivery.id LIMIT {}) AS counted
    WHERE place > {} ORDER BY place
"""


async def list_uid_messages(actor: Actor, asked: NumberedPage) -> list[Message]:
    """Return the messages of the actor's project that have a uid, a page of them."""
    actor.require(Permission.READ_MESSAGES)
    asked.check()
    if asked.page > LAST_PAGE:
        return []
    project_id = await _own_project(actor)
    statement = _OLDEST if asked.oldest_first else _NEWEST
    rows = await fetch(statement, project_id, *asked.ids, *asked.places)
    found = await find_messages(actor, [row["id"] for row in rows]) if rows else {}
    return [found[row["id"]] for row in rows if row["id"] in found]


async def list_uid_deliveries(actor: Actor, asked: NumberedPage) -> list[uuid.UUID]:
    """Return the deliveries of these messages, the oldest first, a page of them."""
    actor.require(Permission.READ_MESSAGES)
    asked.check()
    if asked.page > LAST_PAGE:
        return []
    project_id = await _own_project(actor)
    rows = await fetch(_UID_DELIVERIES, project_id, *asked.ids, *asked.places)
    return [row["id"] for row in rows]


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
    if wanted.is_by_status and order.unique:
        ids = await _find_by_status(actor, page, wanted=wanted, order=order)
        query = query.where(WhereRaw("messages.id = ANY({}::uuid[])", ids))
        return await fetch_page(query, page, order, scope=wanted.scope)
    if wanted.is_whole_log and order.unique:
        query = Message.objects().where(*_of_project(actor))
        order = order.owned_by(actor.organization_id)
    if wanted.created_after:
        # Ids are in the order of time, so that the index ends there, too.
        oldest = first_id_at(max(wanted.created_after, BEGINNING) - UNCERTAINTY)
        query = query.where(WhereRaw(_NOT_BEFORE, actor.organization_id, oldest))
    return await fetch_page(query.where(*_conditions(wanted)), page, order, scope=wanted.scope)


# Of each status so many as the page holds are looked up in its part of the index, whose order is
# that of the page. Were they looked for in the log, the one message of a million that bounced
# would be found behind all the others. Bounds are rows and each look is fenced off, because the
# planner, who takes a rare status for as frequent as any, would rather walk the log.
_BY_STATUS = """
    SELECT found.id FROM unnest({{}}::text[]) AS wanted (status) CROSS JOIN LATERAL (
        SELECT part.id FROM (
            SELECT organization_id, status, id FROM spooled_messages
            WHERE (organization_id, status, id) > ({{}}, wanted.status, {{}})
            AND (organization_id, status, id) < ({{}}, wanted.status, {{}})
            ORDER BY organization_id {direction}, status {direction}, id {direction} LIMIT ALL
        ) AS part CROSS JOIN LATERAL (
            SELECT FROM messages WHERE id = part.id
            AND ({{}}::uuid IS NULL OR project_id = {{}})
            AND ({{}}::text IS NULL OR mode = {{}})
            AND ({{}}::text IS NULL OR stream = {{}})
            AND ({{}}::timestamptz IS NULL OR created_at >= {{}})
            AND ({{}}::timestamptz IS NULL OR created_at < {{}}) LIMIT ALL
        ) AS message
        ORDER BY organization_id {direction}, status {direction}, part.id {direction} LIMIT {{}}
    ) AS found
    ORDER BY found.id {direction} LIMIT {{}}
"""
_DOWN, _UP = _BY_STATUS.format(direction="DESC"), _BY_STATUS.format(direction="ASC")
_BEFORE_ALL, _BEHIND_ALL = uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)


async def _find_by_status(
    actor: Actor, page: PageRequest, *, wanted: MessageFilter, order: Order
) -> list[uuid.UUID]:
    """Return the messages of a page, and the one after it, by what the index of statuses says."""
    actor.require(Permission.READ_MESSAGES)
    descending, start = start_of(page, order, scope=wanted.scope)
    since, most = wanted.created_after, page.size + 1
    first = first_id_at(max(since, BEGINNING) - UNCERTAINTY) if since else _BEFORE_ALL
    after = first if descending or start is None else max(first, start)
    before = start if descending and start is not None else _BEHIND_ALL
    conditions = (actor.project_id, wanted.mode, wanted.stream, since, wanted.created_before)
    rows = await fetch(
        _DOWN if descending else _UP,
        sorted(set(wanted.statuses)),
        *(actor.organization_id, after, actor.organization_id, before),
        *(value for value in conditions for _ in range(2)),
        *(most, most),
    )
    return [row["id"] for row in rows]


async def count_messages(actor: Actor, wanted: MessageFilter, *, exact: bool = False) -> Total:
    """Return how many messages there are; on a long log an *exact* answer takes a while."""
    rows = Message.select(Message.id).where(*_of_actor(actor), *_conditions(wanted))
    return await total_of(rows, exact=exact)


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


def asked_of_deliveries(wanted: MessageFilter) -> AskedOfDeliveries:
    """Return what *wanted* says of the recipients of messages."""
    return AskedOfDeliveries(
        statuses=wanted.statuses,
        address_key=wanted.recipient and wanted.recipient.lower(),
        domain=wanted.recipient_domain,
        bounce_class=wanted.bounce_class,
        isp=wanted.isp,
    )


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
