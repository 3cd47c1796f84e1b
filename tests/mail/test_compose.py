"""Composed messages, as the standard library's reader understands them."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from postlane.mail.address import parse_mailbox
from postlane.mail.compose import (
    Attachment,
    InvalidAttachment,
    InvalidHeader,
    Parts,
    check_attachment,
    check_header,
    compose,
    encode_body,
    needs_smtputf8,
)

PARTS = Parts(
    message_id="0197a000-0000-7000-8000-000000000301@example.com",
    date=datetime(2026, 6, 1, 12, tzinfo=UTC),
    sender=parse_mailbox("Ann <ann@example.com>"),
    to=(parse_mailbox("bob@example.org"),),
    cc=(),
    reply_to=(),
    subject="Hello",
    text="One line.\n",
    html=None,
    headers=(),
    attachments=(),
)
PICTURE = Attachment("a.png", b"\x89PNG\r\n\x1a\n" * 40, "image/png", True, "a@example.com")
REPORT = Attachment("report.pdf", bytes(range(256)) * 9, "application/pdf", False, None)


def read(message: bytes) -> EmailMessage:
    parsed = message_from_bytes(message, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    assert [part.defects for part in parsed.walk()] == [[] for _ in parsed.walk()]
    return parsed


def shape(message: EmailMessage) -> str:
    if not message.is_multipart():
        return message.get_content_type()
    parts = ", ".join(shape(part) for part in message.iter_parts())
    return f"{message.get_content_subtype()}({parts})"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (b"a" * 78 + b"\n" + b"b" * 78 + b"\n", "7bit"),
        (b"a\n" + b"b" * 79 + b"\n", "quoted-printable"),
        (b"a" * 79 + b"\nb\n", "quoted-printable"),
        (b"a\n" + b"b" * 79, "quoted-printable"),
        (b"tabs\tand  spaces ~\n", "7bit"),
        (b"a bell \a\n", "quoted-printable"),
        (b"a delete \x7f\n", "quoted-printable"),
        (b"a return \r alone\n", "quoted-printable"),
        (b"a zero \0\n", "quoted-printable"),
        (b"caf\xc3\xa9, and more of it\n", "quoted-printable"),
        (b"\xe2\x82\xac\n", "base64"),
        (b"From here\n", "quoted-printable"),
        (b"it is\nFrom here\n", "quoted-printable"),
        (b"it is From here\nFromage\n", "7bit"),
        (b"--=_a\n", "quoted-printable"),
        (b"a\n--=_a\n", "quoted-printable"),
        (b"a --=_a\n-=_\n--\n", "7bit"),
        (b"\n", "7bit"),
    ],
)
def test_a_text_is_encoded_only_where_it_could_be_changed_on_its_way(text: bytes, encoding: str):
    found, octets = encode_body(text)

    assert found == encoding
    if encoding == "7bit":
        assert octets == text.replace(b"\n", b"\r\n")


def test_a_plain_message_is_written_byte_for_byte():
    assert compose(PARTS) == (
        b"From: Ann <ann@example.com>\r\n"
        b"To: bob@example.org\r\n"
        b"Subject: Hello\r\n"
        b"Date: Mon, 01 Jun 2026 12:00:00 +0000\r\n"
        b"Message-ID: <0197a000-0000-7000-8000-000000000301@example.com>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"One line.\r\n"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"text": None, "html": "<p>x</p>"}, "text/html"),
        ({"text": None}, "text/plain"),
        ({"html": "<p>x</p>"}, "alternative(text/plain, text/html)"),
        ({"attachments": (REPORT,)}, "mixed(text/plain, application/pdf)"),
        ({"text": None, "attachments": (REPORT,)}, "mixed(application/pdf)"),
        ({"attachments": (PICTURE,)}, "mixed(text/plain, image/png)"),
        (
            {"text": None, "html": "<img src='cid:a@example.com'>", "attachments": (PICTURE,)},
            "related(text/html, image/png)",
        ),
        (
            {"html": "<img src='cid:a@example.com'>", "attachments": (REPORT, PICTURE)},
            "mixed(related(alternative(text/plain, text/html), image/png), application/pdf)",
        ),
    ],
)
def test_parts_are_nested_as_readers_expect(changes, expected):
    assert shape(read(compose(replace(PARTS, **changes)))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no line end",
        "two\r\nkinds\nof line end\r",
        "x" * 5_000,
        "word " * 2_000,
        "Grüße aus Köln – für 5 € = 5\n" * 40,
        "日本語のテキスト" * 200,
        "trailing space \nand tab\t\n",
        "From me\n.\n..\n--=_boundary\n",
        "\0\x07\x1b[31m",
        "half a pair: \ud800",
        "😀" * 400,
    ],
)
def test_every_text_arrives_as_it_was(text):
    message = compose(replace(PARTS, text=text, html=text))

    parsed = read(message)

    expected = text.replace("\r\n", "\n").replace("\r", "\n").replace("\ud800", "?")
    expected = expected if expected.endswith("\n") else expected + "\n"
    for kind in ("plain", "html"):
        part = parsed.get_body((kind,))
        assert part is not None
        assert part.get_content().replace("\r\n", "\n") == expected
    assert message.isascii()
    assert not re.search(rb"[^\r]\n|\r[^\n]|\0", message)
    assert max(map(len, message.split(b"\r\n"))) <= 78
    assert b"\nFrom " not in message
    assert parsed.get_boundary().encode() not in text.encode("utf-8", "replace")


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "x",
        "Grüße",
        "日本" * 300,
        "a" * 998,
        "many words " * 90,
        " two  spaces ",
        "=?utf-8?q?x?=",
    ],
)
def test_every_subject_arrives_as_it_was(subject):
    message = compose(replace(PARTS, subject=subject))

    assert read(message)["Subject"] == subject.strip()
    assert message.isascii()
    assert max(map(len, message.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    "filename",
    [
        "report.pdf",
        "Bericht über alles.pdf",
        'a "quoted" name; filename=x.txt',
        "日本" * 100 + ".pdf",
        "x" * 255,
        "100% = 1.txt",
        "=?utf-8?q?x?=.txt",
    ],
)
def test_every_file_arrives_as_it_was(filename):
    attachment = replace(REPORT, filename=filename)

    message = compose(replace(PARTS, attachments=(attachment,)))

    [part] = read(message).iter_attachments()
    assert part.get_filename() == filename
    assert part.get_content() == REPORT.content
    assert message.isascii()
    assert max(map(len, message.split(b"\r\n"))) <= 78


def test_an_inline_picture_is_found_by_its_id():
    html = '<img src="cid:a@example.com">'

    parsed = read(compose(replace(PARTS, html=html, attachments=(PICTURE,))))

    *_, part = parsed.walk()
    assert part["Content-ID"] == "<a@example.com>"
    assert part.get_content_disposition() == "inline"
    assert parsed["Content-Type"].params["type"] == "multipart/alternative"


def test_a_message_within_a_message_travels_as_a_file():
    attachment = replace(REPORT, filename="x.eml", content_type="message/rfc822")

    [part] = read(compose(replace(PARTS, attachments=(attachment,)))).iter_attachments()

    assert part.get_content_type() == "application/octet-stream"
    assert part.get_filename() == "x.eml"


def test_all_addresses_but_blind_copies_are_shown():
    many = tuple(parse_mailbox(f'"Reader, {n}" <reader-{n}@example.org>') for n in range(40))
    changes = {"to": many, "cc": many[:2], "reply_to": (parse_mailbox("Été <r@example.com>"),)}

    message = compose(replace(PARTS, **changes))

    parsed = read(message)
    assert [a.addr_spec for a in parsed["To"].addresses] == [m.address for m in many]
    assert parsed["To"].addresses[7].display_name == "Reader, 7"
    assert parsed["Cc"].addresses[1].addr_spec == "reader-1@example.org"
    assert parsed["Reply-To"].addresses[0].display_name == "Été"
    assert parsed["Bcc"] is None
    assert max(map(len, message.split(b"\r\n"))) <= 78


def test_a_message_of_blind_copies_only_names_nobody():
    assert read(compose(replace(PARTS, to=())))["To"] == "undisclosed-recipients:;"


def test_the_same_parts_give_the_same_bytes():
    parts = replace(PARTS, html="<p>é</p>", attachments=(PICTURE, REPORT))

    assert compose(parts) == compose(parts)
    assert compose(parts) != compose(replace(parts, message_id="other@example.com"))


def test_a_message_id_may_have_its_brackets():
    bracketed = replace(PARTS, message_id=f"<{PARTS.message_id}>")

    assert compose(bracketed) == compose(PARTS)


def test_utf8_stays_in_the_header_only_where_an_address_needs_it():
    parts = replace(PARTS, to=(parse_mailbox("Zoë <zoë@bücher.example>"),), subject="Grüße")

    message = compose(parts)

    assert needs_smtputf8(parts)
    assert not needs_smtputf8(PARTS)
    assert "To: =?utf-8?q?Zo=C3=AB?= <zoë@xn--bcher-kva.example>\r\n".encode() in message
    assert b"Subject: =?utf-8?" in message


def test_headers_of_the_customer_are_kept_in_order():
    headers = (
        ("X-Campaign", "spring  sale"),
        ("List-Unsubscribe", f"<https://example.com/{'u' * 300}>, <mailto:u@example.com>"),
        ("X-Note", "Grüße\taus Köln"),
        ("X-Campaign", "again"),
    )

    message = compose(replace(PARTS, headers=headers))

    parsed = read(message)
    assert parsed.get_all("X-Campaign") == ["spring  sale", "again"]
    assert parsed["List-Unsubscribe"] == headers[1][1]
    assert parsed["X-Note"] == "Grüße aus Köln"
    assert max(map(len, message.split(b"\r\n"))) <= 998


def test_a_reply_to_header_counts_only_where_no_other_is_set():
    headers = (("reply-to", "Été <x@example.com>, y@example.com"),)

    alone = read(compose(replace(PARTS, headers=headers)))
    beside = read(compose(replace(PARTS, headers=headers, reply_to=(PARTS.sender,))))

    assert [a.addr_spec for a in alone["Reply-To"].addresses] == ["x@example.com", "y@example.com"]
    assert beside.get_all("Reply-To") == ["Ann <ann@example.com>"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Tag", "a\r\nBcc: x@example.com"),
        ("X-Tag", "a\nb"),
        ("X-Tag", "a\rb"),
        ("X-Tag", "a\0b"),
        ("X-Tag", "a\x1bb"),
        ("X-Tag", "a\x7fb"),
        ("X-Tag", "a\x85b"),
        ("X-Tag", "a\u2028b"),
        ("X-Tag", "a\ud800b"),
        ("X-Tag", "x" * 999),
        ("X-Tag\r\nBcc", "x"),
        ("X Tag", "x"),
        ("X:Tag", "x"),
        ("X-Täg", "x"),
        ("", "x"),
        ("X" * 77, "x"),
        ("Reply-To", "nobody"),
        ("Reply-To", ""),
        *((name, "x") for name in ("from", "TO", "Cc", "Bcc", "Subject", "Date", "Sender")),
        *((name, "x") for name in ("Message-ID", "Return-Path", "Received", "DKIM-Signature")),
        *((name, "x") for name in ("ARC-Seal", "MIME-Version", "Content-Type", "Content-X")),
        ("BIMI-Selector", "x"),
    ],
)
def test_a_header_that_is_not_the_customers_is_refused(name, value):
    with pytest.raises(InvalidHeader):
        check_header(name, value)
    with pytest.raises(InvalidHeader):
        compose(replace(PARTS, headers=((name, value),)))


@pytest.mark.parametrize("field", ["subject", "message_id"])
@pytest.mark.parametrize("value", ["a\r\nBcc: x@example.com", "a\nb", "a\0b"])
def test_no_field_can_leave_its_line(field, value):
    with pytest.raises(InvalidHeader):
        compose(replace(PARTS, **{field: value}))


@pytest.mark.parametrize(
    "changes",
    [
        {"filename": ""},
        {"filename": "x" * 256},
        {"filename": "../x"},
        {"filename": "a\\b"},
        {"filename": "a\r\nb"},
        {"filename": "a\0"},
        {"content_type": ""},
        {"content_type": "pdf"},
        {"content_type": "text/plain\r\nX: y"},
        {"content_type": "text/plain;\r\n\r\na=b"},
        {"content_type": "text/plain\n; a=b"},
        {"content_type": "text/plain;\u2028a=b"},
        {"content_type": "text/plain; a"},
        {"content_type": "text/plain; a=b c"},
        {"inline": True, "content_id": None},
        {"content_id": "a b"},
        {"content_id": "a>\r\nX: y"},
    ],
)
def test_an_attachment_that_could_leave_its_header_is_refused(changes):
    attachment = replace(REPORT, **changes)

    with pytest.raises(InvalidAttachment):
        check_attachment(attachment)
    with pytest.raises(InvalidAttachment):
        compose(replace(PARTS, attachments=(attachment,)))


def test_a_content_type_keeps_its_parameters():
    invitation = replace(REPORT, content_type='text/calendar; method=REQUEST; charset="utf-8"')

    [part] = read(compose(replace(PARTS, attachments=(invitation,)))).iter_attachments()

    assert part["Content-Type"].params["method"] == "REQUEST"


def test_the_longest_names_can_be_written():
    labels = ".".join(["d" * 63] * 3) + "." + "d" * 61
    inline = replace(REPORT, inline=True, content_id="c" * 255)

    data = compose(
        replace(PARTS, message_id=f"{'0' * 36}@{labels}", html="<p></p>", attachments=(inline,))
    )

    assert max(map(len, data.split(b"\r\n"))) <= 998
