"""The history of a domain's checks: one row for as many in a row as found the same."""

import json
import uuid
from datetime import datetime, timedelta

from ..core.database import Tx, fetch
from ..core.ids import new_id
from ..core.storable import to_json
from .rules import DomainStatus

KEPT_FOR = timedelta(days=90)


async def remember(tx: Tx, domain_id: uuid.UUID, *, status: DomainStatus, at: datetime) -> None:
    """Write down that a domain, whose row is locked, was checked and what is known of it now."""
    records = await fetch(
        "SELECT purpose, name, status, message FROM domain_records WHERE domain_id = {} "
        "ORDER BY purpose, name",
        domain_id,
    )
    results = to_json([dict(record) for record in records])
    latest = await fetch(
        "SELECT id, status, results::text AS results FROM domain_checks WHERE domain_id = {} "
        "ORDER BY id DESC LIMIT 1",
        domain_id,
    )
    same = [
        row["id"]
        for row in latest
        if row["status"] == status.value and json.loads(row["results"]) == json.loads(results)
    ]
    if same:
        await fetch(
            "UPDATE domain_checks SET times = times + 1, last_at = {} WHERE id = {}", at, same[0]
        )
        return
    await fetch(
        "INSERT INTO domain_checks (id, domain_id, status, results, times, first_at, last_at) "
        "VALUES ({}, {}, {}, {}::jsonb, 1, {}, {})",
        new_id(),
        domain_id,
        status.value,
        results,
        at,
        at,
    )
