"""Texts within whole messages: found, said otherwise, and everything else as it was."""

import random
import time
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from postlane.mail.texts import find_texts

MIXED = b"""\
From: a@a.example\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="out"\r
\r
preamble\r
--out\r
Content-Type: multipart/alternative;\r
 boundary=in\r
\r
--in\r
Content-Type: text/plain; charset=iso-8859-1\r
Content-Transfer-Encoding: quoted-printable\r
\r
Gr=FC=DFe https://a.example\r
--in\r
content-type: TEXT/HTML; charset="utf-8"\r
Content-Transfer-Encoding: base64\r
\r
PHA+PGEgaHJlZj0iaHR0cHM6Ly9hLmV4YW1wbGUiPvCfkY08L2E+PC9wPg==\r
--in--\r
\r
--out\r
Content-Type: text/html\r
Content-Disposition: attachment; filename=x.html\r
\r
<a href="https://b.example">file</a>\r
--out\r
Content-Type: message/rfc822\r
\r
Content-Type: text/html\r
\r
<a href="https://c.example">within</a>\r
--out--\r
epilogue\r
"""
SIGNED = b"""\
Content-Type: multipart/signed; boundary=s; protocol="application/pgp-signature"\r
\r
--s\r
Content-Type: text/html\r
\r
<a href="https://a.example">x</a>\r
--s\r
Content-Type: application/pgp-signature\r
\r
x\r
--s--\r
"""


def test_what_a_reader_is_shown_is_found() -> None:
    plain, html = find_texts(MIXED)

    assert (plain.text, plain.is_html) == ("Grüße https://a.example", False)
    assert (html.text, html.is_html) == ('<p><a href="https://a.example">👍</a></p>', True)


def test_only_the_text_itself_changes() -> None:
    plain, html = find_texts(MIXED)

    data = MIXED[: plain.start] + plain.write("Grüße " + "x" * 3_000) + MIXED[plain.end :]

    read = message_from_bytes(data, policy=policy.SMTP)
    assert isinstance(read, EmailMessage)
    alternative, file, within = read.iter_parts()
    first, second = alternative.iter_parts()
    assert first.get_content() == "Grüße " + "x" * 3_000
    assert max(map(len, data.split(b"\r\n"))) < 100
    assert second.get_content() == html.text
    assert data.endswith(MIXED[plain.end :])
    assert data.startswith(MIXED[: plain.start])
    assert file.get_content() == '<a href="https://b.example">file</a>'
    assert within.get_content_type() == "message/rfc822"


def test_a_message_without_parts_is_its_own_text() -> None:
    data = b"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>Hello\xe2\x80\xa6</p>\r\n"
    (part,) = find_texts(data)

    written = part.write("<p>" + "y" * 2_000 + "…</p>\n")

    read = message_from_bytes(written, policy=policy.SMTP)
    assert isinstance(read, EmailMessage)
    assert read["Subject"] == "x"
    assert read["Content-Transfer-Encoding"] == "quoted-printable"
    assert read.get_payload(decode=True) == ("<p>" + "y" * 2_000 + "…</p>\r\n").encode()


@pytest.mark.parametrize(
    "data",
    [
        SIGNED,
        SIGNED.replace(b"signed", b"encrypted"),
        b"Content-Type: text/html; charset=utf-16\r\n\r\nx\r\n",
        b"Content-Type: text/html; charset=nonsense\r\n\r\nx\r\n",
        b"Content-Type: text/html; charset=utf-8\r\n\r\n\xff\r\n",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: x-own\r\n\r\nx\r\n",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n***\r\n",
        b"Content-Type: text/html\r\nContent-Type: text/plain\r\n\r\nx\r\n",
        b"Content-Type: multipart/mixed\r\n\r\n--\r\nContent-Type: text/html\r\n\r\nx\r\n",
        b"Content-Type: application/pdf\r\n\r\nx\r\n",
    ],
)
def test_what_cannot_be_written_as_it_was_read_is_left_alone(data: bytes) -> None:
    assert find_texts(data) == []


def test_garbage_is_no_text_and_no_failure() -> None:
    chance = random.Random(3)
    for _ in range(2_000):
        data = bytearray(MIXED)
        for _ in range(chance.randrange(1, 40)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        for part in find_texts(bytes(data)):
            assert 0 <= part.start < part.end <= len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n" * 400_000,
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
        + b"--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" * 40_000,
        b"Content-Type: text/html\r\n" + b"Content-X: y\r\n" * 100_000 + b"\r\nx\r\n",
    ],
)
def test_hostile_messages_take_time_in_proportion(data: bytes) -> None:
    begun = time.process_time()

    find_texts(data)

    assert time.process_time() - begun < 10
