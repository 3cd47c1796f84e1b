"""Removing what is kept for a while only."""

from datetime import timedelta
from uuid import UUID

from ...core import clock
from ...core.database import fetch
from ...core.ids import first_id_at

CONTENT_KEPT = timedelta(days=3)
"""How long a message can be read after its last delivery became final."""

CAPTURED_KEPT = timedelta(days=3)

BATCH = 1000
"""Rows removed by one statement, so that none holds its locks for long."""


async def remove_old_contents() -> int:
    """Remove contents nobody may read any more and return how many there were."""
    before = clock.now() - CONTENT_KEPT
    removed, start = 0, UUID(int=0)
    # Ids are in the order of time, so that only old contents are looked at, each once.
    while looked_at := await fetch(
        "SELECT contents.id, message.completed_at < {} AS is_old FROM contents "
        "LEFT JOIN spooled_messages AS message ON message.content_id = contents.id "
        "WHERE contents.id > {} AND contents.id < {} ORDER BY contents.id LIMIT {}",
        before,
        start,
        first_id_at(before),
        BATCH,
    ):
        old = [row["id"] for row in looked_at if row["is_old"]]
        await fetch("DELETE FROM contents WHERE id = ANY({}::uuid[])", old)
        removed, start = removed + len(old), looked_at[-1]["id"]
    return removed


async def remove_old_captured() -> int:
    """Remove captured mail that has been kept long enough and return how much there was."""
    before = clock.now() - CAPTURED_KEPT
    removed = 0
    while rows := await fetch(
        "DELETE FROM captured_messages WHERE id = ANY(ARRAY("
        "SELECT id FROM captured_messages WHERE id < {} ORDER BY id LIMIT {})) RETURNING id",
        first_id_at(before),
        BATCH,
    ):
        removed += len(rows)
    return removed
