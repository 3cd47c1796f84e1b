"""A message on its way into the tables, and the rows it becomes."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime

from ...accounts.rules import TrackingSwitches
from ...core.actor import ApiKeyId, Mode, OrganizationId, ProjectId, UserId
from ...core.database import Tx, fetch
from ...core.ids import new_tokens
from ...core.quick_ids import quick, quick_id
from ...core.records import records
from ...core.settings import settings
from ...delivery.contents import ContentFormat, Mailing, encode_mailing, encode_parts
from ...delivery.operations import NewDelivery, NewSpooledMessage, spool
from ...delivery.rules import DeliveryState, Priority, message_status, queue_id
from ...domains.work import SendingDomain
from ...events.operations import NewEvent, append_to_each
from ...events.rules import NO_WEBHOOKS, EventType
from ...mail.compose import Parts
from ...tracking.rules import Tracks, decide
from ...vmtas.rules import DEFAULT_POOL
from ..rules import CheckedMessage, Shown, Source, Stream, warnings_of
from .submission import Receipt, ReceiptRecipient

PRIORITIES = {
    Stream.TRANSACTIONAL: Priority.TRANSACTIONAL,
    Stream.MARKETING: Priority.MARKETING,
}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose messages these are, as the tables need it."""

    organization_id: OrganizationId
    project_id: ProjectId
    plan: str
    user_id: UserId | None
    api_key_id: ApiKeyId | None


@dataclass(slots=True)
class Draft:
    """One message on its way into the tables."""

    owner: Owner
    checked: CheckedMessage
    mode: Mode
    source: Source
    batch_id: str | None
    id: uuid.UUID
    content_id: uuid.UUID
    domain: SendingDomain | None
    vmta_id: uuid.UUID
    reasons: dict[str, str]
    """Address key to why it is suppressed."""
    deliveries: list[NewDelivery]
    credits: int
    created_at: datetime
    entry_id: uuid.UUID | None = None
    balance_after: int | None = None
    dropped: frozenset[str] = frozenset()
    calls_webhooks: bool = True
    switches: tuple[TrackingSwitches, ...] = ()
    """What message, project, domain and organization decide about tracking, in this order."""
    choices: dict[str, TrackingSwitches] = field(default_factory=dict)
    """What was decided for recipients, by address key."""
    keys: list[str] = field(init=False)
    """The address key of each recipient, in their order."""

    def __post_init__(self) -> None:
        self.keys = [recipient.mailbox.key for recipient in self.checked.recipients]

    @property
    def pool(self) -> str | None:
        """The pool whose vMTAs share it; None when it names a vMTA."""
        if self.checked.vmta:
            return None
        return self.checked.pool or (self.domain.default_pool if self.domain else DEFAULT_POOL)

    @property
    def tracks(self) -> Tracks:
        """What is tracked where nothing else was decided for the recipient."""
        return decide(self.switches)

    @property
    def header_message_id(self) -> str:
        given = self.checked.header_message_id
        return f"{self.id}@{self.checked.sender.domain}" if given is None else given

    @property
    def suppressed(self) -> int:
        """How many of its deliveries are not attempted; who is named twice counts twice."""
        suppressed = DeliveryState.SUPPRESSED
        return sum(each.state is suppressed for each in self.deliveries) if self.reasons else 0


def new_deliveries(draft: Draft) -> list[NewDelivery]:
    """Return the deliveries of *draft*, one for each recipient, suppressed if there is a reason to.

    What is the same for all of them is found out before the first: there may be 10,000.
    """
    message, owner = draft.checked, draft.owner
    texts, usual = message.personal, draft.tracks
    state = DeliveryState.SCHEDULED if message.send_at else DeliveryState.QUEUED
    due_at = None if draft.mode is Mode.SANDBOX else message.send_at or draft.created_at
    suppressed, priority = DeliveryState.SUPPRESSED, PRIORITIES[message.stream]
    whose = owner.organization_id, owner.project_id, draft.id
    vmta_id, expires_at, created_at = draft.vmta_id, message.expires_at, draft.created_at
    choices, reasons = draft.choices, draft.reasons
    queues: dict[str, uuid.UUID] = {}
    found = []
    tokens = new_tokens(len(message.recipients))
    for nth, (recipient, key) in enumerate(zip(message.recipients, draft.keys, strict=True)):
        mailbox = recipient.mailbox
        domain = mailbox.domain
        if domain not in queues:
            queues[domain] = quick(queue_id(owner.organization_id, vmta_id, domain))
        personal = None
        if texts is not None:
            personal = texts.redirected[nth] if texts.redirected else texts.of.get(key)
        choice = choices.get(key)
        is_suppressed = key in reasons
        # By place: by name it would take two and a half times as long.
        found.append(
            NewDelivery(
                quick_id(),
                tokens[nth],
                *whose,
                queues[domain],
                vmta_id,
                recipient.kind,
                mailbox.address,
                key,
                domain,
                priority,
                suppressed if is_suppressed else state,
                None if is_suppressed else due_at,
                expires_at,
                created_at,
                decide((choice, *draft.switches)) if choice else usual,
                personal,
            )
        )
    return found


