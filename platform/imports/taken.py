"""What was taken over before, so that nothing is taken over twice."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from ..core import clock
from ..core.database import Tx, fetch
from ..core.ids import new_id


@dataclass(frozen=True, slots=True)
class Taken:
    """The memory of what was taken over from one platform."""

    platform: str

    async def recall(self, kind: str, foreign_ids: Collection[str]) -> dict[str, uuid.UUID]:
        """Return our ids of rows that were taken over, those that are gone by now, too."""
        rows = await fetch(
            "SELECT foreign_id, local_id FROM imported_rows "
            "WHERE platform = {} AND kind = {} AND foreign_id = ANY({}::text[])",
            self.platform,
            kind,
            list(foreign_ids),
        )
        return {row["foreign_id"]: row["local_id"] for row in rows}

    async def remember(self, tx: Tx, kind: str, foreign_id: str, local_id: uuid.UUID) -> None:
        """Note that a row became one of ours."""
        await fetch(
            "INSERT INTO imported_rows (id, platform, kind, foreign_id, local_id, created_at) "
            "VALUES ({}, {}, {}, {}, {}, {})",
            new_id(),
            self.platform,
            kind,
            foreign_id,
            local_id,
            clock.now(),
        )

    async def position(self, list_id: str) -> int:
        """Return the last id of a list that was read; 0 is none."""
        rows = await fetch(
            "SELECT position FROM imported_rows "
            "WHERE platform = {} AND kind = 'list' AND foreign_id = {}",
            self.platform,
            list_id,
        )
        return int(rows[0]["position"]) if rows else 0

    async def move(self, tx: Tx, list_id: str, *, local_id: uuid.UUID, position: int) -> None:
        """Note up to which id a list was read."""
        await fetch(
            "INSERT INTO imported_rows "
            "(id, platform, kind, foreign_id, local_id, position, created_at) "
            "VALUES ({}, {}, 'list', {}, {}, {}, {}) "
            "ON CONFLICT (platform, kind, foreign_id) DO UPDATE "
            "SET position = greatest(imported_rows.position, excluded.position)",
            new_id(),
            self.platform,
            list_id,
            local_id,
            position,
            clock.now(),
        )
