"""What comes back later: bounces and complaints of what was delivered, believed by their token."""

import logging
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ...core import clock
from ...core.actor import OrganizationId, ProjectId
from ...core.crypto import derived_keys
from ...core.database import Tx, fetch, transaction
from ...core.ids import new_id
from ...core.settings import settings
from ...events.operations import NewEvent, append
from ...events.rules import EventType
from ...mail.outcome import BounceType, Outcome, Verdict, outcome_of_reply
from ...mail.reports import Action, DeliveryReport, FeedbackReport, Notice
from ...mail.return_path import find_return_path
from ...suppressions.rules import SuppressionReason
from ...suppressions.work import NewSuppression, add
from ..classify import judge
from ..isps import Isp, isp_of
from ..rules import OPEN, DeliveryState
from .claims import RETURN_PATH_PURPOSE
from .cooling import COOLING_FOR, keep_failing
from .settling import write_messages

log = logging.getLogger(__name__)

LATE_BOUNCE = timedelta(days=10)
"""How long after its delivery a bounce is believed: queues elsewhere give up within five days
(RFC 5321 section 4.5.4.1), and some are generous."""

REPORT_BYTES = 64 * 1024
"""Octets that are kept of a report about ourselves."""
REPORTS_PER_DAY = 5_000
"""Reports about ourselves that are kept within a day; anybody can write them."""

NOT_A_COMPLAINT = frozenset({"not-spam", "auth-failure", "dmarc", "other"})
"""Types of feedback that say nothing against a message. Source: RFC 5965, RFC 6430, RFC 6591."""


class Reception(StrEnum):
    """What became of what came back."""

    BELIEVED = "believed"
    NOTHING_NEW = "nothing_new"
    TOO_EARLY = "too_early"
    """The delivery is not settled yet; whoever says it has to say it again."""
    NOT_A_COMPLAINT = "not_a_complaint"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Addressee:
    """The delivery that an address or a clue of ours names."""

    delivery_id: uuid.UUID
    organization_id: OrganizationId
    project_id: ProjectId
    message_id: uuid.UUID
    address: str
    state: DeliveryState
    mx_host: str | None
    delivered_at: datetime | None
    return_path_domain: str

    @property
    def domain(self) -> str:
        """The domain of the recipient."""
        return self.address.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True)
class FromOutside:
    """Who handed a mail over, for what is kept of it."""

    peer: str
    sender: str
    recipient: str
    data: bytes


async def find_addressee(delivery_id: uuid.UUID, *, domain: str | None = None) -> Addressee | None:
    """Return a delivery, with *domain* only if its own mail comes back to that domain."""
    rows = await fetch(_FIND + "WHERE delivery.id = {}", delivery_id)
    if not rows:
        return None
    found = _addressee(rows[0])
    return found if domain is None or found.return_path_domain == domain else None


async def named_in(report: FeedbackReport) -> Addressee | None:
    """Return the delivery that a complaint is about; None where nothing in it is believed.

    A signed return path names it. A Message-ID of ours does where the message has had one
    recipient only: all others could speak for each other.
    """
    for clue in report.clues:
        for secret in derived_keys(RETURN_PATH_PURPOSE):
            if (token := find_return_path(secret, clue)) is not None:
                return await find_addressee(uuid.UUID(token))
    match = _MESSAGE_ID.match(report.message_id or "")
    if match is None:
        return None
    rows = await fetch(_FIND + "WHERE delivery.message_id = {} LIMIT 2", uuid.UUID(match[1]))
    return _addressee(rows[0]) if len(rows) == 1 else None


_MESSAGE_ID = re.compile(
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})@", re.IGNORECASE
)
_FIND = (
    "SELECT delivery.id AS delivery_id, delivery.organization_id, delivery.project_id, "
    "delivery.message_id, delivery.address, delivery.state, delivery.mx_host, "
    "delivery.delivered_at, message.return_path_domain FROM deliveries AS delivery "
    "JOIN spooled_messages AS message ON message.id = delivery.message_id "
)


