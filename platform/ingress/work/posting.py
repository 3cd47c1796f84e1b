"""Posting mail that came in to customers' programs."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...core import clock
from ...core.database import fetch, transaction
from ..posting import Post, opened, post_of
from ..rules import POST_LEASE, PostFormat, next_attempt
from .due import Due


@dataclass(frozen=True, slots=True)
class DuePost:
    """A mail to post now."""

    mail_id: uuid.UUID
    attempt: int
    url: str
    format: PostFormat
    sealed_secret: bytes = field(repr=False)
    data: bytes = field(repr=False)

    def post(self) -> Post:
        """Return the request, signed for now.

        Raises:
            SealBroken: the secret was sealed with another secret key.
        """
        return post_of(
            self.data,
            id=self.mail_id,
            secret=opened(self.sealed_secret),
            format=self.format,
            at=clock.now(),
        )


async def due_posts(*, each: int, limit: int) -> Sequence[Due]:
    """Return mails to post, so many of each organization: the first of every one, then the
    second.

    It steps from organization to organization, over whatever else waits of each.
    """
    rows = await fetch(
        "WITH RECURSIVE waiting (id) AS ((SELECT organization_id FROM ingress_mails "
        "WHERE state = 'pending' ORDER BY organization_id LIMIT 1) UNION ALL "
        "SELECT (SELECT organization_id FROM ingress_mails WHERE state = 'pending' "
        "AND organization_id > waiting.id ORDER BY organization_id LIMIT 1) "
        "FROM waiting WHERE waiting.id IS NOT NULL) "
        "SELECT due.id, waiting.id AS organization_id, due.size_bytes "
        "FROM waiting CROSS JOIN LATERAL (SELECT id, size_bytes, due_at, "
        "row_number() OVER (ORDER BY due_at) AS nth FROM ingress_mails WHERE state = 'pending' "
        "AND organization_id = waiting.id AND due_at <= {} ORDER BY due_at LIMIT {}) AS due "
        "ORDER BY due.nth, due.due_at LIMIT {}",
        clock.now(),
        each,
        limit,
    )
    return [Due(row["id"], row["organization_id"], row["size_bytes"]) for row in rows]


async def begin_post(mail_id: uuid.UUID) -> DuePost | None:
    """Return a mail to post, which nobody else posts meanwhile; None if it is not due."""
    now = clock.now()
    rows = await fetch(
        "UPDATE ingress_mails AS mail SET due_at = {}, attempts = attempts + 1 "
        "FROM ingress_mailboxes AS m, ingress_contents AS c "
        "WHERE mail.id = {} AND mail.state = 'pending' AND mail.due_at <= {} "
        "AND m.id = mail.mailbox_id AND c.id = mail.id "
        "RETURNING mail.attempts, m.url, m.format, m.sealed_secret, c.data",
        now + POST_LEASE,
        mail_id,
        now,
    )
    if not rows:
        return None
    row = rows[0]
    return DuePost(
        mail_id,
        row["attempts"],
        row["url"],
        PostFormat(row["format"]),
        row["sealed_secret"],
        row["data"],
    )


async def settle_post(due: DuePost, *, status: int | None, failure: str | None) -> None:
    """Note what an attempt came to: it is taken, is tried again, or nobody will have it."""
    now = clock.now()
    is_taken = status is not None and 200 <= status < 300
    wait = None if is_taken else next_attempt(due.attempt)
    state = "delivered" if is_taken else "dead" if wait is None else "pending"
    async with transaction():
        rows = await fetch(
            "UPDATE ingress_mails SET state = {}, status = {}, failure = {}, due_at = {}, "
            "completed_at = {} WHERE id = {} AND state = 'pending' AND attempts = {} RETURNING id",
            state,
            status,
            failure,
            None if wait is None else now + wait,
            now if wait is None else None,
            due.mail_id,
            due.attempt,
        )
        if rows and is_taken:
            await fetch("DELETE FROM ingress_contents WHERE id = {}", due.mail_id)
