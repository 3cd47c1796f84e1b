"""Whether this deployment can take and deliver mail, asked of its parts at most every 5 seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ..core import clock
from ..core.database import fetch
from ..core.queue import count_workers
from ..core.settings import Settings
from ..mail.dns import LookupStatus
from .network_checks import resolver_of

KEPT_SECONDS = 5.0
CHECK_SECONDS = 3.0


class CheckStatus(StrEnum):
    """How one part is."""

    OK = "ok"
    FAIL = "fail"
    DISABLED = "disabled"
    """It is not configured."""


class HealthStatus(StrEnum):
    """How the whole is."""

    OK = "ok"
    DEGRADED = "degraded"
    """Mail is taken and delivered, and something else does not work."""
    FAIL = "fail"


ESSENTIAL = ("database", "spool", "delivery")
"""Checks without which no mail is taken and delivered; the others only degrade."""


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found; *error* is for operators only."""

    status: CheckStatus
    latency_ms: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """What was found at one time."""

    status: HealthStatus
    checks: dict[str, Check]


@dataclass
class HealthMonitor:
    """Makes the checks, and remembers for a moment what they found."""

    settings: Settings
    started_at: datetime = field(default_factory=clock.now)
    draining: bool = False
    kept: tuple[float, dict[str, Check]] | None = None
    """When the checks were last made, on the monotonic clock, and what they found."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def drain(self) -> None:
        """From now on fail: this process stops, and requests should go elsewhere."""
        self.draining = True

    async def health(self) -> Health:
        """Return how everything is; not older than five seconds."""
        # One at a time: the second finds what the first has found.
        async with self.lock:
            if self.kept is None or time.monotonic() - self.kept[0] > KEPT_SECONDS:
                checks = await self._check()
                self.kept = (time.monotonic(), checks)
            checks = self.kept[1]
        failed = {name for name, check in checks.items() if check.status is CheckStatus.FAIL}
        if self.draining or failed.intersection(ESSENTIAL):
            return Health(HealthStatus.FAIL, checks)
        return Health(HealthStatus.DEGRADED if failed else HealthStatus.OK, checks)

    async def _check(self) -> dict[str, Check]:
        made = {
            "database": _database,
            "spool": _spool,
            "delivery": _delivery,
            "dns": self._dns,
        }
        found = await asyncio.gather(*(_timed(check) for check in made.values()))
        checks = dict(zip(made, found, strict=True))
        for timeless in ("spool", "delivery"):
            checks[timeless] = Check(checks[timeless].status, None, checks[timeless].error)
        disabled = Check(CheckStatus.DISABLED)
        return checks | {"spam_scanner": disabled, "av_scanner": disabled}

    async def _dns(self) -> str | None:
        # Any answer will do, also that the name does not exist.
        answer = await resolver_of(self.settings).mx(self.settings.hostname)
        return "no usable answer" if answer.status is LookupStatus.FAILED else None


async def _timed(check: Callable[[], Awaitable[str | None]]) -> Check:
    """Return what *check* found; it returns or raises what is wrong."""
    began = time.monotonic()
    try:
        error = await asyncio.wait_for(check(), CHECK_SECONDS)
    except Exception as raised:  # an edge: whatever it is, the part does not work
        error = str(raised).strip() or type(raised).__name__
    latency_ms = round((time.monotonic() - began) * 1000)
    return Check(CheckStatus.FAIL if error else CheckStatus.OK, latency_ms, error)


async def _database() -> str | None:
    await fetch("SELECT 1")
    return None


async def _spool() -> str | None:
    """The spool is in the database: can it be written?"""
    [row] = await fetch(
        "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS closed"
    )
    return "the database takes no writes" if row["closed"] else None


async def _delivery() -> str | None:
    return None if await count_workers() else "no worker has shown itself lately"
