"""Saying how mail to an organization's addresses is greylisted."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..audit.operations import record
from ..core import clock
from ..core.actor import Actor, Permission
from ..core.database import fetch, transaction
from ..core.errors import Detail, DetailCode, InvalidInput
from ..core.ids import new_id
from .policies import forget
from .queries import Configuration, get_configuration
from .rules import (
    AGE_RANGE,
    DELAY_RANGE,
    MOST_EXEMPT,
    PASSES_RANGE,
    USUAL,
    WINDOW_RANGE,
    split_exemptions,
)


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """How to greylist; None leaves it to the deployment, as does what is left out."""

    enabled: bool | None = None
    delay_seconds: int | None = None
    retry_window_seconds: int | None = None
    max_age_seconds: int | None = None
    auto_allow_after: int | None = None
    reports: bool | None = None
    exempt: Sequence[str] = ()


async def set_greylisting(actor: Actor, change: PolicyChange) -> Configuration:
    """Say how mail to the organization's addresses is greylisted, instead of what was said before.

    Raises:
        InvalidInput: names every field that breaks a rule.
    """
    actor.require(Permission.WRITE_SECURITY)
    _check(change)
    exempt = list(dict.fromkeys(item.strip().lower() for item in change.exempt))
    async with transaction() as tx:
        await fetch(
            "INSERT INTO greylist_policies (id, organization_id, enabled, delay_seconds, "
            "retry_window_seconds, max_age_seconds, auto_allow_after, reports, exempt, updated_at) "
            "VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}) ON CONFLICT (organization_id) "
            "DO UPDATE SET enabled = excluded.enabled, delay_seconds = excluded.delay_seconds, "
            "retry_window_seconds = excluded.retry_window_seconds, "
            "max_age_seconds = excluded.max_age_seconds, "
            "auto_allow_after = excluded.auto_allow_after, reports = excluded.reports, "
            "exempt = excluded.exempt, updated_at = excluded.updated_at",
            new_id(),
            actor.organization_id,
            change.enabled,
            change.delay_seconds,
            change.retry_window_seconds,
            change.max_age_seconds,
            change.auto_allow_after,
            change.reports,
            exempt,
            clock.now(),
        )
        await record(
            tx,
            actor,
            action="greylisting.set",
            target_type="organization",
            target_id=actor.organization_id,
            changes={
                "enabled": change.enabled,
                "delay_seconds": change.delay_seconds,
                "retry_window_seconds": change.retry_window_seconds,
                "max_age_seconds": change.max_age_seconds,
                "auto_allow_after": change.auto_allow_after,
                "reports": change.reports,
                "exempt": exempt,
            },
        )
    forget(actor.organization_id)
    return await get_configuration(actor)


def _check(change: PolicyChange) -> None:
    details: list[Detail] = []
    for name, value, (least, most) in (
        ("delaySeconds", change.delay_seconds, DELAY_RANGE),
        ("retryWindowSeconds", change.retry_window_seconds, WINDOW_RANGE),
        ("maxAgeSeconds", change.max_age_seconds, AGE_RANGE),
        ("autoAllowAfter", change.auto_allow_after, PASSES_RANGE),
    ):
        if value is not None and value < least:
            details.append(Detail(name, DetailCode.TOO_SMALL, f"At least {least}."))
        elif value is not None and value > most:
            details.append(Detail(name, DetailCode.TOO_LARGE, f"At most {most}."))
    window = change.retry_window_seconds or int(USUAL.retry_window.total_seconds())
    age = change.max_age_seconds or int(USUAL.max_age.total_seconds())
    if not details and age < window:
        message = "What has passed is kept at least as long as it may take to pass."
        details.append(Detail("maxAgeSeconds", DetailCode.TOO_SMALL, message))
    if len(change.exempt) > MOST_EXEMPT:
        message = f"At most {MOST_EXEMPT} networks and domains."
        details.append(Detail("exempt", DetailCode.TOO_MANY, message))
    else:
        details += [
            Detail(f"exempt[{nth}]", DetailCode.INVALID_FORMAT, "Write a network or a domain.")
            for nth, item in enumerate(change.exempt)
            if not _is_exemption(item)
        ]
    if details:
        raise InvalidInput.all(details)


def _is_exemption(item: str) -> bool:
    try:
        split_exemptions([item.strip()])
    except ValueError:
        return False
    return len(item) <= 253
