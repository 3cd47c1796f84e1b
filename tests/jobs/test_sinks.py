"""Domains for trying things out: mail to them is kept, and everything else is sent."""

from dataclasses import replace

from postlane.core.database import fetch
from postlane.core.settings import settings
from postlane.jobs.capture import CaptureListener
from postlane.jobs.transports import make_transport
from tests.delivery.spool import make_spooled
from tests.jobs.sending import drain_queue, sending


async def test_mail_to_a_sink_is_kept_and_counts_as_delivered(database: None) -> None:
    capture = CaptureListener()
    await capture.start()
    spooled = await make_spooled("test@null.postageapp.com")
    try:
        async with sending(make_transport(replace(settings(), delivery="direct"), capture)) as out:
            await drain_queue(out, spooled.queue_id)
    finally:
        await capture.stop()

    assert await spooled.state() == "delivered"
    rows = await fetch(
        "SELECT envelope_to FROM captured_messages WHERE organization_id = {}",
        spooled.organization.id,
    )
    assert rows == [{"envelope_to": "test@null.postageapp.com"}]


async def test_everything_else_goes_its_usual_way(database: None) -> None:
    capture = CaptureListener()
    await capture.start()
    spooled = await make_spooled("test@nowhere.invalid")
    try:
        async with sending(make_transport(replace(settings(), delivery="direct"), capture)) as out:
            await drain_queue(out, spooled.queue_id)
    finally:
        await capture.stop()

    assert await spooled.state() == "bounced"
