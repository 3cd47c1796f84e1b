"""MTA-STS policies of recipients' domains, kept so that nobody can make us forget them."""

from dataclasses import dataclass
from datetime import datetime

from ...core import clock
from ...core.database import fetch
from ...core.ids import new_id


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """A policy as its domain published it."""

    domain: str
    record_id: str
    """The id that announced it."""
    text: str
    """The file, in our writing."""
    fetched_at: datetime
    expires_at: datetime


async def find_policy(domain: str) -> KeptPolicy | None:
    """Return the policy of *domain* that was fetched last, which may have expired."""
    rows = await fetch(
        "SELECT domain, record_id, text, fetched_at, expires_at FROM sts_policies "
        "WHERE domain = {}",
        domain,
    )
    return KeptPolicy(**rows[0]) if rows else None


async def keep_policy(kept: KeptPolicy) -> None:
    """Keep a policy in place of the one before; of two workers' the later one stays."""
    await fetch(
        "INSERT INTO sts_policies AS old (id, domain, record_id, text, fetched_at, expires_at) "
        "VALUES ({}, {}, {}, {}, {}, {}) ON CONFLICT (domain) DO UPDATE SET "
        "record_id = excluded.record_id, text = excluded.text, "
        "fetched_at = excluded.fetched_at, expires_at = excluded.expires_at "
        "WHERE old.fetched_at < excluded.fetched_at",
        new_id(),
        kept.domain,
        kept.record_id,
        kept.text,
        kept.fetched_at,
        kept.expires_at,
    )


async def remove_expired_policies() -> None:
    """Remove the policies that do not hold any more."""
    await fetch("DELETE FROM sts_policies WHERE expires_at < {}", clock.now())
