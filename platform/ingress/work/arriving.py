"""Taking mail at the addresses of mailboxes, keeping it, and removing it."""

import uuid
from dataclasses import dataclass
from typing import LiteralString

from ...core import clock
from ...core.actor import OrganizationId
from ...core.database import Tx, fetch, transaction
from ...core.ids import new_id
from ...mail.raw import field_text
from ..rules import DEAD_KEPT, KEPT, MOST_WAITING, MailSource, token_in
from .due import tell

LONGEST_SUBJECT = 998

ACTIVE: LiteralString = (
    "EXISTS (SELECT FROM organizations o WHERE o.id = m.organization_id AND o.status = 'active')"
)
ARCHIVED: LiteralString = (
    "EXISTS (SELECT FROM projects p WHERE p.id = m.project_id AND p.archived_at IS NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A mail that came in."""

    data: bytes
    source: MailSource
    sender: str | None = None
    """From the envelope, where there is one."""


@dataclass(frozen=True, slots=True)
class OpenMailbox:
    """A mailbox that takes mail at its address."""

    id: uuid.UUID
    organization_id: OrganizationId
    is_full: bool
    is_suspended: bool
    """Its organization is, which may end."""


async def find_open_mailbox(local_part: str) -> OpenMailbox | None:
    """Return the mailbox whose address at our name has *local_part*, if it is there for mail."""
    token = token_in(local_part)
    if token is None:
        return None
    rows = await fetch(
        "SELECT m.id, m.organization_id, (SELECT count(*) FROM (SELECT FROM ingress_mails "
        "WHERE mailbox_id = m.id AND state = 'pending' LIMIT {}) AS waiting) AS waiting, "
        f"NOT {ACTIVE} AS is_suspended FROM ingress_mailboxes m "
        f"WHERE m.token = {{}} AND NOT {ARCHIVED}",
        MOST_WAITING,
        token,
    )
    if not rows:
        return None
    row = rows[0]
    is_full = row["waiting"] >= MOST_WAITING
    return OpenMailbox(row["id"], row["organization_id"], is_full, row["is_suspended"])


async def take_mail(mailbox_id: uuid.UUID, arrival: Arrival) -> bool:
    """Keep a mail, to be posted at once; say whether its mailbox was still there."""
    async with transaction() as tx:
        rows = await fetch(
            "SELECT organization_id FROM ingress_mailboxes WHERE id = {} FOR KEY SHARE", mailbox_id
        )
        if rows:
            await keep(tx, mailbox_id, rows[0]["organization_id"], arrival)
    return bool(rows)


async def keep(
    tx: Tx, mailbox_id: uuid.UUID, organization_id: OrganizationId, arrival: Arrival
) -> None:
    """Keep a mail of a mailbox, to be posted at once."""
    id, now = new_id(), clock.now()
    sender = arrival.sender or field_text(arrival.data, "From") or ""
    await fetch(
        "WITH content AS (INSERT INTO ingress_contents (id, data) VALUES ({}, {})) "
        "INSERT INTO ingress_mails (id, organization_id, mailbox_id, source, sender, subject, "
        "size_bytes, state, attempts, due_at, created_at) "
        "VALUES ({}, {}, {}, {}, {}, {}, {}, 'pending', 0, {}, {})",
        id,
        arrival.data,
        id,
        organization_id,
        mailbox_id,
        arrival.source.value,
        sender.replace("\0", "")[:320],
        (field_text(arrival.data, "Subject") or "").replace("\0", "")[:LONGEST_SUBJECT],
        len(arrival.data),
        now,
        now,
    )
    tx.after_commit(tell)


async def remove_old_mail() -> int:
    """Remove what nobody took, and what came in long ago; return how many mails are gone."""
    now = clock.now()
    await fetch(
        "DELETE FROM ingress_contents c WHERE NOT EXISTS (SELECT FROM ingress_mails m "
        "WHERE m.id = c.id AND (m.state = 'pending' OR m.completed_at > {}))",
        now - DEAD_KEPT,
    )
    rows = await fetch(
        "DELETE FROM ingress_mails WHERE created_at < {} AND state <> 'pending' RETURNING id",
        now - KEPT,
    )
    return len(rows)


async def erase_sender(organization_id: OrganizationId, address: str) -> None:
    """Drop what came from *address*, in lower case, together with what it says."""
    await fetch(
        "DELETE FROM ingress_mails WHERE organization_id = {} "
        "AND lower(coalesce(substring(sender from '<([^<>]*)>'), sender)) = {}",
        organization_id,
        address,
    )
