"""Mail from anybody: bounces, complaints, unsubscribes, and what comes into customers' mailboxes.

Everything else is refused at RCPT.

Who writes is not believed; what is believed is a token of ours, in the address or in the message
that is returned. A 250 means that what follows from the mail is on disk. Nothing is ever
answered by mail, so no loop can begin here.
"""

import asyncio
import logging
from dataclasses import dataclass
from enum import StrEnum
from weakref import WeakKeyDictionary

from aiosmtpd.smtp import SMTP, Envelope, Session

from ..core.actor import OrganizationId
from ..delivery.work import (
    Addressee,
    FromOutside,
    Reception,
    delivery_named_by,
    find_addressee,
    keep_report,
    named_in,
    take_complaint,
    take_report,
)
from ..greylisting.rules import RESPONSE_CODE, RESPONSE_TEXT, Decision
from ..greylisting.rules import Arrival as Coming
from ..greylisting.work import judge
from ..ingress.rules import LARGEST_MAIL, MailSource
from ..ingress.work import Arrival, OpenMailbox, find_open_mailbox, take_mail
from ..mail.reports import AutomaticAnswer, DeliveryReport, FeedbackReport, Report, read_report
from ..mail.return_path import Kind
from ..scanning.rspamd import Circumstances
from ..scanning.work import Stopped, scan_inbound
from ..security import abuse
from ..tracking.tokens import Recipient
from ..tracking.work import leave
from .replies import peer_address, reply, reply_to_failure

log = logging.getLogger(__name__)

OURSELVES = frozenset({"postmaster", "abuse", "fbl"})
"""Mailboxes at our own name, for what is about us, and for complaints (RFC 2142, RFC 5321)."""
NULL_SENDER = "<>"


class Purpose(StrEnum):
    """What mail to an address is for."""

    BOUNCE = "bounce"
    UNSUBSCRIBE = "unsubscribe"
    OURSELVES = "ourselves"
    MAILBOX = "mailbox"


@dataclass(frozen=True, slots=True)
class _Target:
    purpose: Purpose
    addressee: Addressee | None
    mailbox: OpenMailbox | None = None

    @property
    def organization_id(self) -> OrganizationId | None:
        """Whose mail it is; None is ours."""
        whose = self.mailbox or self.addressee
        return whose.organization_id if whose else None


