"""Contents survive their way through a column of bytes."""

from datetime import UTC, datetime

import pytest

from postlane.core.database import fetch
from postlane.delivery.contents import decode_parts, encode_parts
from postlane.mail.address import Mailbox
from postlane.mail.compose import Attachment, Parts
from tests.delivery.spool import make_spooled


def test_parts_come_back_as_they_went() -> None:
    parts = Parts(
        message_id="0197a000@acme.example",
        date=datetime(2026, 6, 1, 12, tzinfo=UTC),
        sender=Mailbox("Ärzte", "noreply@acme.example"),
        to=(Mailbox("", "a@dest.example"), Mailbox("B", "b@dest.example")),
        cc=(),
        reply_to=(Mailbox("", "help@acme.example"),),
        subject="Grüße \N{PARTY POPPER}",
        text="Hello",
        html=None,
        headers=(("X-Order", "12345"),),
        attachments=(Attachment("a.bin", b"\x00\xff", "application/octet-stream", False, None),),
    )

    assert decode_parts(encode_parts(parts)) == parts


@pytest.mark.parametrize(
    ("lines", "is_compressed"), [(100, False), pytest.param(400, True, id="longer than its row")]
)
async def test_what_does_not_fit_in_its_row_is_compressed(
    database: None, lines: int, is_compressed: bool
) -> None:
    spooled = await make_spooled(
        "ada@dest.example", text="Thirty characters in a line.\r\n" * lines
    )

    [stored] = await fetch(
        "SELECT length(body) AS bytes, pg_column_size(body) AS stored, "
        "pg_column_compression(body) AS way, "
        "(SELECT CASE WHEN 'lz4' = ANY(enumvals) THEN 'lz4' ELSE 'pglz' END FROM pg_settings "
        "WHERE name = 'default_toast_compression') AS best FROM contents "
        "JOIN spooled_messages ON content_id = contents.id WHERE spooled_messages.id = {}",
        spooled.id,
    )

    assert stored["bytes"] > 30 * lines
    assert (stored["stored"] < stored["bytes"] / 10) == is_compressed
    assert stored["way"] == (stored["best"] if is_compressed else None)
