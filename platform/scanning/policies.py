"""Which policy holds for an organization: its own, or else the deployment's."""

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from ..core.actor import OrganizationId
from ..core.database import fetch
from ..core.settings import settings
from .rules import Policy, WhenDown, deployment_policy

FRESH_SECONDS = 5.0
"""How long a process may go by what it read before."""
REMEMBERED = 10_000

_remembered: OrderedDict[OrganizationId, tuple[float, Policy]] = OrderedDict()


def default_policy() -> Policy:
    """Return the deployment's policy."""
    found = settings()
    return deployment_policy(
        outgoing=found.scan_outgoing,
        inbound=found.scan_inbound,
        when_down=found.scan_down,
        threshold=float(found.scan_threshold),
    )


async def policies_of(ids: Iterable[OrganizationId]) -> Mapping[OrganizationId, Policy]:
    """Return the policy of each organization; one statement for those not read lately."""
    now = time.monotonic()
    wanted = set(ids)
    found = {
        id: kept[1]
        for id in wanted
        if (kept := _remembered.get(id)) and now - kept[0] < FRESH_SECONDS
    }
    if missing := wanted - found.keys():
        rows = await fetch(
            "SELECT * FROM scan_policies WHERE organization_id = ANY({}::uuid[])", list(missing)
        )
        own = {row["organization_id"]: row for row in rows}
        for id in missing:
            found[id] = merged(own[id]) if id in own else default_policy()
            _remembered[id] = (now, found[id])
            _remembered.move_to_end(id)
        while len(_remembered) > REMEMBERED:
            _remembered.popitem(last=False)
    return found


def merged(row: Mapping[str, Any]) -> Policy:
    """Return the policy that an organization's row makes of the deployment's."""
    base = default_policy()

    def chosen(name: str) -> bool:
        value = row[name]
        return bool(getattr(base, name) if value is None else value)

    threshold, when_down = row["spam_threshold"], row["when_down"]
    return Policy(
        outgoing_virus=chosen("outgoing_virus"),
        outgoing_spam=chosen("outgoing_spam"),
        inbound_virus=chosen("inbound_virus"),
        inbound_spam=chosen("inbound_spam"),
        spam_threshold=base.spam_threshold if threshold is None else threshold,
        when_down=WhenDown(when_down) if when_down is not None else base.when_down,
    )


def forget(organization_id: OrganizationId) -> None:
    """Read anew at the next look, because something was changed."""
    _remembered.pop(organization_id, None)
