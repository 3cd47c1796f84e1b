"""Scans on demand, which cost a credit each, and changing what is scanned by itself."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..accounts.work import sending_accounts
from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, ActorKind, Mode, Permission
from ..core.database import fetch, transaction
from ..core.errors import Detail, DetailCode, InvalidInput
from ..core.ids import new_id
from ..core.settings import settings
from ..credits.errors import InsufficientCredits
from ..credits.ledger import balance_of
from ..credits.operations import Charge, debit
from ..credits.rules import CreditType, EntrySource, is_unlimited
from .clamd import Engine, ask_clamd, engine_of
from .errors import FileTooLarge, not_configured
from .policies import forget, merged
from .rspamd import Circumstances, ask_rspamd
from .rules import (
    FILE_KEPT,
    MAX_FILE_BYTES,
    MAX_FILENAME,
    MAX_MESSAGE_BYTES,
    THRESHOLD_RANGE,
    FileReport,
    FileVerdict,
    Policy,
    SpamReport,
    SpamVerdict,
    WhenDown,
    spam_verdict,
)

_BOUNDS = f"A threshold is {THRESHOLD_RANGE[0]:g} to {THRESHOLD_RANGE[1]:g}."


@dataclass(frozen=True, slots=True)
class Scored:
    """What rspamd says of a message, and what that means."""

    report: SpamReport
    threshold: float
    credits: int
    duration_ms: int

    @property
    def verdict(self) -> SpamVerdict:
        return spam_verdict(self.report.score, self.threshold)


@dataclass(frozen=True, slots=True)
class ScannedUpload:
    """What clamd says of a file."""

    report: FileReport
    engine: Engine
    filename: str
    size_bytes: int
    sha256: str
    credits: int
    duration_ms: int


async def score_message(actor: Actor, data: bytes, *, threshold: float) -> Scored:
    """Return how much like spam a whole RFC 5322 message looks; nothing of it is kept.

    Costs one `spam_check` credit, taken once there is an answer.

    Raises:
        InvalidInput: it is empty or too large, or the threshold is out of range.
        ScannerUnavailable: the deployment has no rspamd, or it does not answer.
        InsufficientCredits: none is left.
    """
    actor.require(Permission.SCAN)
    details = []
    if not data.strip():
        details.append(Detail("raw", DetailCode.REQUIRED, "The message is empty."))
    if len(data) > MAX_MESSAGE_BYTES:
        details.append(Detail("raw", DetailCode.TOO_LARGE, "A message has at most 25 MiB."))
    details += _threshold_faults(threshold, "threshold")
    if details:
        raise InvalidInput.all(details)
    url = settings().rspamd_url
    if not url:
        raise not_configured("RSPAMD_URL", "spam scanner")
    await _require_credit(actor, CreditType.SPAM_CHECK)
    began = time.perf_counter()
    report = await ask_rspamd(url, data, Circumstances(is_outgoing=True))
    took = round(1000 * (time.perf_counter() - began))
    taken = await _take_credit(actor, CreditType.SPAM_CHECK)
    return Scored(report, threshold, taken, took)


async def scan_file(actor: Actor, data: bytes, *, filename: str) -> ScannedUpload:
    """Return whether a file is a virus; its hash and what came of it are kept for a day.

    A file that was scanned within the day is not scanned again while clamd knows no more. Costs
    one `av_scan` credit, taken once there is an answer.

    Raises:
        InvalidInput: it is empty, or its name is too long.
        FileTooLarge: it has more than 25 MiB.
        ScannerUnavailable: the deployment has no clamd, or it does not answer.
        InsufficientCredits: none is left.
    """
    actor.require(Permission.SCAN)
    details = []
    if not 1 <= len(filename) <= MAX_FILENAME:
        message = "A name has 1 to 255 characters."
        details.append(Detail("filename", DetailCode.TOO_LONG, message))
    if not data:
        details.append(Detail("content", DetailCode.REQUIRED, "The file is empty."))
    if details:
        raise InvalidInput.all(details)
    if len(data) > MAX_FILE_BYTES:
        raise FileTooLarge
    place = settings().clamd
    if not place:
        raise not_configured("CLAMD", "virus scanner")
    await _require_credit(actor, CreditType.AV_SCAN)
    began = time.perf_counter()
    digest = hashlib.sha256(data).digest()
    engine = await engine_of(place)
    known = await _known_file(actor, digest, engine)
    report = known or await ask_clamd(place, data)
    took = round(1000 * (time.perf_counter() - began))
    taken = await _take_credit(actor, CreditType.AV_SCAN)
    if known is None:
        await _keep_file(actor, digest, report, engine)
    return ScannedUpload(report, engine, filename, len(data), digest.hex(), taken, took)


async def _known_file(actor: Actor, digest: bytes, engine: Engine) -> FileReport | None:
    rows = await fetch(
        "SELECT verdict, threats FROM scanned_files WHERE organization_id = {} AND sha256 = {} "
        "AND engine_version = {} AND scanned_at > {}",
        actor.organization_id,
        digest,
        _known_as(engine),
        clock.now() - FILE_KEPT,
    )
    return FileReport(FileVerdict(rows[0]["verdict"]), rows[0]["threats"]) if rows else None


async def _keep_file(actor: Actor, digest: bytes, report: FileReport, engine: Engine) -> None:
    await fetch(
        "INSERT INTO scanned_files "
        "(id, organization_id, sha256, verdict, threats, engine_version, scanned_at) "
        "VALUES ({}, {}, {}, {}, {}, {}, {}) ON CONFLICT (organization_id, sha256) DO UPDATE SET "
        "verdict = excluded.verdict, threats = excluded.threats, "
        "engine_version = excluded.engine_version, scanned_at = excluded.scanned_at",
        new_id(),
        actor.organization_id,
        digest,
        report.verdict.value,
        [threat[:200] for threat in report.threats],
        _known_as(engine),
        clock.now(),
    )


def _known_as(engine: Engine) -> str:
    """Return what changes when the engine or what it knows does."""
    at = engine.signatures_updated_at
    return f"{engine.version}/{at.isoformat() if at else ''}"[:50]


async def _require_credit(actor: Actor, type: CreditType) -> None:
    """Do nothing if there is a credit to take, so that no scanner works for nothing."""
    if actor.mode is Mode.SANDBOX:
        return
    account = (await sending_accounts([actor.organization_id]))[actor.organization_id]
    if is_unlimited(account.plan):
        return
    async with transaction() as tx:
        balance = await balance_of(tx, actor.organization_id, type)
    if balance < 1:
        raise InsufficientCredits(type.value, available=balance, needed=1)


async def _take_credit(actor: Actor, type: CreditType) -> int:
    """Take one credit and return how many that was: none of a sandbox key."""
    if actor.mode is Mode.SANDBOX:
        return 0
    is_program = actor.kind is ActorKind.API_KEY
    account = (await sending_accounts([actor.organization_id]))[actor.organization_id]
    async with transaction() as tx:
        await debit(
            tx,
            Charge(
                organization_id=actor.organization_id,
                plan=account.plan,
                amount=1,
                source=EntrySource.SCAN,
                type=type,
                api_key_id=actor.api_key_id if is_program else None,
                user_id=None if is_program else actor.user_id,
            ),
        )
    return 1


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """What to scan by itself; None leaves it to the deployment, as does what is left out."""

    outgoing_virus: bool | None = None
    outgoing_spam: bool | None = None
    inbound_virus: bool | None = None
    inbound_spam: bool | None = None
    spam_threshold: float | None = None
    when_down: WhenDown | None = None


async def set_scan_policy(actor: Actor, change: PolicyChange) -> Policy:
    """Say what is scanned by itself for the organization, instead of what was said before.

    Raises:
        InvalidInput: the threshold is out of range.
        ScannerUnavailable: it asks for a scanner that the deployment does not have.
    """
    actor.require(Permission.WRITE_SECURITY)
    if change.spam_threshold is not None:
        details = _threshold_faults(change.spam_threshold, "spamThreshold")
        if details:
            raise InvalidInput.all(details)
    if (change.outgoing_virus or change.inbound_virus) and not settings().clamd:
        raise not_configured("CLAMD", "virus scanner")
    if (change.outgoing_spam or change.inbound_spam) and not settings().rspamd_url:
        raise not_configured("RSPAMD_URL", "spam scanner")
    async with transaction() as tx:
        rows = await fetch(
            "INSERT INTO scan_policies (id, organization_id, outgoing_virus, outgoing_spam, "
            "inbound_virus, inbound_spam, spam_threshold, when_down, updated_at) "
            "VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}) ON CONFLICT (organization_id) "
            "DO UPDATE SET outgoing_virus = excluded.outgoing_virus, "
            "outgoing_spam = excluded.outgoing_spam, inbound_virus = excluded.inbound_virus, "
            "inbound_spam = excluded.inbound_spam, spam_threshold = excluded.spam_threshold, "
            "when_down = excluded.when_down, updated_at = excluded.updated_at RETURNING *",
            new_id(),
            actor.organization_id,
            change.outgoing_virus,
            change.outgoing_spam,
            change.inbound_virus,
            change.inbound_spam,
            change.spam_threshold,
            change.when_down and change.when_down.value,
            clock.now(),
        )
        await record(
            tx,
            actor,
            action="scan_policy.set",
            target_type="organization",
            target_id=actor.organization_id,
            changes={
                "outgoing_virus": change.outgoing_virus,
                "outgoing_spam": change.outgoing_spam,
                "inbound_virus": change.inbound_virus,
                "inbound_spam": change.inbound_spam,
                "spam_threshold": change.spam_threshold,
                "when_down": change.when_down and change.when_down.value,
            },
        )
    forget(actor.organization_id)
    return merged(rows[0])


def _threshold_faults(threshold: float, field: str) -> Sequence[Detail]:
    if threshold < THRESHOLD_RANGE[0]:
        return [Detail(field, DetailCode.TOO_SMALL, _BOUNDS)]
    # Also what is no number at all.
    if not threshold <= THRESHOLD_RANGE[1]:
        return [Detail(field, DetailCode.TOO_LARGE, _BOUNDS)]
    return []
