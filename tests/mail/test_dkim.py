"""Signatures, judged by two verifiers that are not ours."""

import json
import re
import subprocess
import time
from base64 import b64decode, b64encode

import dkim
import pytest

from postlane.mail.dkim import (
    KeyAlgorithm,
    SigningKey,
    make_key,
    record_value,
    same_key,
    sign,
)
from tests.parts import TOOLS, needs_npm_package

RSA = make_key(KeyAlgorithm.RSA_2048)
ED25519 = make_key(KeyAlgorithm.ED25519)
KEYS = (
    SigningKey("example.com", "pmta", KeyAlgorithm.RSA_2048, RSA.private_pem),
    SigningKey("example.com", "pmtaed", KeyAlgorithm.ED25519, ED25519.private_pem),
)
RECORDS = {
    "pmta._domainkey.example.com": record_value(KeyAlgorithm.RSA_2048, RSA.public_value),
    "pmtaed._domainkey.example.com": record_value(KeyAlgorithm.ED25519, ED25519.public_value),
}
MESSAGE = (
    b"From: Ann <ann@example.com>\r\n"
    b"To: bob@example.org,\r\n\tcarol@example.org\r\n"
    b"Subject:  Hello   there \r\n"
    b"Date: Mon, 01 Jun 2026 12:00:00 +0000\r\n"
    b"Message-ID: <1@example.com>\r\n"
    b"List-Unsubscribe: <https://example.com/u>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"Feedback-ID: 1:2:3:postlane\r\n"
    b"X-Other: not signed\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n"
    b"\r\n"
    b"Hello,  \r\n\r\n  two\t words \xc3\xa9\r\n.\r\n\r\n\r\n"
)
HEAD = MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def verdicts(*messages: bytes) -> list[dict[str, str]]:
    """Return what mailauth says: for each message, a result for each selector."""
    question = {
        "records": RECORDS,
        "messages": [b64encode(message).decode() for message in messages],
    }
    done = subprocess.run(
        ["node", str(TOOLS / "verify_dkim.mjs")],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [
        {signature["selector"]: signature["result"] for signature in signatures}
        for signatures in json.loads(done.stdout)
    ]


def dkimpy_verdict(message: bytes) -> bool:
    return dkim.verify(
        message, dnsfunc=lambda name, timeout=5: RECORDS[name.decode()[:-1]].encode()
    )


@needs_npm_package("mailauth")
def test_both_signatures_verify_elsewhere():
    bodies = [
        b"",
        b"\r\n\r\n",
        b" \r\n",
        b"no line end",
        b"x \t \r\n\t\r\n",
        b"x" * 997 + b"\r\n",
        bytes(range(128, 256)) + b"\r\n",
    ]

    found = verdicts(sign(MESSAGE, KEYS), *(sign(HEAD + body, KEYS) for body in bodies))

    assert found == [{"pmta": "pass", "pmtaed": "pass"}] * 8


@needs_npm_package("mailauth")
def test_any_change_that_matters_breaks_both_signatures():
    signed = sign(MESSAGE, KEYS)
    changed = [
        signed.replace(b"two\t words", b"two  word"),
        signed.replace(b"Hello   there", b"Hello elsewhere"),
        signed.replace(b"bob@", b"bill@"),
        b"From: Mallory <m@example.com>\r\n" + signed,
        signed.replace(b"/u>", b"/v>"),
        signed.replace(b"1:2:3", b"1:2:4"),
    ]

    found = verdicts(*changed)

    # "neutral" is what mailauth calls a body that is not the one that was signed.
    assert found == [
        {"pmta": "neutral", "pmtaed": "neutral"},
        *([{"pmta": "fail", "pmtaed": "fail"}] * 5),
    ]


@needs_npm_package("mailauth")
def test_a_relay_may_fold_and_space_as_it_likes():
    relayed = (
        sign(MESSAGE, KEYS)
        .replace(b"Subject:  Hello   there \r\n", b"SUBJECT: Hello\r\n there\r\n")
        .replace(b"two\t words", b"two words")
        .replace(b"X-Other: not signed\r\n", b"")
        .removesuffix(b"\r\n\r\n")
    )

    assert verdicts(b"Received: by relay\r\n" + relayed) == [{"pmta": "pass", "pmtaed": "pass"}]


def test_dkimpy_agrees_about_rsa():
    signed = sign(MESSAGE, KEYS[:1])

    assert dkimpy_verdict(signed)
    assert not dkimpy_verdict(signed.replace(b"Hello,", b"Hallo,"))
    assert not dkimpy_verdict(b"From: Mallory <m@example.com>\r\n" + signed)


def test_the_message_follows_its_signatures_unchanged():
    signed = sign(MESSAGE, KEYS)

    assert signed.endswith(MESSAGE)
    assert signed == sign(MESSAGE, KEYS)
    added = signed.removesuffix(MESSAGE)
    assert re.findall(rb"a=([a-z0-9-]+)", added) == [b"rsa-sha256", b"ed25519-sha256"]
    assert re.findall(rb"bh=([^;]+)", added)[0] == re.findall(rb"bh=([^;]+)", added)[1]
    assert added.count(b"h=from:from:to:subject:date:message-id:") == 2
    assert max(map(len, added.split(b"\r\n"))) <= 78
    assert sign(MESSAGE, []) == MESSAGE


def test_every_instance_of_a_field_is_signed():
    twice = MESSAGE.replace(b"To: ", b"Reply-To: a@example.com\r\nReply-To: b@example.com\r\nTo: ")

    assert dkimpy_verdict(sign(twice, KEYS[:1]))
    assert b"reply-to:reply-to" in sign(twice, KEYS[:1]).replace(b"\r\n ", b"")


def test_published_keys_have_their_form():
    assert RECORDS["pmta._domainkey.example.com"].startswith(
        "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0B"
    )
    assert (
        RECORDS["pmtaed._domainkey.example.com"] == f"v=DKIM1; k=ed25519; p={ED25519.public_value}"
    )
    assert len(b64decode(ED25519.public_value)) == 32
    assert RSA.private_pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")


@pytest.mark.parametrize(
    "found",
    [
        "v=DKIM1; k=rsa; p={}",
        "v=DKIM1;k=rsa;p={};",
        " p = {} ; k=rsa",
        "v=DKIM1; h=sha256; n=a note; p={}",
        "v=DKIM1; p=\t{}\r\n",
    ],
)
def test_a_key_is_known_however_it_is_written(found):
    middle = len(RSA.public_value) // 2
    split = f"{RSA.public_value[:middle]} \t{RSA.public_value[middle:]}"

    assert same_key(found.format(RSA.public_value), RSA.public_value)
    assert same_key(found.format(split), RSA.public_value)


@pytest.mark.parametrize(
    "found",
    [
        "",
        "v=spf1 -all",
        "v=DKIM1; p=",
        "v=DKIM1",
        "v=DKIM2; p={}",
        "v=DKIM1; p={}; p={}",
        "v=DKIM1; p={}x",
        "v=DKIM1; p=!{}",
        "v=DKIM1; p=é{}",
        "p",
        ";;;=;",
        pytest.param(f"v=DKIM1; p={ED25519.public_value}", id="a key of another kind"),
    ],
)
def test_another_key_is_not_taken_for_ours(found):
    assert not same_key(found.format(RSA.public_value, RSA.public_value), RSA.public_value)


def test_a_line_of_spaces_does_not_keep_us_busy():
    message = HEAD + (b" " * 990 + b"x\r\n") * 5_000
    started = time.process_time()

    sign(message, KEYS)

    assert time.process_time() - started < 2
