"""Messages handed in whole: what is taken, what is changed, what is refused."""

import time
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from postlane.mail.address import Mailbox
from postlane.mail.raw import InvalidMessage, RawMessage, prepare_raw

HEAD = b"From: ann@example.com\r\n"


def test_a_clean_message_is_kept_byte_for_byte():
    raw = (
        b"From: =?utf-8?q?Ann_=C3=89?= <ann@example.com>\r\n"
        b"To: bob@example.org, Team: c@example.org,\r\n d@example.org;\r\n"
        b"Cc: BOB@example.org\r\n"
        b"Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n folded\r\n"
        b"Message-ID: <1@example.com>\r\n"
        b"Date: Mon, 01 Jun 2026 12:00:00 +0000\r\n"
        b"\r\n"
        b"Body\r\n.\r\n\xff\r\n"
    )

    assert prepare_raw(raw, message_id="2@example.com", date=datetime.now(UTC)) == RawMessage(
        data=raw,
        sender=Mailbox("Ann É", "ann@example.com"),
        subject="Grüße folded",
        message_id="1@example.com",
        recipients=(
            Mailbox("", "bob@example.org"),
            Mailbox("", "c@example.org"),
            Mailbox("", "d@example.org"),
        ),
    )


@pytest.mark.parametrize(
    "word", ["=?u\xf1f-8?Q?x?=", "=?no-such?Q?x?=", "=?utf-8?B?x?=", "=?utf-8?Z?x?="]
)
def test_an_encoded_word_that_cannot_be_read_is_shown_as_it_is(word):
    message = prepare_raw(f"From: {word} <ann@example.com>\r\nSubject: {word}\r\n\r\n".encode())

    assert (message.sender.display_name, message.subject) == (word, word)


def test_blind_copies_and_return_paths_leave_the_header_but_are_recipients():
    raw = (
        b"Return-Path: <x@example.com>\r\nFROM: ann@example.com\r\nbcc: a@example.org,\r\n"
        b"\tb@example.org\r\nSubject: x\r\nResent-Bcc: c@example.org\r\n\r\nBcc: in the body\r\n"
    )

    message = prepare_raw(raw)

    assert message.data == b"FROM: ann@example.com\r\nSubject: x\r\n\r\nBcc: in the body\r\n"
    assert [m.address for m in message.recipients] == ["a@example.org", "b@example.org"]


def test_what_goes_in_a_circle_goes_no_further():
    hop = b"Received: from a.example.com by b.example.com; Mon, 01 Jun 2026 12:00:00 +0000\r\n"
    tail = b"\r\nReceived: in the body\r\n"

    assert prepare_raw(hop * 100 + HEAD + tail).sender.address == "ann@example.com"
    with pytest.raises(InvalidMessage, match="through more than 100 servers"):
        prepare_raw(hop * 101 + HEAD + tail)


