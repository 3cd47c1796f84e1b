"""Looking into the accounts of mailboxes."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ...core import clock
from ...core.crypto import unseal
from ...core.database import fetch, transaction
from ...mail.imap import Place
from ..rules import LOOK_EVERY, LOOK_LEASE, MOST_WAITING, MailSource, back_off
from .arriving import ACTIVE, ARCHIVED, Arrival, keep
from .due import Due

PASSWORD_PURPOSE = "ingress-password"
"""Seals the passwords of accounts."""
NEXT = "next_look_at = least(nullif(next_look_at, {}), {})"
"""Somebody may have asked for a look since this one began: that is sooner."""


@dataclass(frozen=True, slots=True)
class Look:
    """A mailbox that this process looks into now."""

    mailbox_id: uuid.UUID
    host: str
    port: int
    tls: bool
    username: str
    sealed_password: bytes = field(repr=False)
    since: Place | None
    failures: int
    next_look_at: datetime
    """As this look set it when it began; if it is another one, somebody asked for it since."""

    @property
    def password(self) -> str:
        """The password of the account.

        Raises:
            SealBroken: it was sealed with another secret key.
        """
        return unseal(self.sealed_password, purpose=PASSWORD_PURPOSE).decode()


async def due_looks(*, each: int, limit: int) -> Sequence[Due]:
    """Return mailboxes to look into, so many of each organization: the first of every one, then
    the second.

    What is due is read whole, which is a hundred of an organization at the most.
    """
    now = clock.now()
    rows = await fetch(
        "SELECT id, organization_id FROM (SELECT id, organization_id, next_look_at, row_number() "
        "OVER (PARTITION BY organization_id ORDER BY next_look_at) AS nth FROM ingress_mailboxes "
        "WHERE next_look_at <= {} AND coalesce(looking_until, '-infinity') <= {}) AS due "
        "WHERE nth <= {} ORDER BY nth, next_look_at LIMIT {}",
        now,
        now,
        each,
        limit,
    )
    return [Due(row["id"], row["organization_id"]) for row in rows]


async def begin_look(mailbox_id: uuid.UUID) -> Look | None:
    """Return what it takes to look into a mailbox, which nobody else does meanwhile; None if it
    is not time."""
    now = clock.now()
    rows = await fetch(
        "UPDATE ingress_mailboxes AS m SET looking_until = {}, next_look_at = {} WHERE id = {} "
        "AND next_look_at <= {} AND coalesce(looking_until, '-infinity') <= {} "
        f"AND host IS NOT NULL AND {ACTIVE} AND NOT {ARCHIVED} "
        "AND (SELECT count(*) FROM (SELECT FROM ingress_mails WHERE mailbox_id = m.id "
        "AND state = 'pending' LIMIT {}) AS waiting) < {} RETURNING *",
        now + LOOK_LEASE,
        now + LOOK_EVERY,
        mailbox_id,
        now,
        now,
        MOST_WAITING,
        MOST_WAITING,
    )
    if not rows:
        # What is full or out of use is looked at again in its turn, not with every sweep.
        await fetch(
            "UPDATE ingress_mailboxes SET next_look_at = {} WHERE id = {} AND next_look_at <= {} "
            "AND coalesce(looking_until, '-infinity') <= {}",
            now + LOOK_EVERY,
            mailbox_id,
            now,
            now,
        )
        return None
    row = rows[0]
    validity = row["uid_validity"]
    return Look(
        mailbox_id,
        row["host"],
        row["port"],
        row["tls"],
        row["username"],
        row["sealed_password"],
        None if validity is None else Place(validity, row["last_uid"]),
        row["failures"],
        row["next_look_at"],
    )


async def take_found(look: Look, place: Place, data: bytes | None) -> bool:
    """Keep a mail of an account with its place, which is one transaction: nothing is missing or
    there twice. Say whether to go on; without data it is only passed by."""
    async with transaction() as tx:
        rows = await fetch(
            "UPDATE ingress_mailboxes SET last_uid = {} WHERE id = {} AND uid_validity = {} "
            "AND last_uid < {} AND host = {} AND username = {} RETURNING organization_id",
            place.last_uid,
            look.mailbox_id,
            place.validity,
            place.last_uid,
            look.host,
            look.username,
        )
        if rows and data is not None:
            arrival = Arrival(data, MailSource.IMAP)
            await keep(tx, look.mailbox_id, rows[0]["organization_id"], arrival)
    return bool(rows)


async def end_look(look: Look, place: Place, *, has_more: bool) -> None:
    """Note that a look went well, and where to go on."""
    now = clock.now()
    await fetch(
        "UPDATE ingress_mailboxes SET looking_until = NULL, failures = 0, failure = NULL, "
        "looked_at = {}, " + NEXT + ", last_uid = CASE WHEN uid_validity = {} "
        "THEN greatest(last_uid, {}) ELSE {} END, uid_validity = {} "
        "WHERE id = {} AND host = {} AND username = {}",
        now,
        look.next_look_at,
        now if has_more else now + LOOK_EVERY,
        place.validity,
        place.last_uid,
        place.last_uid,
        place.validity,
        look.mailbox_id,
        look.host,
        look.username,
    )


async def end_failed_look(look: Look, failure: str) -> None:
    """Note that a look failed; each one more is waited for longer."""
    now = clock.now()
    await fetch(
        "UPDATE ingress_mailboxes SET looking_until = NULL, failures = failures + 1, "
        "failure = {}, looked_at = {}, " + NEXT + " WHERE id = {}",
        failure,
        now,
        look.next_look_at,
        now + back_off(look.failures + 1),
        look.mailbox_id,
    )
