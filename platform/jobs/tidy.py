"""Tidying: once a day, what was kept for a while is removed."""

import logging
from typing import Any

from ..accounts.work import remove_old_invitations
from ..audit.work import remove_old_entries
from ..delivery.work import (
    remove_expired_policies,
    remove_old_activity,
    remove_old_captured,
    remove_old_contents,
    remove_old_reports,
    remove_old_scopes,
    remove_unused_sandbox_mail,
)
from ..domains.work import remove_old_checks
from ..notices.work import remove_old_notices
from ..security.work import tidy as tidy_security
from ..suppressions.work import remove_old_imports

log = logging.getLogger(__name__)


async def tidy(ctx: dict[str, Any]) -> None:
    """Remove what nobody may ask for any more."""
    contents = await remove_old_contents()
    captured = await remove_old_captured()
    unused = await remove_unused_sandbox_mail()
    await remove_old_activity()
    await remove_old_reports()
    await remove_old_scopes()
    await remove_expired_policies()
    await remove_old_entries()
    await remove_old_invitations()
    await remove_old_checks()
    await remove_old_notices()
    await remove_old_imports()
    await tidy_security()
    log.info(
        "tidied",
        extra={"contents": contents, "captured_messages": captured, "sandbox_messages": unused},
    )
