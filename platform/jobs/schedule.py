"""When jobs run that nobody asks for, in UTC."""

from typing import Any

from saq import CronJob

from ..core.queue import POLICIES, JobName
from .tidy import tidy

DAILY = "17 3 * * *"


def cron_jobs() -> list[CronJob[Any]]:
    """Return the jobs that come by the clock, each once in the whole deployment."""
    policy = POLICIES[JobName.TIDY]
    return [
        CronJob(
            tidy,
            cron=DAILY,
            timeout=int(policy.timeout.total_seconds()),
            retries=policy.retries,
            ttl=-1,
        )
    ]
