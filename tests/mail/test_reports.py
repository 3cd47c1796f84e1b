"""What mail systems report, from bytes to values; and what only looks like a report."""

import time

import pytest

from postlane.mail.outcome import BounceClass, classify_reply
from postlane.mail.reports import (
    LONGEST_READ,
    Action,
    AutomaticAnswer,
    DeliveryReport,
    FeedbackReport,
    Notice,
    forms,
    read_report,
)
from tests.mail.report_shapes import ABUSE, PLAIN, STANDARD, Shape, dsn, text


def wire(mail: str) -> bytes:
    return mail.strip("\n").replace("\n", "\r\n").encode()


def the_notice(data: bytes) -> Notice:
    report = read_report(data)
    assert isinstance(report, DeliveryReport)
    (notice,) = report.notices
    return notice


@pytest.mark.parametrize("shape", STANDARD + PLAIN, ids=lambda shape: shape.name)
def test_a_report_says(shape: Shape) -> None:
    notice = the_notice(shape.data)

    assert notice.action == shape.action
    assert (notice.code, notice.status) == (shape.code, shape.status)
    if shape.recipients:
        assert notice.recipients == shape.recipients
    assert shape.words in notice.text


def test_there_are_as_many_shapes_as_promised() -> None:
    assert len(STANDARD + PLAIN) >= 20
    assert len({form.name for form in forms()}) == len(forms())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("postfix", BounceClass.INVALID_RECIPIENT),
        ("exchange quota", BounceClass.MAILBOX_FULL),
        ("a status that says nothing", BounceClass.INACTIVE_MAILBOX),
        ("our address is listed", BounceClass.REPUTATION_BLOCK),
    ],
)
def test_a_report_can_be_classified_like_a_reply(name: str, expected: BounceClass) -> None:
    (shape,) = [each for each in STANDARD if each.name == name]

    notice = the_notice(shape.data)

    assert classify_reply(notice.code or 550, notice.text)[1] is expected


@pytest.mark.parametrize("charset", ["charset*=\0utf-8''utf-8", "charset*0*=\0utf-8''utf; x*1=\0"])
def test_a_report_whose_character_set_has_a_nul_in_its_name_is_read(charset: str) -> None:
    fields = "Final-Recipient: rfc822; one@x.example\nAction: failed\nStatus: 5.1.1"
    whole = dsn(fields).replace("charset=us-ascii", charset)
    (shape,) = [each for each in PLAIN if each.name == "qmail"]
    kind = f"MIME-Version: 1.0\r\nContent-Type: text/plain; {charset}\r\n"

    notice = the_notice(wire(whole))
    plain = the_notice(kind.encode() + shape.data)

    assert (notice.action, notice.recipients) == (Action.FAILED, ("one@x.example",))
    assert plain == the_notice(shape.data)


def test_several_recipients_have_a_notice_each() -> None:
    fields = """
Final-Recipient: rfc822; one@x.example
Action: relayed

Final-Recipient: rfc822; two@x.example
Action: failed
Status: 5.1.1
"""

    report = read_report(wire(dsn(fields)))

    assert isinstance(report, DeliveryReport)
    assert [(each.action, each.recipients[0]) for each in report.notices] == [
        (Action.RELAYED, "one@x.example"),
        (Action.FAILED, "two@x.example"),
    ]