class Inbound:
    """The handler of every conversation of one listener; aiosmtpd calls it by its names."""

    def __init__(self, *, hostname: str) -> None:
        self._own_names = frozenset({hostname, f"bounce.{hostname}", ""})
        self._targets: WeakKeyDictionary[Envelope, _Target] = WeakKeyDictionary()

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, host: str, lines: list[str]
    ) -> list[str]:
        """Offer what strangers need; nobody signs in here."""
        session.host_name = host
        return [lines[0], "250-PIPELINING"] + [
            line for line in lines[1:] if not line.startswith("250-AUTH")
        ]

    async def handle_RCPT(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Take an address of ours; one for each message, as each is about one delivery."""
        if envelope.rcpt_tos:
            return reply(452, "4.5.3", "One recipient at a time.")
        if await abuse.is_blocked(peer_address(session)):
            # It ends by itself; and what waits may be a bounce or an unsubscribe.
            return reply(451, "4.7.1", "Too much has failed from your network; try again later.")
        target = await self._find_target(address)
        if target is None:
            return reply(550, "5.1.1", "There is no such mailbox here.")
        if target.mailbox is not None and _announced_bytes(envelope) > LARGEST_MAIL:
            # What is refused after the message would have been sent for nothing.
            return reply(552, "5.3.4", "The message is too large for the mailbox.")
        if target.mailbox is not None and target.mailbox.is_suspended:
            # A suspension may end.
            return reply(450, "4.2.1", "The mailbox takes no mail now; try again later.")
        if target.mailbox is not None and target.mailbox.is_full:
            return reply(452, "4.2.2", "The mailbox is full; try again later.")
        if await _is_put_off(session, envelope, address, target):
            return f"{RESPONSE_CODE} {RESPONSE_TEXT}"
        self._targets[envelope] = target
        envelope.rcpt_tos.append(address)
        return reply(250, "2.1.5", "Go on.")

    def largest_whole(self, envelope: Envelope) -> int | None:
        """Return up to how many octets a message is wanted whole; None where its beginning is
        enough, as of a report."""
        target = self._targets.get(envelope)
        return LARGEST_MAIL if target is not None and target.mailbox is not None else None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Do what the mail asks for, and say so once it is on disk."""
        target = self._targets[envelope]
        content = envelope.original_content or b""
        sender = "" if envelope.mail_from == NULL_SENDER else str(envelope.mail_from)
        source = FromOutside(
            peer=peer_address(session) or "",
            sender=sender,
            recipient=envelope.rcpt_tos[0],
            data=content,
        )
        # In a thread: it may take a moment, and others wait.
        report = await asyncio.to_thread(read_report, content) if target.mailbox is None else None
        if not isinstance(report, DeliveryReport | FeedbackReport):
            # Reports are believed by their token, whatever it is that they return; what comes
            # into a mailbox is handed on, whatever form it has.
            how = _circumstances(session, source)
            if stopped := await scan_inbound(target.organization_id, content, how):
                return _stopped(stopped)
        if target.mailbox is not None:
            return await _into_mailbox(target.mailbox, source)
        if target.purpose is Purpose.UNSUBSCRIBE and target.addressee is not None:
            return await _unsubscribe(target.addressee, source)
        if target.addressee is None:
            return await _about_ourselves(report, source)
        return await _about_delivery(target.addressee, report, source)

    async def handle_exception(self, error: Exception) -> str:
        """Log what nobody foresaw, and ask for the mail again."""
        return reply_to_failure(error)

    async def _find_target(self, address: str) -> _Target | None:
        local_part, _, domain = address.rpartition("@")
        if not local_part:
            local_part, domain = domain, ""
        domain = domain.lower().rstrip(".")
        if local_part.lower() in OURSELVES and domain in self._own_names:
            return _Target(Purpose.OURSELVES, None)
        for kind, purpose in _PURPOSES.items():
            delivery_id = delivery_named_by(local_part, kind=kind)
            if delivery_id is not None:
                found = await find_addressee(delivery_id, domain=domain)
                return _Target(purpose, found) if found else None
        if domain in self._own_names and (mailbox := await find_open_mailbox(local_part)):
            return _Target(Purpose.MAILBOX, None, mailbox)
        return None


_PURPOSES = {Kind.BOUNCE: Purpose.BOUNCE, Kind.UNSUBSCRIBE: Purpose.UNSUBSCRIBE}
_TAKEN = reply(250, "2.0.0", "Reception.")
_NO_REPORT = reply(550, "5.6.0", "Only delivery reports are taken here.")
_TOO_EARLY = reply(451, "4.3.2", "The delivery is not settled yet; try again later.")


def _announced_bytes(envelope: Envelope) -> int:
    """Return how large the message is to be (RFC 1870); 0 if MAIL did not say so.

    What a listener takes at most is looked at there, and may be more than a mailbox takes.
    """
    for option in envelope.mail_options:
        name, _, value = option.partition("=")
        if name == "SIZE":
            return int(value)
    return 0


async def _is_put_off(session: Session, envelope: Envelope, address: str, target: _Target) -> bool:
    """Say whether a recipient has to come again, because who sends is not known yet."""
    sender = "" if envelope.mail_from == NULL_SENDER else str(envelope.mail_from or "")
    arrival = Coming(
        organization_id=target.organization_id,
        peer=peer_address(session) or "",
        sender=sender,
        recipient=address,
        helo=session.host_name or "",
    )
    # Its address is signed: whoever reports to it was sent mail by us.
    is_report = not sender and target.purpose is Purpose.BOUNCE
    return await judge(arrival, is_report=is_report) is Decision.DEFERRED


def _circumstances(session: Session, source: FromOutside) -> Circumstances:
    return Circumstances(
        sender=source.sender or None,
        recipients=(source.recipient,),
        ip=source.peer or None,
        helo=session.host_name,
    )


def _stopped(stopped: Stopped) -> str:
    if stopped.is_final:
        return reply(550, "5.7.1", stopped.sentence)
    return reply(451, "4.3.0", stopped.sentence)


async def _about_delivery(addressee: Addressee, report: Report | None, source: FromOutside) -> str:
    match report:
        case DeliveryReport():
            taken = await take_report(addressee, report, source)
            return _TOO_EARLY if taken is Reception.TOO_EARLY else _TAKEN
        case FeedbackReport():
            await take_complaint(addressee, report)
            return _TAKEN
        case AutomaticAnswer():
            # Somebody is on holiday. That is no bounce, and nobody reads it.
            return _TAKEN
        case None:
            return _NO_REPORT


async def _about_ourselves(report: Report | None, source: FromOutside) -> str:
    if not isinstance(report, FeedbackReport):
        await keep_report("mail", source, reason="")
        return _TAKEN
    addressee = await named_in(report)
    if addressee is None or await take_complaint(addressee, report) is Reception.NOT_A_COMPLAINT:
        await keep_report("feedback", source, reason=report.feedback_type)
    return _TAKEN


async def _into_mailbox(mailbox: OpenMailbox, source: FromOutside) -> str:
    arrival = Arrival(source.data, MailSource.SMTP, source.sender or None)
    if not await take_mail(mailbox.id, arrival):
        return reply(550, "5.1.1", "There is no such mailbox here.")
    return _TAKEN


async def _unsubscribe(addressee: Addressee, source: FromOutside) -> str:
    # A person has an address; what has none is a bounce that went astray.
    if source.sender:
        recipient = Recipient(
            addressee.organization_id,
            addressee.project_id,
            addressee.message_id,
            addressee.delivery_id,
            addressee.address,
        )
        await leave(recipient, method="mailto")
    return _TAKEN
