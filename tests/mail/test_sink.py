"""The sink as a process of its own, as tests that kill processes and benchmarks use it."""

import asyncio
import json
import sys
from datetime import timedelta

from postlane.mail.smtp import Envelope, Host, Session

DATA = b"From: a@b.example\r\nMessage-ID: <%d@b.example>\r\n\r\nx\r\n"


async def test_every_accepted_message_is_in_the_log_before_it_is_confirmed(tmp_path):
    log = tmp_path / "accepted.jsonl"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.sink", "--log", str(log)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())

    session = await Session.open(Host("localhost", "127.0.0.1", port), ehlo="a.example")
    assert isinstance(session, Session)
    for number in range(3):
        outcome = await session.deliver(
            Envelope("x@y.example", f"ok+{number}@b.example", DATA % number)
        )
        assert outcome.code == 250
    await session.deliver(Envelope("x@y.example", "550-at-data@b.example", DATA % 9))
    process.kill()
    await process.wait()

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["message_id"], line["to"]) for line in lines] == [
        ("0@b.example", "ok+0@b.example"),
        ("1@b.example", "ok+1@b.example"),
        ("2@b.example", "ok+2@b.example"),
    ]
    assert outcome.duration < timedelta(seconds=1)
