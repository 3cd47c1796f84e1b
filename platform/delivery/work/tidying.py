"""Removing what is kept for a while only."""

from datetime import timedelta

from ...core import clock
from ...core.database import fetch

CONTENT_KEPT = timedelta(days=3)
"""How long a message can be read after its last delivery became final."""

CAPTURED_KEPT = timedelta(days=3)

BATCH = 1000
"""Rows removed by one statement, so that none holds its locks for long."""


async def remove_old_contents() -> int:
    """Remove contents nobody may read any more and return how many there were."""
    before = clock.now() - CONTENT_KEPT
    removed = 0
    while rows := await fetch(
        "DELETE FROM contents WHERE id = ANY(ARRAY("
        "SELECT content_id FROM spooled_messages JOIN contents ON contents.id = content_id "
        "WHERE completed_at < {} AND contents.created_at < {} LIMIT {})) RETURNING id",
        before,
        before,
        BATCH,
    ):
        removed += len(rows)
    return removed


async def remove_old_captured() -> int:
    """Remove captured mail that has been kept long enough and return how much there was."""
    before = clock.now() - CAPTURED_KEPT
    removed = 0
    while rows := await fetch(
        "DELETE FROM captured_messages WHERE id = ANY(ARRAY("
        "SELECT id FROM captured_messages WHERE created_at < {} LIMIT {})) RETURNING id",
        before,
        BATCH,
    ):
        removed += len(rows)
    return removed