def test_a_complaint_names_whom_it_is_about() -> None:
    report = read_report(
        wire(
            ABUSE.format(
                type="abuse",
                mail_from="b+one@bounce.acme.example",
                recipient="ada@isp.example",
                return_path="b+two@bounce.acme.example",
                message_id="three@acme.example",
            )
        )
    )

    assert isinstance(report, FeedbackReport)
    assert (report.feedback_type, report.reporter) == ("abuse", "isp.example")
    assert report.recipients == ("ada@isp.example",)
    assert report.message_id == "three@acme.example"
    assert report.clues[:2] == ("<b+one@bounce.acme.example>", "<b+two@bounce.acme.example>")


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("Auto-Submitted: auto-replied (vacation)", "I am away; could not be delivered to me."),
        ("Precedence: auto_reply", "Away."),
        ("X-Autoreply: yes", "Away."),
        ("Subject: Automatic reply: Your order", "Undisturbed."),
        ("Subject: Out of Office", "Back on Monday."),
        ("Auto-Submitted: auto-generated", "Your ticket has number 7."),
        ("Subject: Abwesenheitsnotiz", "Bis Montag."),
        (
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=B",
            "--B\n\nRead.\n--B--",
        ),
    ],
)
def test_an_automatic_answer_is_no_bounce(header: str, body: str) -> None:
    mail = wire(f"From: ada@x.example\n{header}\n\n{body}\n")

    assert read_report(mail) == AutomaticAnswer()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"\x00\xff\xfe",
        b"Subject: hello\r\n\r\nHow are you?\r\n",
        wire(text("Dear all, delivery failed us again in the warehouse.", subject="Parcels")),
        wire(dsn("Action: exploded\nFinal-Recipient: rfc822; a@x.example")),
        wire(dsn("Final-Recipient: rfc822; a@x.example")),
        b"Content-Type: multipart/report; boundary=B\r\n\r\nno parts",
        b"Content-Type: multipart/report; boundary=\r\n\r\n--\r\n\r\n----\r\n",
        b"Content-Type: message/delivery-status\r\n\r\n",
        b"Content-Type: message/feedback-report\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%",
    ],
)
def test_what_reports_nothing_is_no_delivery_report(data: bytes) -> None:
    assert not isinstance(read_report(data), DeliveryReport)


@pytest.mark.parametrize(
    "charset", ["x-unknown", "utf-16", "idna", "utf-7", '"; DROP', "unicode_escape", "zlib", ""]
)
def test_a_broken_charset_is_read_as_well_as_it_can_be(charset: str) -> None:
    body = "This is the mail system at host mx.\n\n<ada@x.example>: 550 5.1.1 caf\udce9\n"
    head = f"Subject: x\nContent-Type: text/plain; charset={charset}\n\n"
    data = (head + body).encode("utf-8", "surrogateescape").replace(b"\n", b"\r\n")

    read_report(data)


def test_fields_in_base64_are_read() -> None:
    import base64

    fields = b"Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@x.example\nAction: failed\n"
    fields += b"Status: 5.1.1\n"
    mail = (
        b"Content-Type: multipart/report; boundary=B\r\n\r\n--B\r\n"
        b"Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(fields)
        + b"\r\n--B--\r\n"
    )

    assert the_notice(mail).recipients == ("a@x.example",)


NEST = b"".join(
    b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(5_000)
)


@pytest.mark.parametrize(
    "data",
    [
        NEST,
        b"Content-Type: message/rfc822\r\n\r\n" * 20_000,
        b"Content-Type: multipart/mixed; boundary=B\r\n\r\n" + b"--B\r\n\r\n" * 100_000,
        b"Subject: " + b"x" * 5_000_000,
        b"X: y\r\n" * 1_000_000,
        b"\r\n\r\n" + b"a" * 2_000_000,
        b"\r\n\r\nundeliverable\r\n" + b"a@" * 500_000,
        b"\r\n\r\nundeliverable\r\n" + b"\r\n" * 500_000,
        b"\r\n\r\nthis is the mail system at host\r\n" + b"<" * 500_000,
        b"\r\n\r\nYour message did not reach some or all of the intended recipients\r\n"
        + b" \r\n# 5" * 200_000,
        b"\r\n\r\nthe following addresses had permanent fatal errors\r\n" + b"\r\n<" * 300_000,
        b"Content-Type: text/html\r\n\r\n" + b"<a" * 300_000,
    ],
    ids=range(12),
)
def test_a_bomb_is_read_in_a_moment(data: bytes) -> None:
    began = time.process_time()

    read_report(data)

    assert time.process_time() - began < 3.0


def test_only_the_beginning_is_read() -> None:
    late = dsn("Final-Recipient: rfc822; a@x.example\nAction: failed", before="x" * LONGEST_READ)

    assert not isinstance(read_report(wire(late)), DeliveryReport)
