"""Reading the limits of vMTAs."""

import json
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from ..core.database import fetch
from .rules import PlaceLimits, VmtaLimits

PLACES_SQL = (
    "(SELECT json_agg(json_build_array(isp, domain, place.max_connections, "
    "place.max_messages_per_connection, place.max_messages_per_hour)) "
    "FROM vmta_limits AS place WHERE place.vmta_id = vmtas.id)"
)
"""SQL expression of what `vmtas` may do at some places, for `read_limits`."""


async def limits_of(vmta_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, VmtaLimits]:
    """Return the limits of each vMTA."""
    rows = await fetch(
        "SELECT id, max_connections, max_messages_per_connection, max_messages_per_hour, "
        f"max_messages_per_day, {PLACES_SQL}::text AS places FROM vmtas "
        "WHERE id = ANY({}::uuid[])",
        list(vmta_ids),
    )
    return {row["id"]: read_limits(row) for row in rows}


def read_limits(row: Mapping[str, Any]) -> VmtaLimits:
    """Return the limits in a row that has the columns of `vmtas`, and `places` as text."""
    places = json.loads(row["places"]) if row["places"] else ()
    return VmtaLimits(
        row["max_connections"],
        row["max_messages_per_connection"],
        row["max_messages_per_hour"],
        row["max_messages_per_day"],
        tuple(PlaceLimits(*place) for place in places),
    )
