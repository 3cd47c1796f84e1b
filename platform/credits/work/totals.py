"""What all organizations used together, and forgetting what nobody may ask for any more."""

from ...core import clock
from ...core.database import fetch
from ..rules import REFERENCE_KEPT


async def all_consumed_credits() -> dict[str, int]:
    """Return the credits that all organizations ever used, by type, refunds not taken off."""
    rows = await fetch(
        "SELECT type, sum(used)::bigint AS used FROM credit_usage WHERE slot >= 0 GROUP BY type"
    )
    return {row["type"]: row["used"] for row in rows}


async def forget_references() -> None:
    """Let customers' own names for what they consumed be used again after a while."""
    await fetch("DELETE FROM credit_references WHERE created_at < {}", clock.now() - REFERENCE_KEPT)
