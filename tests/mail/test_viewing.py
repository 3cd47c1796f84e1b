"""What a mail program shows of a message, also of one that was made to confuse it."""

import pytest

from postlane.mail.viewing import read_view

HEAD = b"From: a@example.net\r\nSubject: x\r\n"


def test_a_text_alone_is_the_text() -> None:
    found = read_view(HEAD + b"\r\nOne\r\nTwo\rThree\n")

    assert (found.text, found.html, list(found.files)) == ("One\nTwo\nThree\n", None, [])
    assert list(found.headers) == [("From", "a@example.net"), ("Subject", "x")]


def test_the_first_text_of_a_kind_counts_and_named_parts_are_files() -> None:
    source = (
        HEAD + b"Content-Type: multipart/mixed; boundary=m\r\n\r\n"
        b"--m\r\nContent-Type: text/plain\r\n\r\nFirst\r\n"
        b"--m\r\nContent-Type: text/plain\r\n\r\nSecond\r\n"
        b'--m\r\nContent-Type: text/html; name="a.html"\r\n\r\n<p>File</p>\r\n'
        b"--m\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n"
        b"--m--\r\n"
    )

    found = read_view(source)

    assert (found.text, found.html) == ("First", None)
    assert [(each.filename, each.content_type, each.content) for each in found.files] == [
        ("a.html", "text/html", b"<p>File</p>"),
        ("2", "image/png", b"abc"),
    ]


def test_a_message_within_a_message_is_a_file() -> None:
    inner = b"From: b@example.net\r\nSubject: inner\r\n\r\nInner\r\n"
    source = (
        HEAD + b"Content-Type: multipart/mixed; boundary=m\r\n\r\n"
        b"--m\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--m--\r\n"
    )

    (file,) = read_view(source).files

    assert (file.filename, file.content_type) == ("1.eml", "message/rfc822")
    assert file.content.rstrip() == inner.rstrip()
    assert len(file.sha1) == 40


ODD = {
    "empty": b"",
    "an empty line": b"\r\n",
    "no header": b"no header at all",
    "no boundary": HEAD + b"Content-Type: multipart/mixed\r\n\r\nx",
    "cut off": HEAD + b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n",
    "utf-7": HEAD + b"Content-Type: text/plain; charset=utf-7\r\n\r\n+ADw-",
    "nul": HEAD + b'Content-Type: text/plain; charset="\x00"\r\n\r\nx\0',
    "idna": HEAD + b"Content-Type: text/plain; charset=idna\r\n\r\n" + b"x" * 100,
    "no base64": HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n!!",
    "uuencode": HEAD + b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin",
    "no characters": HEAD + b"Content-Type: \xff\xfe\r\nX-A: =?x?q?=FF?=\r\n\r\n\xff",
    "no name": HEAD + b"Content-Disposition: attachment; filename*=x'y'%FF\r\n\r\nx",
    "in each other": HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 50,
    "elsewhere": HEAD + b"Content-Type: message/external-body\r\n\r\nx",
    "a report": HEAD + b"Content-Type: message/delivery-status\r\n\r\nA: b\r\n\r\nC: d\r\n",
}


@pytest.mark.parametrize("source", ODD.values(), ids=ODD)
def test_nothing_that_was_taken_cannot_be_shown(source: bytes) -> None:
    found = read_view(source)

    shown = [found.text or "", found.html or "", *(value for _, value in found.headers)]
    assert all(isinstance(text.encode(), bytes) for text in shown)
    assert all("\0" not in text for text in shown)
    assert all(isinstance(file.content, bytes) and file.filename for file in found.files)
