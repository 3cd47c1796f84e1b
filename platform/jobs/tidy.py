"""Tidying: what was kept for a while is removed, mail every hour and the rest once a day."""

import logging
from typing import Any

from ..accounts.work import remove_old_invitations, terms_of
from ..analytics.work import remove_old_counts
from ..audit.work import remove_old_entries
from ..blocklists.work import remove_old_answers
from ..bulk.work import forget_bulk_actions
from ..core.retention import Kind
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
from ..delivery.work.greylisted import forget_greylisted
from ..domains.work import remove_old_checks
from ..exports.work import drop_expired
from ..greylisting.work import remove_what_is_over
from ..ingress.work import remove_old_mail
from ..notices.work import remove_old_notices
from ..removals.work import forget_removals
from ..requests.work import remove_old_requests
from ..scanning.work import remove_old_scans
from ..security.abuse import remove_old_counts as remove_old_abuse
from ..security.work import tidy as tidy_security
from ..suppressions.work import remove_old_imports
from ..tracking.work.erasing import remove_old_marks
from ..webhooks.work import remove_old_calls

log = logging.getLogger(__name__)

FORGETTING_SECONDS = 1_500.0
"""What is left then waits for the next hour."""


async def tidy(ctx: dict[str, Any]) -> None:
    """Remove what nobody may ask for any more."""
    contents = sum([await remove_old_contents(term) for term in await terms_of(Kind.CONTENTS)])
    captured = await remove_old_captured()
    unused = await remove_unused_sandbox_mail()
    await remove_old_activity()
    await remove_old_reports()
    await remove_old_scopes()
    await remove_expired_policies()
    entries = sum([await remove_old_entries(term) for term in await terms_of(Kind.AUDIT)])
    await remove_old_answers()
    await remove_old_scans()
    await remove_old_abuse()
    await forget_greylisted()
    await remove_old_invitations()
    await remove_old_checks()
    await remove_old_notices()
    await remove_old_mail()
    await remove_old_imports()
    await forget_bulk_actions()
    await forget_removals()
    await remove_old_marks()
    await remove_old_counts()
    calls = sum([await remove_old_calls(term) for term in await terms_of(Kind.CALLS)])
    requests = sum([await remove_old_requests(term) for term in await terms_of(Kind.REQUESTS)])
    await tidy_security()
    log.info(
        "tidied",
        extra={
            "contents": contents,
            "captured_messages": captured,
            "sandbox_messages": unused,
            "webhook_calls": calls,
            "api_requests": requests,
            "audit_entries": entries,
        },
    )


async def forget(ctx: dict[str, Any]) -> None:
    """Remove messages and files that are kept no longer, with all that is known of them."""
    await drop_expired()
    await remove_what_is_over()
    messages = await forget_mail(await terms_of(Kind.MESSAGES), seconds=FORGETTING_SECONDS)
    log.info("forgot old mail", extra={"messages": messages})