async def write(tx: Tx, drafts: Sequence[Draft]) -> dict[uuid.UUID, int]:
    """Write every table and return the number of each message and delivery by its id."""
    if not drafts:
        return {}
    numbers = await spool(
        tx,
        [_spooled(draft) for draft in drafts],
        [delivery for draft in drafts for delivery in draft.deliveries],
    )
    numbers |= await _insert_messages(drafts)
    await _append_events(tx, drafts)
    return numbers


def _spooled(draft: Draft) -> NewSpooledMessage:
    states = [delivery.state for delivery in draft.deliveries]
    domain = draft.domain
    checked = draft.checked
    format, content = _content(draft)
    return NewSpooledMessage(
        id=draft.id,
        organization_id=draft.owner.organization_id,
        content_id=draft.content_id,
        domain_id=domain.id if domain else None,
        return_path_domain=domain.return_path_domain if domain else settings().hostname,
        states=states,
        names_vmta=checked.vmta is not None,
        null_sender=checked.null_sender,
        content_format=format,
        content=content,
        created_at=draft.created_at,
    )


def _content(draft: Draft) -> tuple[ContentFormat, bytes]:
    """Return what the message says, as it is stored."""
    raw, texts = draft.checked.raw, draft.checked.personal
    if raw is not None:
        return ContentFormat.RAW, raw
    if texts is None:
        return ContentFormat.PARTS, encode_parts(_parts(draft))
    parts = replace(_parts(draft), subject="", html=None, text=None)
    mailing = Mailing(parts, texts.layers, dict(texts.values), texts.is_apart)
    return ContentFormat.MAILING, encode_mailing(mailing)


def _shown(checked: CheckedMessage) -> Shown:
    to, cc = (
        tuple(r.mailbox for r in checked.recipients if r.kind == kind) for kind in ("to", "cc")
    )
    return Shown(to=to, cc=cc, submitter=None, date=None)


def _parts(draft: Draft) -> Parts:
    checked = draft.checked
    shown = checked.shown or _shown(checked)
    feedback = ":".join(
        (
            checked.stream.value,
            draft.owner.project_id.hex,
            draft.owner.organization_id.hex,
            "postlane",
        )
    )
    return Parts(
        message_id=draft.header_message_id,
        date=shown.date or draft.created_at,
        sender=checked.sender,
        to=shown.to,
        cc=shown.cc,
        reply_to=checked.reply_to,
        subject=checked.subject,
        text=checked.text,
        html=checked.html,
        headers=(*checked.headers, ("Feedback-ID", feedback)),
        attachments=checked.attachments,
        submitter=shown.submitter,
        received=_received(shown, draft.created_at),
    )


def _received(shown: Shown, at: datetime) -> str | None:
    # Not from where: the address of who sends is none of the recipient's business.
    if shown.received_over is None:
        return None
    return f"by {settings().hostname} with {shown.received_over}; {format_datetime(at)}"


async def _append_events(tx: Tx, drafts: Sequence[Draft]) -> None:
    events: list[NewEvent] = []
    places: list[int] = []
    for draft in drafts:
        # What was suppressed for the same reason says the same, and so does all the rest.
        known: dict[str | None, int] = {}
        for key in draft.keys if draft.reasons else ():
            reason = draft.reasons.get(key)
            if reason not in known:
                events.append(_event(draft, reason))
                known[reason] = len(events)
            places.append(known[reason])
        if not draft.reasons:
            events.append(_event(draft, None))
            places += [len(events)] * len(draft.deliveries)
    ids = [delivery.id for draft in drafts for delivery in draft.deliveries]
    await append_to_each(tx, events, places, ids)


def _event(draft: Draft, reason: str | None) -> NewEvent:
    """Return what happens to deliveries of *draft* that are suppressed for *reason*, or queued."""
    send_at = draft.checked.send_at
    data = (
        {"reason": reason} if reason else {"scheduled_at": _rfc3339(send_at) if send_at else None}
    )
    return NewEvent(
        organization_id=draft.owner.organization_id,
        project_id=draft.owner.project_id,
        message_id=draft.id,
        delivery_id=None,
        type=EventType.MESSAGE_SUPPRESSED if reason else EventType.MESSAGE_QUEUED,
        data=data if draft.calls_webhooks else {**data, **NO_WEBHOOKS},
        occurred_at=draft.created_at,
        simulated=draft.mode is Mode.SANDBOX,
        vmta_id=None if reason else draft.vmta_id,
    )


