"""Scoring a message before it is sent: what it would be on the wire, as rspamd sees it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ...core import clock
from ...core.actor import Actor, Permission
from ...core.errors import DetailCode, InvalidInput
from ...core.ids import new_id
from ...core.settings import settings
from ...mail.compose import Parts, compose
from ...scanning import operations as scanning
from ...scanning.rules import USUAL_THRESHOLD
from ..rules import NewAttachment, NewMessage, check_message
from .send import decode_raw


@dataclass(frozen=True, slots=True)
class NewScore:
    """A message to score: a whole one in base64, or what one is composed of."""

    raw: str | None = None
    sender: str | None = None
    to: Sequence[str] = ()
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    attachments: Sequence[NewAttachment] = ()
    threshold: float = USUAL_THRESHOLD


async def score_message(actor: Actor, new: NewScore) -> scanning.Scored:
    """Return how much like spam a message looks; it is not sent, and nothing of it is kept.

    Costs one `spam_check` credit.

    Raises:
        InvalidInput: every field that breaks a rule, or both or neither of the forms is given.
        ScannerUnavailable: the deployment has no rspamd, or it does not answer.
        InsufficientCredits: none is left.
    """
    actor.require(Permission.SCAN)
    if (new.raw is None) is (new.sender is None):
        message = "Write a whole message, or who it is from and what it says; not both."
        code = DetailCode.REQUIRED if new.raw is None else DetailCode.MUTUALLY_EXCLUSIVE
        raise InvalidInput.of("raw", code, message)
    # In a thread: a message may have megabytes.
    data = await asyncio.to_thread(_composed if new.raw is None else _decoded, new)
    return await scanning.score_message(actor, data, threshold=new.threshold)


def _decoded(new: NewScore) -> bytes:
    return decode_raw(new.raw or "", field="raw")


def _composed(new: NewScore) -> bytes:
    # A message without recipient or subject may be scored, and is told so by its score.
    checked = check_message(
        NewMessage(
            sender=new.sender or "",
            to=new.to or ["nobody@example.com"],
            subject=new.subject or "-",
            html=new.html,
            text=new.text,
            headers=new.headers,
            attachments=new.attachments,
        ),
        now=clock.now(),
    )
    return compose(
        Parts(
            message_id=f"{new_id()}@{settings().hostname}",
            date=clock.now(),
            sender=checked.sender,
            to=tuple(each.mailbox for each in checked.recipients) if new.to else (),
            cc=(),
            reply_to=(),
            subject=new.subject or "",
            text=checked.text,
            html=checked.html,
            headers=checked.headers,
            attachments=checked.attachments,
        )
    )
