"""Mail from anybody: bounces, complaints and unsubscribes. Everything else is refused at RCPT.

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
from ..mail.reports import AutomaticAnswer, DeliveryReport, FeedbackReport, Report, read_report
from ..mail.return_path import Kind
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


@dataclass(frozen=True, slots=True)
class _Target:
    purpose: Purpose
    addressee: Addressee | None


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
        target = await self._find_target(address)
        if target is None:
            return reply(550, "5.1.1", "There is no such mailbox here.")
        self._targets[envelope] = target
        envelope.rcpt_tos.append(address)
        return reply(250, "2.1.5", "Go on.")

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
        if target.purpose is Purpose.UNSUBSCRIBE and target.addressee is not None:
            return await _unsubscribe(target.addressee, source)
        # In a thread: it may take a moment, and others wait.
        report = await asyncio.to_thread(read_report, content)
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
        return None


_PURPOSES = {Kind.BOUNCE: Purpose.BOUNCE, Kind.UNSUBSCRIBE: Purpose.UNSUBSCRIBE}
_TAKEN = reply(250, "2.0.0", "Reception.")
_NO_REPORT = reply(550, "5.6.0", "Only delivery reports are taken here.")
_TOO_EARLY = reply(451, "4.3.2", "The delivery is not settled yet; try again later.")


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