def test_what_is_missing_is_added():
    message = prepare_raw(
        HEAD + b"\r\nx\r\n",
        message_id="<1@example.com>",
        date=datetime(2026, 6, 1, 12, tzinfo=UTC),
    )

    assert message.message_id == "1@example.com"
    assert message.data == (
        b"Message-ID: <1@example.com>\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\n"
        b"From: ann@example.com\r\n\r\nx\r\n"
    )


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b"From: ann@example.com\n\nOne\n.\nTwo", HEAD + b"\r\nOne\r\n.\r\nTwo\r\n"),
        (HEAD + b"\r\nOne\n.\r\nTwo\r\n", HEAD + b"\r\nOne\r\n.\r\nTwo\r\n"),
        (HEAD + b"\r\n", HEAD + b"\r\n"),
        (HEAD, HEAD + b"\r\n"),
        (HEAD.rstrip(), HEAD + b"\r\n"),
    ],
)
def test_every_line_ends_in_crlf(raw, data):
    assert prepare_raw(raw).data == data


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"\r\nFrom: ann@example.com\r\n",
        b"Subject: x\r\n\r\n",
        b"From: \r\n\r\n",
        b"From: nobody\r\n\r\n",
        b"From: a@example.com, b@example.com\r\n\r\n",
        HEAD + b"From: b@example.com\r\n\r\n",
        HEAD + b"Subject: a\r\nsubject: b\r\n\r\n",
        HEAD + b"To: not an address\r\n\r\n",
        HEAD + b"To: a@example.com <b@example.com>\r\n\r\n",
        b" folded: from nothing\r\n" + HEAD + b"\r\n",
        HEAD + b"no colon\r\n\r\n",
        HEAD + b"Two words: x\r\n\r\n",
        HEAD + b"X-\xc3\xa9: x\r\n\r\n",
        HEAD + b": x\r\n\r\n",
        HEAD + b"\r\na\0b\r\n",
        HEAD + b"\r\na\rb\r\n",
        HEAD + b"\r\na\r\r\nb\r\n",
        HEAD + b"\r\na\r.\r\nMAIL FROM:<x@example.com>\r\n",
        HEAD + b"X: a\rBcc: b\r\n\r\n",
        HEAD + b"\r\n" + b"x" * 999 + b"\r\n",
        HEAD + b"\r\n" + b"x" * 999,
        HEAD + b"X: " + b"x" * 996 + b"\r\n\r\n",
        HEAD + b"X: y\r\n" * 50_000 + b"\r\n",
        HEAD + b"Content-Type: multipart/mixed\r\n\r\nx\r\n",
        HEAD + b"Content-Type: multipart/mixed; boundary=a\r\n\r\nx\r\n",
        HEAD + b'Content-Type: multipart/mixed; boundary="\xff"\r\n\r\nx\r\n',
        HEAD + b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n",
    ],
)
def test_a_message_that_two_readers_would_read_differently_is_refused(raw):
    with pytest.raises(InvalidMessage):
        prepare_raw(raw)


def test_a_line_of_998_octets_is_taken():
    raw = HEAD + b"\r\n" + b"x" * 998 + b"\r\n"

    assert prepare_raw(raw).data == raw


def nested(depth: int) -> bytes:
    message = HEAD
    for level in range(depth):
        message += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    return message + b"\r\nx\r\n"


def test_parts_within_parts_have_an_end():
    assert prepare_raw(nested(20)).sender.address == "ann@example.com"
    with pytest.raises(InvalidMessage):
        prepare_raw(nested(200))


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"\r\n" + (b"x" * 900 + b"\r\n") * 20_000,
        HEAD + b"\r\n" + (b" " * 990 + b"x\r\n") * 5_000,
        HEAD + b"To: " + b"(" * 900 + b"\r\n\r\n",
        HEAD + b"To: " + b'"\\' * 400 + b"\r\n\r\n",
        HEAD + b"To:" + b' "a,\r\n' * 20_000 + b"\r\n",
        HEAD + b"To:" + b" a@example.com,\r\n" * 10_000 + b"\r\n",
        HEAD + b"Subject:" + b" =?utf-8?q?a?=\r\n" * 10_000 + b"\r\n",
        HEAD + b"Content-Type: multipart/mixed;" + b" a=b;\r\n" * 20_000 + b"\r\n",
        HEAD + b"\r\n" + b"Content-Type: multipart" * 1_000 + b"\r\n",
        HEAD + b"\r\n" + b"\n" * 2_000_000,
    ],
)
def test_no_input_keeps_us_busy(raw):
    started = time.process_time()

    with suppress(InvalidMessage):
        prepare_raw(raw)

    assert time.process_time() - started < 3


def test_many_short_lines_take_little_memory() -> None:
    raw = b"From: ada@example.com\r\n\r\n" + b"ab\r\n" * 250_000

    tracemalloc.start()
    try:
        prepare_raw(raw)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 8 * len(raw)


@pytest.mark.parametrize("word", ["=?utf-8?q?=00?=", "=?utf-7?q?+2AA-?=", "=?utf-8?q?=0A?="])
def test_a_subject_of_no_characters_is_read_as_such(word: str) -> None:
    raw = HEAD + f"Subject: {word}\r\n\r\nHello\r\n".encode()

    assert prepare_raw(raw).subject == "\ufffd"
