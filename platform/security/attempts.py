"""Failed sign-ins: five with one email address lock it for a quarter of an hour.

They are counted by address, whether anybody has it or not, so that being locked out says
nothing about who has an account.
"""

import math
from datetime import timedelta

from ..core import clock
from ..core.crypto import digest
from ..core.database import Tx, fetch
from .errors import AccountLocked

MOST = 5
WITHIN = timedelta(minutes=15)
PURPOSE = "login_attempt"


async def begin(email_key: str) -> None:
    """Count one attempt before the password is looked at.

    Counted first, so that a hundred guesses sent at once are not all tried; `forget` takes
    the count back when the password was right.

    Raises:
        AccountLocked: five attempts have failed lately.
    """
    now = clock.now()
    rows = await fetch(
        """
        INSERT INTO login_attempts AS a (email_digest, attempts, since) VALUES ({}, 1, {})
        ON CONFLICT (email_digest) DO UPDATE SET
            attempts = CASE WHEN a.since <= {} THEN 1 ELSE a.attempts + 1 END,
            since = CASE WHEN a.since <= {} OR a.attempts + 1 = {} THEN excluded.since
                ELSE a.since END
        WHERE a.attempts < {} OR a.since <= {}
        RETURNING attempts
        """,
        _digest(email_key),
        now,
        now - WITHIN,
        now - WITHIN,
        MOST,
        MOST,
        now - WITHIN,
    )
    if not rows:
        raise await _locked(email_key)


async def forget(tx: Tx, email_key: str) -> None:
    """Start counting anew: the password was right."""
    await fetch("DELETE FROM login_attempts WHERE email_digest = {}", _digest(email_key))


async def take_back(email_key: str) -> None:
    """Count an attempt for nothing that guessed nothing: the password was right, a code is missing.

    `forget` would let somebody who knows the password start the count of codes anew at will.
    """
    await fetch(
        "UPDATE login_attempts SET attempts = attempts - 1 WHERE email_digest = {} "
        "AND attempts > 0",
        _digest(email_key),
    )


async def _locked(email_key: str) -> AccountLocked:
    rows = await fetch(
        "SELECT since FROM login_attempts WHERE email_digest = {}", _digest(email_key)
    )
    since = rows[0]["since"] if rows else clock.now()
    seconds = (since + WITHIN - clock.now()).total_seconds()
    return AccountLocked(retry_after_seconds=max(1, math.ceil(seconds)))


def _digest(email_key: str) -> bytes:
    return digest(email_key, purpose=PURPOSE)
