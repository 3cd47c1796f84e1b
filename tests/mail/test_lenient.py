"""Addresses as programs write them."""

import pytest

from postlane.mail.lenient import NOWHERE, bare_address, read_mailbox, read_recipient


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("Ann@Example.NET", "Ann@Example.NET"),
        (" ann@example.net ", "ann@example.net"),
        ("Ann <ann@example.net>", "ann@example.net"),
        ("Ann <x> <ann@example.net>", "ann@example.net"),
        ("Ann <ann@example.net> more>", "ann@example.net"),
        ("ann@example.net (Ann (of Example))", "ann@example.net (Ann )"),
        ("ann@example.net (Ann)", "ann@example.net"),
        ("<", ""),
        ("", ""),
    ],
)
def test_names_and_comments_are_taken_away(text: str, bare: str) -> None:
    assert bare_address(text) == bare


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("Doe, Ann <ann@example.net>", "Doe, Ann", "ann@example.net"),
        ('"Doe, Ann" <ann@EXAMPLE.net>', "Doe, Ann", "ann@example.net"),
        ("Ann\r\nBcc: x <ann@example.net>", "Ann Bcc: x", "ann@example.net"),
        ("ann@example.net (Ann)", "", "ann@example.net"),
        ("ann@bücher.example", "", "ann@xn--bcher-kva.example"),
    ],
)
def test_a_mailbox_is_what_the_text_most_likely_means(text: str, name: str, address: str) -> None:
    found = read_mailbox(text)

    assert found is not None
    assert (found.display_name, found.address) == (name, address)


@pytest.mark.parametrize("text", ["", "ann", "ann@", "@example.net", "a b@example.net", "a@b@c"])
def test_what_is_no_address_goes_nowhere(text: str) -> None:
    found = read_recipient(text)

    assert read_mailbox(text) is None
    assert (found.address, found.domain, found.is_address) == (text, NOWHERE, False)


def test_a_recipient_keeps_its_letter_case_and_not_its_script() -> None:
    mixed = read_recipient("Ann <Ann@Example.NET>")
    foreign = read_recipient("Ann@Bücher.example")

    assert (mixed.address, mixed.key) == ("Ann@Example.NET", "ann@example.net")
    assert (mixed.domain, mixed.display_name) == ("example.net", "Ann")
    assert foreign.address == "Ann@xn--bcher-kva.example"


def test_a_recipient_is_never_longer_than_a_column() -> None:
    found = read_recipient("x" * 5_000 + "\r\n")

    assert len(found.address) == 320
    assert found.address.isprintable()
