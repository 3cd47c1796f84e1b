"""Jobs of blocklists."""

import uuid
from typing import Any

from ..blocklists import work
from ..core.queue import JobName, enqueue


async def check_listings(ctx: Any, *, vmta_id: str) -> None:
    """Look the address of a vMTA up in the lists, if it is time."""
    await work.check_vmta(uuid.UUID(vmta_id))


async def test_blocklists(ctx: Any) -> None:
    """Test every list that is asked."""
    await work.test_lists()


async def ask_for_looks(*, limit: int) -> None:
    """Ask for the jobs of what it is time to look up or to test."""
    if await work.test_is_due():
        await enqueue(JobName.TEST_BLOCKLISTS, key="test-blocklists")
    for vmta_id in await work.due_vmtas(limit=limit):
        await enqueue(JobName.CHECK_LISTINGS, key=f"listings:{vmta_id}", vmta_id=str(vmta_id))
