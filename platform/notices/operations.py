"""Putting notices into the outbox, always in the transaction of what they tell about."""

import json
import uuid
from collections.abc import Mapping

from ..core import clock
from ..core.actor import OrganizationId
from ..core.crypto import seal
from ..core.database import Tx
from ..core.languages import spoken
from ..core.queue import JobName, enqueue
from .rendering import PURPOSE
from .rules import VALUES, Notice, NoticeState
from .tables import OutboxNotice


async def send(
    tx: Tx,
    *,
    to: str | None,
    notice: Notice,
    values: Mapping[str, str],
    organization_id: OrganizationId | None = None,
) -> uuid.UUID:
    """Have *notice* sent to the address *to* once *tx* has committed, and return its id.

    It is in the language that is spoken: whoever tells somebody speaks theirs, with `speaking`,
    and says the values in it. *values* are what `VALUES` says the notice is told, no more and
    no less. A token may be among them. Where *to* is None nobody is told, and it takes as long:
    whoever asked must not find out from the time whether somebody was.
    """
    if values.keys() != VALUES[notice]:
        raise ValueError(f"{notice.value} is told {sorted(VALUES[notice])}, not {sorted(values)}")
    row = OutboxNotice(
        organization_id=organization_id,
        notice=notice.value,
        language=spoken(),
        recipient=to or "",
        sealed_values=seal(json.dumps(dict(values)).encode(), purpose=PURPOSE),
    )
    if to is None:
        row.state, row.due_at, row.finished_at = NoticeState.FAILED.value, None, clock.now()
        row.sealed_values = b""
    await OutboxNotice.insert(row)
    tx.after_commit(lambda: ask_for(row.id, attempts=0))
    found: uuid.UUID = row.id
    return found


async def ask_for(notice_id: uuid.UUID, *, attempts: int) -> None:
    """Have a worker send a notice that is due; asking twice for one attempt is asking once."""
    # The job of a worker that was killed holds its key for long: the next attempt has another.
    key = f"notice:{notice_id}:{attempts}"
    await enqueue(JobName.SEND_NOTICE, key=key, notice_id=str(notice_id))
