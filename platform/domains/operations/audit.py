"""Writing down who did what to a domain."""

from collections.abc import Mapping
from typing import Any

from ...audit.operations import record
from ...core.actor import Actor
from ...core.database import Tx
from ..tables import Domain


async def record_change(
    actor: Actor, tx: Tx, domain: Domain, action: str, changes: Mapping[str, Any]
) -> None:
    """Write an audit entry about a domain."""
    await record(
        tx, actor, action=action, target_type="domain", target_id=domain.id, changes=changes
    )
