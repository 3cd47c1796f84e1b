"""Return paths of ours, and those that only look like it."""

import pytest

from postlane.mail.return_path import (
    Kind,
    find_return_path,
    make_return_path,
    read_return_path,
)

SECRET = b"s" * 32
TOKEN = "0197a00000007000800000000000030a"


def test_a_return_path_names_its_delivery():
    path = make_return_path(SECRET, TOKEN, "bounce.example.com")

    local_part, _, domain = path.partition("@")
    assert domain == "bounce.example.com"
    assert local_part.startswith(f"b+{TOKEN}.")
    assert len(local_part) <= 64
    assert read_return_path(SECRET, local_part) == TOKEN
    assert read_return_path(SECRET, local_part.upper()) == TOKEN


@pytest.mark.parametrize("change", [slice(0, -1), slice(1, None), slice(0, 0)])
def test_a_damaged_return_path_is_not_believed(change):
    local_part = make_return_path(SECRET, TOKEN, "x").partition("@")[0]

    assert read_return_path(SECRET, local_part[change]) is None


@pytest.mark.parametrize(
    "local_part",
    [
        "",
        "b+",
        "b+x",
        "b+x.y",
        "postmaster",
        "b+x." + "a" * 16,
        "b+x." + "é" * 16,
        "\0",
        "b" * 9999,
    ],
)
def test_a_made_up_return_path_is_not_believed(local_part):
    assert read_return_path(SECRET, local_part) is None


def test_another_secret_makes_another_return_path():
    local_part = make_return_path(b"t" * 32, TOKEN, "x").partition("@")[0]

    assert read_return_path(SECRET, local_part) is None


@pytest.mark.parametrize("token", ["", "A", "a.b", "a@b", "a" * 46, "é"])
def test_a_token_that_would_not_come_back_is_refused(token):
    with pytest.raises(ValueError, match="token"):
        make_return_path(SECRET, token, "example.com")


def test_an_address_for_one_thing_is_not_believed_for_another():
    leave = make_return_path(SECRET, TOKEN, "x", kind=Kind.UNSUBSCRIBE).partition("@")[0]
    bounce = make_return_path(SECRET, TOKEN, "x").partition("@")[0]

    assert read_return_path(SECRET, leave, kind=Kind.UNSUBSCRIBE) == TOKEN
    assert read_return_path(SECRET, leave) is None
    assert read_return_path(SECRET, "b" + leave[1:]) is None
    assert read_return_path(SECRET, bounce, kind=Kind.UNSUBSCRIBE) is None


def test_a_return_path_is_found_within_a_text():
    path = make_return_path(SECRET, TOKEN, "bounce.example.com")
    forged = f"b+{TOKEN}.{'a' * 16}@x"

    assert find_return_path(SECRET, f"<{path}>") == TOKEN
    assert find_return_path(SECRET, f"{forged} <{path.upper()}>") == TOKEN
    assert find_return_path(SECRET, forged * 1000) is None
    assert find_return_path(SECRET, f"a{path}") is None