INSERT_MESSAGES = """
    INSERT INTO messages (id, organization_id, project_id, content_id, domain_id,
        header_message_id, sender, sender_name, sender_key, sender_domain, recipients, subject,
        batch_id, tags, metadata, stream, mode, source, track_opens, track_clicks, pool,
        vmta_id, size_bytes, credits, credit_entry_id, send_at, expires_at, api_key_id,
        user_id, created_at, envelope_sender, template, uid)
    SELECT id, organization_id, project_id, content_id, domain_id, header_message_id, sender,
        sender_name, sender_key, sender_domain, recipients, subject, batch_id, tags, metadata,
        stream, mode, source, track_opens, track_clicks, pool, vmta_id, size_bytes, credits,
        credit_entry_id, send_at, expires_at, api_key_id, user_id, created_at, envelope_sender,
        template, uid
    FROM json_to_recordset({}::json)
    AS new (id uuid, organization_id uuid, project_id uuid, content_id uuid, domain_id uuid,
        header_message_id text, sender text, sender_name text, sender_key text,
        sender_domain text, recipients jsonb, subject text, batch_id text, tags text[],
        metadata jsonb, stream text, mode text, source text, track_opens boolean,
        track_clicks boolean, pool text, vmta_id uuid, size_bytes integer, credits bigint,
        credit_entry_id uuid, send_at timestamptz, expires_at timestamptz, api_key_id uuid,
        user_id uuid, created_at timestamptz, envelope_sender text, template text, uid text)
    RETURNING id, number
"""


def _row(draft: Draft) -> dict[str, object]:
    """Return the message's row."""
    checked, owner, tracks = draft.checked, draft.owner, draft.tracks
    sender = checked.sender
    return {
        "id": draft.id,
        "organization_id": owner.organization_id,
        "project_id": owner.project_id,
        "content_id": draft.content_id,
        "domain_id": draft.domain.id if draft.domain else None,
        "header_message_id": draft.header_message_id,
        "sender": sender.address,
        "sender_name": sender.display_name,
        "sender_key": sender.key,
        "sender_domain": sender.domain,
        "recipients": _addresses(draft),
        "subject": checked.subject,
        "batch_id": draft.batch_id,
        "tags": checked.tags,
        "metadata": checked.metadata,
        "stream": checked.stream,
        "mode": draft.mode,
        "source": draft.source,
        "track_opens": bool(tracks & Tracks.OPENS),
        "track_clicks": bool(tracks & Tracks.CLICKS),
        "pool": draft.pool,
        "vmta_id": draft.vmta_id if checked.vmta else None,
        "size_bytes": checked.size_bytes,
        "credits": draft.credits,
        "credit_entry_id": draft.entry_id,
        "send_at": checked.send_at,
        "expires_at": checked.expires_at,
        "api_key_id": owner.api_key_id,
        "user_id": owner.user_id,
        "created_at": draft.created_at,
        "envelope_sender": checked.envelope_sender,
        "template": checked.template,
        "uid": checked.uid,
    }


def _addresses(draft: Draft) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"to": [], "cc": [], "bcc": []}
    for delivery in draft.deliveries:
        found[delivery.kind].append(delivery.address)
    return found


async def _insert_messages(drafts: Sequence[Draft]) -> dict[uuid.UUID, int]:
    rows = await fetch(INSERT_MESSAGES, records([_row(draft) for draft in drafts]))
    return {row["id"]: row["number"] for row in rows}


def receipt_of(draft: Draft, numbers: dict[uuid.UUID, int], *, names_recipients: bool) -> Receipt:
    """Return what the customer is told about an accepted message."""
    return Receipt(
        id=draft.id,
        number=numbers[draft.id],
        status=message_status([delivery.state for delivery in draft.deliveries]),
        header_message_id=draft.header_message_id,
        batch_id=draft.batch_id,
        mode=draft.mode.value,
        recipients=[
            ReceiptRecipient(d.id, d.address, d.kind, d.state, numbers[d.id], d.token)
            for d in (draft.deliveries if names_recipients else ())
        ],
        accepted=len(draft.deliveries) - draft.suppressed,
        suppressed=draft.suppressed,
        credits_consumed=draft.credits,
        credits_remaining=draft.balance_after,
        send_at=draft.checked.send_at,
        warnings=warnings_of(draft.checked),
        created_at=draft.created_at,
    )


def _rfc3339(at: datetime) -> str:
    # Events are read by customers' programs, where all times have this one form.
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
