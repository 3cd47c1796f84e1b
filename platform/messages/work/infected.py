"""Who has sent viruses, as far as they were scanned."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ...core.database import fetch
from ...scanning.work import infected_since

MOST = 10_000


async def infected_by_key(since: datetime) -> Sequence[Mapping[str, Any]]:
    """Return, by API key, how many messages since then carried a virus, and which."""
    found = {row["id"]: row for row in await infected_since(since, limit=MOST)}
    if not found:
        return []
    rows = await fetch(
        "SELECT id, organization_id, api_key_id FROM messages WHERE id = ANY({}::uuid[]) "
        "AND api_key_id IS NOT NULL",
        list(found),
    )
    keys: dict[Any, dict[str, Any]] = {}
    for row in rows:
        group = keys.setdefault(
            (row["organization_id"], row["api_key_id"]),
            {
                "organization_id": row["organization_id"],
                "api_key_id": row["api_key_id"],
                "n": 0,
                "messages": [],
                "threats": [],
            },
        )
        group["n"] += 1
        group["messages"].append(row["id"])
        group["threats"] = sorted({*group["threats"], *found[row["id"]]["threats"]})
    return list(keys.values())
