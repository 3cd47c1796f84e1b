"""Which policy holds: an organization's own, with the deployment's for what it leaves open."""

import time
import tomllib
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ..core.database import fetch
from ..core.settings import settings
from .rules import Policy, read_exemptions, split_exemptions

FRESH_SECONDS = 5.0
"""How long a process may go by what it read before."""
REMEMBERED = 10_000

_remembered: OrderedDict[uuid.UUID, tuple[float, Policy]] = OrderedDict()


@lru_cache(maxsize=1)
def large_senders() -> frozenset[str]:
    """Return the domains of senders that everybody knows."""
    text = files(__package__).joinpath("large_senders.toml").read_text("utf-8")
    return frozenset(domain for domains in tomllib.loads(text).values() for domain in domains)


def default_policy() -> Policy:
    """Return the deployment's policy."""
    found = settings()
    networks, domains = read_exemptions(found.greylisting_exempt)
    return Policy(
        enabled=found.greylisting == "on",
        delay=timedelta(seconds=found.greylisting_delay_seconds),
        networks=networks,
        domains=domains,
    )


async def policy_of(organization_id: uuid.UUID | None) -> Policy:
    """Return the policy for an organization's addresses; None is for the deployment's own."""
    if organization_id is None:
        return default_policy()
    kept = _remembered.get(organization_id)
    if kept and time.monotonic() - kept[0] < FRESH_SECONDS:
        return kept[1]
    rows = await fetch(
        "SELECT * FROM greylist_policies WHERE organization_id = {}", organization_id
    )
    policy = merged(rows[0]) if rows else default_policy()
    _remembered[organization_id] = (time.monotonic(), policy)
    _remembered.move_to_end(organization_id)
    while len(_remembered) > REMEMBERED:
        _remembered.popitem(last=False)
    return policy


def merged(row: Mapping[str, Any]) -> Policy:
    """Return the policy that an organization's row makes of the deployment's."""
    base = default_policy()
    networks, domains = split_exemptions(row["exempt"] or [])

    def seconds(name: str, usual: timedelta) -> timedelta:
        return usual if row[name] is None else timedelta(seconds=row[name])

    return Policy(
        enabled=base.enabled if row["enabled"] is None else row["enabled"],
        delay=seconds("delay_seconds", base.delay),
        retry_window=seconds("retry_window_seconds", base.retry_window),
        max_age=seconds("max_age_seconds", base.max_age),
        auto_allow_after=row["auto_allow_after"] or base.auto_allow_after,
        reports=base.reports if row["reports"] is None else row["reports"],
        networks=(*base.networks, *networks),
        domains=base.domains | domains,
    )


def forget(organization_id: uuid.UUID) -> None:
    """Read anew at the next look, because something was changed."""
    _remembered.pop(organization_id, None)
