"""What the platform does with credits for itself."""

from ..core.database import fetch


async def all_consumed_credits() -> dict[str, int]:
    """Return the credits that all organizations ever used, by type, refunds not taken off."""
    rows = await fetch(
        "SELECT type, sum(used)::bigint AS used FROM credit_usage WHERE slot >= 0 GROUP BY type"
    )
    return {row["type"]: row["used"] for row in rows}
