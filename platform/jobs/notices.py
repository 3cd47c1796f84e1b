"""Sending notices: the platform's own mail, by the way that customers' mail goes."""

import logging
import uuid
from typing import Any

from ..core.crypto import SealBroken
from ..delivery.work import QueueRoute
from ..mail.address import InvalidAddress
from ..mail.outcome import Failure, Outcome, Verdict
from ..mail.smtp import Envelope, Tls
from ..notices.rendering import Mail
from ..notices.rules import NoticeState
from ..notices.work import Claim, claim, settle
from .outbound import Conversation, Outbound

log = logging.getLogger(__name__)


async def send_notice(ctx: dict[str, Any], *, notice_id: str) -> None:
    """Send a notice that is due; nothing happens to one that is not, or is being sent."""
    outbound: Outbound = ctx["outbound"]
    if outbound.stopping.is_set():
        return
    found = await claim(uuid.UUID(notice_id))
    if found is None:
        return
    try:
        mail = found.mail()
    except (InvalidAddress, SealBroken) as error:
        await _settle(found, Verdict.BOUNCED, str(error))
        return
    result = await _send(outbound, found.id, mail)
    code = f"{result.code} " if isinstance(result, Outcome) and result.code else ""
    await _settle(found, result.verdict, code + result.text)


async def _send(outbound: Outbound, notice_id: uuid.UUID, mail: Mail) -> Outcome | Failure:
    way = await outbound.transport.find_way(_route(notice_id, mail.recipient.domain))
    if isinstance(way, Failure):
        return way
    conversation = await outbound.conversations.take(way)
    assert conversation is not None, "there is no gate to wait at"
    if not isinstance(conversation, Conversation):
        return conversation
    try:
        return await conversation.deliver(
            Envelope(
                mail.sender,
                mail.recipient.address,
                mail.data,
                smtputf8=mail.recipient.needs_smtputf8,
            )
        )
    finally:
        await outbound.conversations.give_back(conversation)


def _route(notice_id: uuid.UUID, domain: str) -> QueueRoute:
    """Return where a notice goes: as the deployment itself, by no customer's vMTA."""
    return QueueRoute(
        queue_id=notice_id,
        domain=domain,
        vmta="",
        ehlo="",
        source_address=None,
        tls=Tls.OPPORTUNISTIC,
    )


async def _settle(found: Claim, verdict: Verdict, reply: str) -> None:
    if await settle(found, verdict, reply=reply) is NoticeState.FAILED:
        log.warning(
            "a notice could not be sent",
            extra={"notice": found.notice.value, "notice_id": str(found.id), "reply": reply},
        )
