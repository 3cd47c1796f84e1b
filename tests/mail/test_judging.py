"""What a receiver would make of a message, said without asking anybody."""

import pytest

from postlane.mail.dkim import KeyAlgorithm, SigningKey, make_key, record_value, sign
from postlane.mail.judging import CLIPPED_BYTES, SignatureVerdict, judge
from postlane.mail.viewing import read_view

KEY = make_key(KeyAlgorithm.RSA_2048)
RECORD = record_value(KeyAlgorithm.RSA_2048, KEY.public_value)
MESSAGE = (
    b"From: Shop <shop@acme.example>\r\nTo: ada@example.net\r\nSubject: Hello\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b'<p>Hi. <a href="http://acme.example/a">a</a> <a href="https://acme.example/b">b</a></p>\r\n'
)


def signed(message: bytes, domain: str = "acme.example", selector: str = "s1") -> bytes:
    return sign(message, [SigningKey(domain, selector, KeyAlgorithm.RSA_2048, KEY.private_pem)])


def key_of(domain: str, selector: str) -> str | None:
    known = ("acme.example", "other.example", "mail.acme.example")
    return RECORD if selector == "s1" and domain in known else None


def judged(source: bytes, envelope_from: str = "b+x@bounce.acme.example"):  # type: ignore[no-untyped-def]
    return judge(source, read_view(source), envelope_from=envelope_from, key_of=key_of)


def test_a_good_signature_of_the_author_counts() -> None:
    found = judged(signed(MESSAGE))

    (signature,) = found.signatures
    assert (signature.domain, signature.selector) == ("acme.example", "s1")
    assert signature.algorithm == "rsa-sha256"
    assert signature.verdict is SignatureVerdict.PASS
    assert found.dkim_aligned
    assert found.spf_aligned


def test_a_message_that_was_changed_fails() -> None:
    found = judged(signed(MESSAGE).replace(b"Hi.", b"Ho."))

    assert [each.verdict for each in found.signatures] == [SignatureVerdict.FAIL]
    assert not found.dkim_aligned


@pytest.mark.parametrize(
    ("domain", "selector", "verdict", "aligned"),
    [
        ("other.example", "s1", SignatureVerdict.PASS, False),
        ("mail.acme.example", "s1", SignatureVerdict.PASS, True),
        ("acme.example", "s2", SignatureVerdict.NO_KEY, False),
        ("stranger.example", "s1", SignatureVerdict.NO_KEY, False),
    ],
)
def test_whose_signature_it_is_decides(
    domain: str, selector: str, verdict: SignatureVerdict, aligned: bool
) -> None:
    found = judged(signed(MESSAGE, domain, selector))

    assert [each.verdict for each in found.signatures] == [verdict]
    assert found.dkim_aligned is aligned


def test_a_message_without_a_signature_has_none() -> None:
    found = judged(MESSAGE, envelope_from="")

    assert (list(found.signatures), found.dkim_aligned, found.spf_aligned) == ([], False, False)


def test_links_are_told_once_each_with_whether_they_are_encrypted() -> None:
    found = judged(MESSAGE + MESSAGE.partition(b"\r\n\r\n")[2])

    assert [(each.url, each.is_encrypted) for each in found.links] == [
        ("http://acme.example/a", False),
        ("https://acme.example/b", True),
    ]


@pytest.mark.parametrize(("more", "clipped"), [(0, False), (1, True)])
def test_long_html_is_clipped(more: int, clipped: bool) -> None:
    head, _, _ = MESSAGE.partition(b"\r\n\r\n")

    found = judged(head + b"\r\n\r\n" + b"x" * (CLIPPED_BYTES + more))

    assert (found.html_bytes, found.is_clipped) == (CLIPPED_BYTES + more, clipped)


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"DKIM-Signature: v=1\r\n\r\n",
        b"DKIM-Signature: v=1; d=a; s=b; a=x-y; bh=!; b=!; h=from\r\nFrom: a@b\r\n\r\nx",
        b"From: @\r\nDKIM-Signature: \xff\xfe\r\n\r\n",
        b"From: a@b\r\n" * 1000,
        b"DKIM-Signature: v=1\r\n" * 500 + b"\r\n",
    ],
)
def test_odd_messages_are_judged_too(source: bytes) -> None:
    found = judged(source)

    assert not found.dkim_aligned
    assert len(found.signatures) <= 10
