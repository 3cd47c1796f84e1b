"""`postlane grant-platform-admin` and `revoke-platform-admin`: who looks after the deployment."""

import argparse

from ..core.logs import start_logging
from ..core.settings import settings
from ..security.operations import change_platform_admin_here
from .connection import open_database
from .history import require_current


async def grant(arguments: argparse.Namespace) -> int:
    """Let a registered person look after the deployment."""
    changed = await _change(arguments.email, granted=True)
    said = "now looks after" if changed else "looks after"
    print(f"{arguments.email} {said} this deployment{'' if changed else ' already'}.")
    return 0


async def revoke(arguments: argparse.Namespace) -> int:
    """Let a person look after the deployment no longer."""
    changed = await _change(arguments.email, granted=False)
    said = "no longer looks after" if changed else "did not look after"
    print(f"{arguments.email} {said} this deployment.")
    return 0


async def _change(email: str, *, granted: bool) -> bool:
    start_logging(form=settings().log_format, level="warning")
    async with open_database():
        await require_current()
        return await change_platform_admin_here(email=email, granted=granted)
