"""When jobs run that nobody asks for, in UTC."""

from typing import Any

from saq import CronJob

from ..core.queue import POLICIES, JobName
from .billing import bill
from .credits import close_books
from .tidy import forget, tidy

AFTER_MIDNIGHT = "5 0 * * *"
"""Lots end with a day, and the books show it the same night."""

DAILY = "17 3 * * *"
HOURLY = "37 * * * *"
EVERY_MINUTE = "* * * * *"
"""Credits of a plan end with its month; the next ones are to be there at once."""


def cron_jobs() -> list[CronJob[Any]]:
    """Return the jobs that come by the clock, each once in the whole deployment."""
    jobs = (
        (JobName.CLOSE_BOOKS, close_books, AFTER_MIDNIGHT),
        (JobName.BILL, bill, EVERY_MINUTE),
        (JobName.TIDY, tidy, DAILY),
        (JobName.FORGET, forget, HOURLY),
    )
    return [
        CronJob(
            function,
            cron=cron,
            timeout=int(POLICIES[name].timeout.total_seconds()),
            retries=POLICIES[name].retries,
            ttl=-1,
        )
        for name, function, cron in jobs
    ]
