"""Tidying: what was kept for a while is removed, mail every hour and the rest once a day."""

import logging
from typing import Any

from ..accounts.work import remove_old_invitations
from ..analytics.work import remove_old_counts
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
from ..delivery.work.forgetting import forget_mail
from ..domains.work import remove_old_checks
from ..notices.work import remove_old_notices
from ..security.work import tidy as tidy_security
from ..suppressions.work import remove_old_imports
from ..tracking.work.erasing import remove_old_marks
from ..webhooks.work import remove_old_calls

log = logging.getLogger(__name__)

FORGETTING_SECONDS = 1_500.0
"""What is left then waits for the next hour."""


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
    await remove_old_marks()
    await remove_old_counts()
    calls = await remove_old_calls()
    await tidy_security()
    log.info(
        "tidied",
        extra={
            "contents": contents,
            "captured_messages": captured,
            "sandbox_messages": unused,
            "webhook_calls": calls,
        },
    )


async def forget(ctx: dict[str, Any]) -> None:
    """Remove messages that are kept no longer, with all that is known of them."""
    messages = await forget_mail(seconds=FORGETTING_SECONDS)
    log.info("forgot old mail", extra={"messages": messages})
