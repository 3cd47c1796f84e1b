"""Contents survive their way through a column of bytes."""

from datetime import UTC, datetime

from postlane.delivery.contents import decode_parts, encode_parts
from postlane.mail.address import Mailbox
from postlane.mail.compose import Attachment, Parts


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