def _addressee(row: dict[str, Any]) -> Addressee:
    domain = row["return_path_domain"] or settings().hostname
    return Addressee(**{**row, "state": DeliveryState(row["state"]), "return_path_domain": domain})


async def take_report(
    addressee: Addressee, report: DeliveryReport, source: FromOutside
) -> Reception:
    """Believe a bounce of what was delivered, once; delays and successes change nothing."""
    notice = _notice_for(addressee, report.notices)
    if notice is None:
        return Reception.NOTHING_NEW
    now = clock.now()
    outcome = _outcome(addressee, notice, now)
    async with transaction() as tx:
        # As settling does: whoever changes a message's deliveries holds its row first.
        await fetch(
            "SELECT FROM spooled_messages WHERE id = {} FOR NO KEY UPDATE", addressee.message_id
        )
        rows = await fetch(
            "UPDATE deliveries SET state = 'bounced', code = {}, enhanced_code = {}, reply = {}, "
            "bounce_class = {}, settled_at = {} "
            "WHERE id = {} AND state = 'delivered' AND NOT simulated AND delivered_at > {} "
            "RETURNING attempts",
            outcome.code,
            outcome.enhanced_code,
            outcome.text,
            outcome.bounce_class and outcome.bounce_class.value,
            now,
            addressee.delivery_id,
            now - LATE_BOUNCE,
        )
        if not rows:
            return await _not_delivered(addressee)
        await write_messages([addressee.message_id], now)
        await append(tx, [_bounced(addressee, outcome, rows[0]["attempts"], now)])
        await _suppress(tx, addressee, outcome, now)
        if outcome.bounce_type is BounceType.BLOCK:
            await _keep("block", source, reason=outcome.text, delivery_id=addressee.delivery_id)
    return Reception.BELIEVED


async def take_complaint(addressee: Addressee, report: FeedbackReport) -> Reception:
    """Send the recipient no more mail, and say so once; not after what is no complaint."""
    if report.feedback_type in NOT_A_COMPLAINT:
        return Reception.NOT_A_COMPLAINT
    now = clock.now()
    async with transaction() as tx:
        await fetch(
            "SELECT FROM spooled_messages WHERE id = {} FOR NO KEY UPDATE", addressee.message_id
        )
        known = await fetch(
            "SELECT FROM events WHERE message_id = {} AND delivery_id = {} AND type = {} LIMIT 1",
            addressee.message_id,
            addressee.delivery_id,
            EventType.MESSAGE_COMPLAINED.value,
        )
        if known:
            return Reception.NOTHING_NEW
        provider = isp_of(addressee.domain, addressee.mx_host)
        data = {
            "provider": provider if provider != Isp.OTHER else report.reporter or provider,
            "feedback_type": report.feedback_type,
        }
        await append(tx, [_event(addressee, EventType.MESSAGE_COMPLAINED, data, now)])
        new = _suppression(addressee, SuppressionReason.COMPLAINT, report.feedback_type)
        await add(tx, [new])
    return Reception.BELIEVED


async def keep_report(kind: str, source: FromOutside, *, reason: str) -> Reception:
    """Keep what is about ourselves and no delivery; the beginning of it, for thirty days."""
    await _keep(kind, source, reason=reason, delivery_id=None)
    return Reception.KEPT


async def _keep(
    kind: str, source: FromOutside, *, reason: str, delivery_id: uuid.UUID | None
) -> None:
    now = clock.now()
    kept = await fetch(
        "INSERT INTO infrastructure_reports (id, kind, delivery_id, reporter, peer, recipient, "
        "reason, data, created_at) SELECT {}, {}, {}::uuid, {}, {}, {}, {}, {}, {} "
        "WHERE (SELECT count(*) FROM (SELECT FROM infrastructure_reports "
        "WHERE created_at > {} LIMIT {}) AS recent) < {} RETURNING id",
        new_id(),
        kind,
        delivery_id,
        source.sender[:320],
        source.peer[:45],
        source.recipient[:320],
        reason,
        source.data[:REPORT_BYTES],
        now,
        now - timedelta(days=1),
        REPORTS_PER_DAY,
        REPORTS_PER_DAY,
    )
    log.warning("a report about our own infrastructure: %s", reason[:200] or kind)
    if not kept:
        log.error("more than %d of them within a day: this one is not kept", REPORTS_PER_DAY)


