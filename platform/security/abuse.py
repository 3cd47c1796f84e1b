"""What strangers and keys do wrong, counted by the minute, and networks that may not sign in.

Only what goes wrong is written down, so that nobody who does right pays for it.
"""

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from ..core import clock
from ..core.database import Tx, fetch
from ..core.ids import new_id
from ..core.tenants import across_organizations
from .errors import AddressBlocked
from .limits import address_subject

KEPT = timedelta(days=2)
FOR_EVER = datetime.max.replace(tzinfo=UTC)
ANY_NOTED = (
    "EXISTS (SELECT FROM abuse_counts WHERE kind = ANY({}::text[]) AND minute_at > {}::timestamptz)"
)
"""Whether anything of these kinds went wrong in a minute after this, of `minutes_since`."""


class Kind(StrEnum):
    """What went wrong."""

    SIGN_IN = "sign_in"
    """A wrong password or code; by network."""
    SMTP_AUTH = "smtp_auth"
    """A wrong key at SMTP submission; by network."""
    SMTP_REFUSALS = "smtp_refusals"
    """Commands that were refused in a conversation; by network."""
    FORGED_SENDER = "forged_sender"
    """A message from a domain that is not the organization's; by API key."""


@dataclass(frozen=True, slots=True)
class Noted:
    """How often something went wrong."""

    organization_id: uuid.UUID | None
    subject: str
    count: int
    by_kind: Mapping[str, int]


async def note(
    kind: Kind, subject: str, *, organization_id: uuid.UUID | None = None, count: int = 1
) -> None:
    """Write down that something went wrong; *subject* is who did it."""
    now = clock.now()
    await fetch(
        "INSERT INTO abuse_counts AS old (id, kind, subject, organization_id, minute_at, times) "
        "VALUES ({}, {}, {}, {}, {}, {}) ON CONFLICT (kind, subject, minute_at, organization_id) "
        "DO UPDATE SET times = old.times + excluded.times",
        new_id(),
        kind.value,
        subject[:64],
        organization_id,
        now.replace(second=0, microsecond=0),
        count,
    )


@across_organizations
async def note_address(kind: Kind, address: str | None, *, count: int = 1) -> None:
    """Write down that something went wrong from an address; None is this machine itself."""
    if address is not None:
        await note(kind, address_subject(address), count=count)


async def noted_since(*asked: tuple[datetime, Sequence[Kind]]) -> list[list[Noted]]:
    """Return, for each time and kinds *asked* for, who did any of them wrong since, and how often.

    It is one statement, for however many are asked for.
    """
    if not asked:
        return []
    lines = [
        (nth, kind.value, minutes_since(since))
        for nth, (since, kinds) in enumerate(asked)
        for kind in kinds
    ]
    rows = await fetch(
        "SELECT nth, organization_id, subject, kind, sum(times)::integer AS n "
        "FROM unnest({}::integer[], {}::text[], {}::timestamptz[]) AS asked (nth, kind, since) "
        # The earliest stands there for the planner, which goes by the index if it knows it.
        "JOIN abuse_counts USING (kind) WHERE minute_at > since AND minute_at > {}::timestamptz "
        "GROUP BY nth, organization_id, subject, kind",
        *(list(column) for column in zip(*lines, strict=True)),
        min(since for _, _, since in lines),
    )
    found: list[dict[tuple[uuid.UUID | None, str], dict[str, int]]] = [{} for _ in asked]
    for row in rows:
        who = row["organization_id"], row["subject"]
        found[row["nth"]].setdefault(who, {})[row["kind"]] = row["n"]
    return [
        [Noted(owner, who, sum(kinds.values()), kinds) for (owner, who), kinds in each.items()]
        for each in found
    ]


def minutes_since(since: datetime) -> datetime:
    """Return what a minute must be after for something in it to have happened *since* then."""
    return since - timedelta(minutes=1)


async def is_blocked(address: str | None) -> bool:
    """Say whether an address is of a network that may not sign in; None is this machine itself."""
    return address is not None and await _blocked_until(address) is not None


async def require_not_blocked(address: str | None) -> None:
    """Do nothing unless an address is of a network that may not sign in.

    Raises:
        AddressBlocked: it is; says when that ends.
    """
    until = None if address is None else await _blocked_until(address)
    if until is not None:
        wait = (until - clock.now()).total_seconds()
        raise AddressBlocked(
            retry_after_seconds=None if until == FOR_EVER else max(1, math.ceil(wait))
        )


async def _blocked_until(address: str) -> datetime | None:
    """Return when the block of an address ends, None if there is none; one look-up by key."""
    rows = await fetch(
        "SELECT expires_at FROM blocked_addresses WHERE network = {} "
        "AND (expires_at IS NULL OR expires_at > {})",
        address_subject(address),
        clock.now(),
    )
    if not rows:
        return None
    return rows[0]["expires_at"] or FOR_EVER


async def block_address(
    tx: Tx, network: str, *, block_id: uuid.UUID, until: datetime | None
) -> bool:
    """Let nobody sign in from a network; say whether that is new."""
    rows = await fetch(
        "INSERT INTO blocked_addresses AS old (id, network, block_id, expires_at, created_at) "
        "VALUES ({}, {}, {}, {}, {}) ON CONFLICT (network) DO UPDATE SET "
        "block_id = excluded.block_id, expires_at = excluded.expires_at "
        "WHERE old.expires_at <= excluded.created_at RETURNING id",
        new_id(),
        network,
        block_id,
        until,
        clock.now(),
    )
    return bool(rows)


async def unblock_address(tx: Tx, block_id: uuid.UUID) -> None:
    """Let a network sign in again, and count its failures anew."""
    rows = await fetch(
        "DELETE FROM blocked_addresses WHERE block_id = {} RETURNING network", block_id
    )
    for row in rows:
        await fetch("DELETE FROM abuse_counts WHERE subject = {}", row["network"])


async def remove_old_counts() -> None:
    """Forget what went wrong days ago, and networks whose block has ended."""
    now = clock.now()
    await fetch("DELETE FROM abuse_counts WHERE minute_at < {}", now - KEPT)
    await fetch("DELETE FROM blocked_addresses WHERE expires_at < {}", now - KEPT)
