"""How protection is, as a whole: what each mechanism did and whether it works."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificate

from ..blocklists.queries import Overview, get_overview
from ..core import clock
from ..core.actor import Actor, Permission
from ..core.settings import settings
from ..greylisting.queries import get_statistics, window
from ..scanning.queries import Scanner, get_spam_scanner, get_virus_scanner
from .queries import count_active, list_rules

MINIMUM_TLS = "1.2"
"""What Python's default context for servers takes at least."""


class Overall(StrEnum):
    """The worst of the parts."""

    OK = "ok"
    ATTENTION = "attention"
    """Something is blocked, or on a blocklist."""
    DEGRADED = "degraded"
    """A part that is switched on does not work."""


@dataclass(frozen=True, slots=True)
class Status:
    """Every part, as it is for an organization."""

    overall: Overall
    greylisting_enabled: bool
    greylisting_pending: int
    blocklists: Overview
    spam_scanner: Scanner
    virus_scanner: Scanner
    auto_block_enabled: bool
    rules_enabled: int
    rules_total: int
    active_blocks: int
    certificate_expires_at: datetime | None
    updated_at: datetime


async def get_status(actor: Actor) -> Status:
    """Return how protection is; scanners are asked, which takes as long as they do."""
    actor.require(Permission.READ_SECURITY)
    spam, virus = await asyncio.gather(get_spam_scanner(actor), get_virus_scanner(actor))
    lists = await get_overview(actor)
    grey = await get_statistics(actor, *window(None, None))
    rules = await list_rules(actor)
    blocks = await count_active(actor)
    broken = [each for each in (spam, virus) if each.is_configured and not each.is_healthy]
    overall = Overall.OK
    if blocks or lists.listed_addresses:
        overall = Overall.ATTENTION
    if broken or not lists.is_healthy:
        overall = Overall.DEGRADED
    return Status(
        overall=overall,
        greylisting_enabled=grey.enabled,
        greylisting_pending=grey.pending,
        blocklists=lists,
        spam_scanner=spam,
        virus_scanner=virus,
        auto_block_enabled=settings().auto_block != "off",
        rules_enabled=sum(each.enabled for each in rules),
        rules_total=len(rules),
        active_blocks=blocks,
        certificate_expires_at=await asyncio.to_thread(_expiry, settings().tls_certificate),
        updated_at=clock.now(),
    )


def _expiry(path: Path | None) -> datetime | None:
    if path is None:
        return None
    try:
        return load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None