async def _not_delivered(addressee: Addressee) -> Reception:
    rows = await fetch("SELECT state FROM deliveries WHERE id = {}", addressee.delivery_id)
    is_open = bool(rows) and rows[0]["state"] in OPEN
    return Reception.TOO_EARLY if is_open else Reception.NOTHING_NEW


def _notice_for(addressee: Addressee, notices: Sequence[Notice]) -> Notice | None:
    """Return the failure that a report tells, of this recipient if it names several."""
    key = addressee.address.lower()
    own = [each for each in notices if key in (name.lower() for name in each.recipients)]
    # Without our recipient in it, it is about where the mail was forwarded to.
    failed = [each for each in own or notices if each.action is Action.FAILED]
    return failed[0] if failed else None


def _outcome(addressee: Addressee, notice: Notice, now: datetime) -> Outcome:
    """Return what the report means, in the words and by the rules for replies."""
    status = notice.status
    code = notice.code or (450 if status and status.startswith("4") else 550)
    said = outcome_of_reply(code, notice.text, started_at=now)
    said = replace(said, mx_host=notice.remote_mta or addressee.mx_host)
    judged = judge(said, domain=addressee.domain).outcome
    return replace(
        judged, verdict=Verdict.BOUNCED, code=notice.code, enhanced_code=status and status[:11]
    )


def _bounced(addressee: Addressee, outcome: Outcome, attempt: int, now: datetime) -> NewEvent:
    response = f"{outcome.code} {outcome.text}" if outcome.code else outcome.text
    data = {
        "vmta": None,
        "mx_host": outcome.mx_host,
        "smtp_code": outcome.code,
        "smtp_response": response,
        "tls": None,
        "attempt": attempt,
        "duration_ms": None,
        "bounce_class": outcome.bounce_class and outcome.bounce_class.value,
        "bounce_type": outcome.bounce_type and outcome.bounce_type.value,
        "enhanced_code": outcome.enhanced_code,
        "source": "dsn",
    }
    return _event(addressee, EventType.MESSAGE_BOUNCED, data, now)


async def _suppress(tx: Tx, addressee: Addressee, outcome: Outcome, now: datetime) -> None:
    if outcome.bounce_type is BounceType.HARD:
        reason = SuppressionReason.HARD_BOUNCE
        await add(tx, [_suppression(addressee, reason, outcome.text)])
    elif outcome.bounce_type is BounceType.SOFT:
        asked = (addressee.organization_id, addressee.address.lower())
        if await keep_failing([asked], now):
            reason = SuppressionReason.SOFT_BOUNCE_COOLING
            ending = _suppression(addressee, reason, outcome.text)
            await add(tx, [replace(ending, expires_at=now + COOLING_FOR)])


def _suppression(
    addressee: Addressee, reason: SuppressionReason, description: str
) -> NewSuppression:
    return NewSuppression(
        organization_id=addressee.organization_id,
        project_id=None,
        address=addressee.address,
        reason=reason,
        description=description or None,
    )


def _event(addressee: Addressee, type: EventType, data: dict[str, Any], now: datetime) -> NewEvent:
    # Without a vMTA: the delivery left its queue when it was delivered.
    return NewEvent(
        organization_id=addressee.organization_id,
        project_id=addressee.project_id,
        message_id=addressee.message_id,
        delivery_id=addressee.delivery_id,
        type=type,
        data=data,
        occurred_at=now,
    )
