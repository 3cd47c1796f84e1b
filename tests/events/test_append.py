"""Events are written in order, whatever other people's servers put into them."""

import uuid
from datetime import datetime

import pytest

from postlane.core.actor import OrganizationId
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id
from postlane.events.operations import NewEvent, append
from postlane.events.rules import EventType

pytestmark = pytest.mark.usefixtures("database")


def event(message_id: uuid.UUID, reply: object, at: datetime) -> NewEvent:
    return NewEvent(
        organization_id=OrganizationId(new_id()),
        project_id=None,
        message_id=message_id,
        delivery_id=None,
        type=EventType.MESSAGE_DEFERRED,
        data={"smtp_response": reply},
        occurred_at=at,
    )


async def stored(message_id: uuid.UUID) -> list[str]:
    rows = await fetch(
        "SELECT data->>'smtp_response' AS reply FROM events WHERE message_id = {} "
        "ORDER BY position",
        message_id,
    )
    return [row["reply"] for row in rows]


async def test_events_keep_the_order_they_were_given_in(frozen: datetime) -> None:
    message_id = new_id()

    async with transaction() as tx:
        await append(tx, [event(message_id, f"reply {n}", frozen) for n in range(50)])

    assert await stored(message_id) == [f"reply {n}" for n in range(50)]


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ("550 \0 no", "550 \ufffd no"),
        ("550 \udcff no", "550 \ufffd no"),
        ("550 \U0001f600 no", "550 \U0001f600 no"),
        ("550 the text \\u0000 itself", "550 the text \\u0000 itself"),
        ("{} {}", "{} {}"),
    ],
)
async def test_any_reply_can_be_written_down(frozen: datetime, reply: str, kept: str) -> None:
    message_id = new_id()

    async with transaction() as tx:
        await append(tx, [event(message_id, reply, frozen)])

    assert await stored(message_id) == [kept]


async def test_no_events_need_no_statement() -> None:
    async with transaction() as tx:
        await append(tx, [])
