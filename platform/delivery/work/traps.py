"""Spam traps, as far as receivers say that one was hit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ...core.database import fetch

MOST_ORGANIZATIONS = 10_000
LATEST = 1_000
"""Bounces of one organization that are looked at."""


async def spamtrap_hits(since: datetime) -> Sequence[Mapping[str, Any]]:
    """Return, by vMTA, how many bounces since then named a spam trap, with one of the replies."""
    return await fetch(
        "SELECT bounce.organization_id, vmta.id AS vmta_id, vmta.name, "
        "count(*)::integer AS n, max(left(bounce.reply, 200)) AS reply "
        # Organizations whose mail was refused lately; then each one's bounces by its index.
        "FROM (SELECT DISTINCT organization_id FROM vmta_activity WHERE hour_at >= {}::timestamptz "
        "- interval '1 hour' AND hard_bounced + soft_bounced + blocked > 0 LIMIT {}) AS refused "
        "CROSS JOIN LATERAL (SELECT organization_id, data->>'vmta' AS vmta, "
        "data->>'smtp_response' AS reply FROM events "
        "WHERE organization_id = refused.organization_id "
        "AND type IN ('message.bounced', 'message.expired') AND occurred_at >= {} "
        "AND NOT simulated ORDER BY occurred_at DESC LIMIT {}) AS bounce "
        "JOIN vmtas AS vmta ON vmta.organization_id = bounce.organization_id "
        "AND vmta.name = bounce.vmta WHERE bounce.reply ~* 'spam[ -]?trap' "
        "GROUP BY 1, 2, 3",
        since,
        MOST_ORGANIZATIONS,
        since,
        LATEST,
    )
