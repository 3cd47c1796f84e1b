"""The rows of logos: what was set, and what was found wrong with it."""

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from ..core import clock
from ..core.database import fetch
from ..core.storable import to_json
from .bimi import BimiSettings, BimiVerdict
from .logo import BimiIssue, BimiIssueCode


@dataclass(frozen=True, slots=True)
class StoredLogo:
    """Which logo a domain has, and what the last look at it found."""

    settings: BimiSettings
    verdict: BimiVerdict
    checked_at: datetime | None


async def read_bimi(domain_id: uuid.UUID) -> BimiSettings | None:
    """Return which logo was set for a domain, or None if none ever was."""
    found = (await read_logos([domain_id])).get(domain_id)
    return None if found is None else found.settings


async def read_logos(domain_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, StoredLogo]:
    """Return the logos of those of the domains for which one was set."""
    rows = await fetch(
        "SELECT domain_id, enabled, selector, logo_url, vmc_url, issues::text AS issues, "
        "vmc_expires_at, checked_at FROM domain_bimi WHERE domain_id = ANY({}::uuid[])",
        list(domain_ids),
    )
    return {
        row["domain_id"]: StoredLogo(
            BimiSettings(row["enabled"], row["selector"], row["logo_url"], row["vmc_url"]),
            BimiVerdict(
                tuple(
                    BimiIssue(BimiIssueCode(issue["code"]), issue["message"])
                    for issue in json.loads(row["issues"])
                ),
                row["vmc_expires_at"],
            ),
            row["checked_at"],
        )
        for row in rows
    }


async def write_verdict(domain_id: uuid.UUID, judged: BimiSettings, verdict: BimiVerdict) -> None:
    """Write down what was found wrong, unless the logo was changed since it was looked at."""
    await fetch(
        "UPDATE domain_bimi SET issues = {}::jsonb, vmc_expires_at = {}, checked_at = {} "
        "WHERE domain_id = {} AND enabled = {} AND selector = {} "
        "AND logo_url IS NOT DISTINCT FROM {}::text AND vmc_url IS NOT DISTINCT FROM {}::text",
        to_json([asdict(issue) for issue in verdict.issues]),
        verdict.vmc_expires_at,
        clock.now() if judged.logo else None,
        domain_id,
        judged.enabled,
        judged.selector,
        judged.logo_url,
        judged.vmc_url,
    )
