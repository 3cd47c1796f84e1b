"""Reading policies and how scanners are."""

from dataclasses import dataclass
from datetime import datetime

from ..core.actor import Actor, Permission
from ..core.database import fetch
from ..core.settings import settings
from .clamd import engine_of
from .errors import ScannerUnavailable
from .policies import forget, policies_of
from .rspamd import Circumstances, ask_rspamd
from .rules import Policy, WhenDown

_PROBE = b"From: probe@postlane.invalid\r\nSubject: Probe\r\n\r\nIs anybody there?\r\n"


@dataclass(frozen=True, slots=True)
class Scanner:
    """A scanner as it is now."""

    engine: str
    is_configured: bool
    is_healthy: bool
    version: str | None = None
    signatures_updated_at: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class OwnPolicy:
    """What an organization says itself; None leaves it to the deployment."""

    outgoing_virus: bool | None = None
    outgoing_spam: bool | None = None
    inbound_virus: bool | None = None
    inbound_spam: bool | None = None
    spam_threshold: float | None = None
    when_down: WhenDown | None = None


async def get_own_policy(actor: Actor) -> OwnPolicy:
    """Return the part of its policy that the organization says itself."""
    actor.require(Permission.READ_SECURITY)
    rows = await fetch(
        "SELECT outgoing_virus, outgoing_spam, inbound_virus, inbound_spam, spam_threshold, "
        "when_down FROM scan_policies WHERE organization_id = {}",
        actor.organization_id,
    )
    if not rows:
        return OwnPolicy()
    own = dict(rows[0])
    when_down = own.pop("when_down")
    return OwnPolicy(**own, when_down=None if when_down is None else WhenDown(when_down))


async def get_policy(actor: Actor) -> Policy:
    """Return what is scanned by itself for the organization."""
    actor.require(Permission.READ_SECURITY)
    forget(actor.organization_id)
    return (await policies_of([actor.organization_id]))[actor.organization_id]


async def get_spam_scanner(actor: Actor) -> Scanner:
    """Return how rspamd is, by asking it."""
    actor.require(Permission.READ_SECURITY)
    url = settings().rspamd_url
    if not url:
        return Scanner("rspamd", is_configured=False, is_healthy=False)
    try:
        report = await ask_rspamd(url, _PROBE, Circumstances())
    except ScannerUnavailable as error:
        return Scanner("rspamd", True, False, problem=error.sentence)
    return Scanner("rspamd", True, True, report.version)


async def get_virus_scanner(actor: Actor) -> Scanner:
    """Return how clamd is, by asking it."""
    actor.require(Permission.READ_SECURITY)
    place = settings().clamd
    if not place:
        return Scanner("clamav", is_configured=False, is_healthy=False)
    try:
        engine = await engine_of(place)
    except ScannerUnavailable as error:
        return Scanner("clamav", True, False, problem=error.sentence)
    return Scanner("clamav", True, True, engine.version, engine.signatures_updated_at)
