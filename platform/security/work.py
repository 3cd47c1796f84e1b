"""What the platform does for itself: forgetting what is over, rotating the signing key."""

from datetime import datetime, timedelta

from ..core import clock
from ..core.actor import OrganizationId
from ..core.database import fetch, transaction
from . import attempts, idempotency
from .tables import SigningKey
from .tokens import RETIRED_FOR, new_private_key

USES_KEPT = timedelta(days=2)
BUCKETS_KEPT = timedelta(hours=24)
"""Longer than any bucket or window needs to be as if it had never been used."""


async def tidy() -> None:
    """Delete what is over; run it as often as you like."""
    now = clock.now()
    await fetch("DELETE FROM idempotency_records WHERE created_at < {}", now - idempotency.KEPT)
    await fetch("DELETE FROM password_resets WHERE expires_at < {}", now)
    await fetch("DELETE FROM sessions WHERE expires_at < {}", now)
    await fetch("DELETE FROM spent_challenges WHERE expires_at < {}", now)
    await fetch("DELETE FROM token_revocations WHERE expires_at < {}", now)
    await fetch("DELETE FROM rate_buckets WHERE updated_at < {}", now - BUCKETS_KEPT)
    await fetch("DELETE FROM login_attempts WHERE since < {}", now - attempts.WITHIN)
    await fetch("DELETE FROM api_key_uses WHERE hour < {}", now - USES_KEPT)
    await fetch("DELETE FROM api_key_secrets WHERE expires_at < {}", now)
    await fetch("DELETE FROM signing_keys WHERE retired_at < {}", now - RETIRED_FOR)


async def rotate_signing_key() -> None:
    """Sign tokens with a new key from now on; those of the old one are good until they end.

    Other processes follow within a minute, and verify by the new key at once.
    """
    async with transaction():
        await fetch("UPDATE signing_keys SET retired_at = {} WHERE retired_at IS NULL", clock.now())
        await SigningKey.insert(SigningKey(private_key=new_private_key()))


async def give_up_signing_keys() -> None:
    """Sign tokens with a new key, and end whatever was signed with any other, at once."""
    async with transaction():
        await fetch("DELETE FROM signing_keys")
        await SigningKey.insert(SigningKey(private_key=new_private_key()))
        # They are nobody's any more, and would be listed as if they were.
        await fetch("DELETE FROM sessions")


async def requests_between(start: datetime, end: datetime) -> dict[OrganizationId, int]:
    """Return how many requests came with API keys of each organization; whole hours."""
    rows = await fetch(
        "SELECT k.organization_id, sum(u.requests)::bigint AS requests "
        "FROM api_key_uses u JOIN api_keys k ON k.id = u.api_key_id "
        "WHERE u.hour >= {} AND u.hour < {} GROUP BY k.organization_id",
        start,
        end,
    )
    return {OrganizationId(row["organization_id"]): int(row["requests"]) for row in rows}
