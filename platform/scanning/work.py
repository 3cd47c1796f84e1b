"""Scanning by policy: outgoing mail before its first attempt, and mail from outside."""

import asyncio
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import fetch
from ..core.ids import first_id_at
from ..core.settings import settings
from .clamd import ask_clamd
from .errors import ScannerUnavailable, not_configured
from .policies import default_policy, policies_of
from .rspamd import Circumstances, ask_rspamd
from .rules import (
    FILE_KEPT,
    SCAN_KEPT,
    Direction,
    FileReport,
    FileVerdict,
    Policy,
    SpamReport,
    WhenDown,
)

log = logging.getLogger(__name__)

SPAM = "spam"
AT_ONCE = 4
"""Scans of one group of messages: scanners have other clients, too."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that is about to be sent."""

    message_id: uuid.UUID
    organization_id: OrganizationId
    data: bytes


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why mail is not handed on: for good, or only while a scanner is down."""

    sentence: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class _Found:
    file: FileReport | None = None
    spam: SpamReport | None = None


async def organizations_that_scan(ids: Sequence[OrganizationId]) -> frozenset[OrganizationId]:
    """Return whose outgoing mail is scanned; no statement where it was read lately."""
    policies = await policies_of(ids)
    return frozenset(id for id, each in policies.items() if any(each.scans(Direction.OUTGOING)))


async def scan_outgoing(messages: Sequence[Outgoing]) -> Mapping[uuid.UUID, Stopped]:
    """Return which messages are not to be sent, and why.

    A message is scanned once, however often it is tried and however many recipients it has.
    """
    policies = await policies_of([each.organization_id for each in messages])
    rows = await fetch(
        "SELECT id, verdict, threats, spam_score FROM scanned_messages WHERE id = ANY({}::uuid[])",
        [each.message_id for each in messages],
    )
    stopped = {
        row["id"]: _final(row["verdict"], row["threats"], row["spam_score"])
        for row in rows
        if row["verdict"] in (FileVerdict.INFECTED, SPAM)
    }
    known = {row["id"] for row in rows}
    places = asyncio.Semaphore(AT_ONCE)

    async def scan(message: Outgoing) -> None:
        async with places:
            reason = await _scan_outgoing(message, policies[message.organization_id])
        if reason is not None:
            stopped[message.message_id] = reason

    await asyncio.gather(*(scan(each) for each in messages if each.message_id not in known))
    return stopped


async def _scan_outgoing(message: Outgoing, policy: Policy) -> Stopped | None:
    try:
        how = Circumstances(is_outgoing=True)
        found = await _scan(message.data, policy, Direction.OUTGOING, how)
    except ScannerUnavailable as error:
        return _while_down(error, policy)
    verdict, threats = _verdict(found, policy)
    score = found.spam.score if found.spam else None
    await fetch(
        "INSERT INTO scanned_messages "
        "(id, organization_id, verdict, threats, spam_score, scanned_at) "
        "VALUES ({}, {}, {}, {}, {}, {}) ON CONFLICT (id) DO NOTHING",
        message.message_id,
        message.organization_id,
        verdict,
        [threat[:200] for threat in threats],
        score,
        clock.now(),
    )
    return _final(verdict, threats, score) if verdict in (FileVerdict.INFECTED, SPAM) else None


async def scan_inbound(
    organization_id: OrganizationId | None, data: bytes, how: Circumstances
) -> Stopped | None:
    """Return why mail from outside is not taken, None if it is; without an organization it is ours.

    Of a large message only its beginning is here, and only that is scanned.
    """
    if organization_id is None:
        policy = default_policy()
    else:
        policy = (await policies_of([organization_id]))[organization_id]
    if not any(policy.scans(Direction.INBOUND)):
        return None
    try:
        found = await _scan(data, policy, Direction.INBOUND, how)
    except ScannerUnavailable as error:
        return _while_down(error, policy)
    verdict, threats = _verdict(found, policy)
    if verdict not in (FileVerdict.INFECTED, SPAM):
        return None
    return _final(verdict, threats, found.spam.score if found.spam else None)


async def _scan(data: bytes, policy: Policy, direction: Direction, how: Circumstances) -> _Found:
    for_viruses, for_spam = policy.scans(direction)
    file = spam = None
    if for_viruses:
        if not settings().clamd:
            raise not_configured("CLAMD", "virus scanner")
        file = await ask_clamd(settings().clamd, data)
        if file.verdict is FileVerdict.INFECTED:
            return _Found(file)
    if for_spam:
        if not settings().rspamd_url:
            raise not_configured("RSPAMD_URL", "spam scanner")
        spam = await ask_rspamd(settings().rspamd_url, data, how)
    return _Found(file, spam)


def _verdict(found: _Found, policy: Policy) -> tuple[str, Sequence[str]]:
    if found.file is not None and found.file.verdict is FileVerdict.INFECTED:
        return FileVerdict.INFECTED.value, found.file.threats
    if found.spam is not None and found.spam.score >= policy.spam_threshold:
        return SPAM, [each.name for each in found.spam.rules[:5]]
    if found.file is not None:
        return found.file.verdict.value, found.file.threats
    return FileVerdict.CLEAN.value, ()


def _final(verdict: str, threats: Sequence[str], score: float | None) -> Stopped:
    if verdict == SPAM:
        return Stopped(f"The message looks like spam: its score is {score:g}.", is_final=True)
    return Stopped(f"The message carries a virus: {', '.join(threats)}.", is_final=True)


def _while_down(error: ScannerUnavailable, policy: Policy) -> Stopped | None:
    log.warning("mail could not be scanned: %s", error.sentence)
    if policy.when_down is WhenDown.PASS:
        return None
    return Stopped("The message has to be scanned, and the scanner does not answer.", False)


async def infected_since(since: datetime, *, limit: int) -> Sequence[Mapping[str, Any]]:
    """Return the messages that were stopped since then for a virus, newest first."""
    return await fetch(
        "SELECT id, organization_id, threats FROM scanned_messages "
        "WHERE verdict = {} AND scanned_at > {} ORDER BY id DESC LIMIT {}",
        FileVerdict.INFECTED.value,
        since,
        limit,
    )


async def remove_old_scans() -> None:
    """Forget what came of scans when it is not needed any more."""
    now = clock.now()
    await fetch("DELETE FROM scanned_files WHERE scanned_at < {}", now - FILE_KEPT)
    await fetch("DELETE FROM scanned_messages WHERE id < {}", first_id_at(now - SCAN_KEPT))
