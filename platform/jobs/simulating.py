"""Simulating: what somebody put off for sandbox mail happens when it is due."""

import uuid
from typing import Any

from ..delivery.work.simulating import run_simulation


async def run(ctx: dict[str, Any], *, simulation_id: str) -> None:
    """Let one simulation happen; nothing happens to one that has, or that is not due."""
    await run_simulation(uuid.UUID(simulation_id))
