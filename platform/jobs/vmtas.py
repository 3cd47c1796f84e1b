"""Jobs of vMTAs, and what a worker says of them when it starts."""

import logging
import uuid
from typing import Any

from ..vmtas import work

log = logging.getLogger(__name__)


async def check_vmta(ctx: Any, *, vmta_id: str) -> None:
    """Look up what the DNS says of a vMTA's address."""
    await work.check(uuid.UUID(vmta_id))


async def report_missing_addresses() -> None:
    """Log each vMTA whose mail this worker cannot send, for want of its address."""
    for vmta in await work.missing_addresses():
        log.error(
            "vMTA %s sends from %s, which is no address of this machine: its mail waits for a "
            "worker that has it. Add the address here, or give the vMTA another",
            vmta.name,
            vmta.ip_address,
        )
