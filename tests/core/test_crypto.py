"""The secret key, and what was made with the one before it."""

import hmac

import pytest

from postlane.core.crypto import (
    SealBroken,
    derived_keys,
    digest,
    digesters,
    digests,
    reseal,
    seal,
    unseal,
)
from postlane.core.settings import SettingsError, load
from tests.secret_keys import secret_keys

OLD, NEW, OTHER = "o" * 40, "n" * 40, "x" * 40


def test_what_an_old_key_sealed_is_read_and_sealed_anew() -> None:
    with secret_keys(OLD):
        sealed = seal(b"a secret", purpose="test")
    with secret_keys(NEW, OLD):
        assert unseal(sealed, purpose="test") == b"a secret"
        anew = reseal(sealed, purpose="test")
        assert anew is not None
        assert reseal(anew, purpose="test") is None
    with secret_keys(NEW):
        assert unseal(anew, purpose="test") == b"a secret"
        with pytest.raises(SealBroken):
            unseal(sealed, purpose="test")
        with pytest.raises(SealBroken):
            reseal(sealed, purpose="test")


def test_a_key_that_is_to_come_is_read_before_it_is_used() -> None:
    with secret_keys(NEW):
        sealed = seal(b"a secret", purpose="test")

    with secret_keys(OLD, NEW):
        assert unseal(sealed, purpose="test") == b"a secret"


@pytest.mark.parametrize("purpose", ["another", ""])
def test_a_value_is_good_for_its_purpose_only(purpose: str) -> None:
    with secret_keys(NEW, OLD):
        sealed = seal(b"a secret", purpose="test")

        with pytest.raises(SealBroken):
            unseal(sealed, purpose=purpose)


@pytest.mark.parametrize("value", [b"", b"\x01", b"\x01" + 11 * b"n", b"\x01" + 40 * b"\0"])
def test_what_is_no_sealed_value_is_refused(value: bytes) -> None:
    with secret_keys(NEW, OLD), pytest.raises(SealBroken):
        unseal(value, purpose="test")


def test_hashes_are_looked_up_under_every_key_and_made_with_one() -> None:
    with secret_keys(OLD):
        before = digest("a token", purpose="test")
    with secret_keys(NEW, OLD, OTHER):
        found = digests("a token", purpose="test")

        assert found[0] == digest("a token", purpose="test") != before
        assert found[1] == before
        assert len(set(found)) == 3


def test_short_old_keys_are_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError) as told:
        load({"POSTLANE_OLD_SECRET_KEYS": f"{OLD} short"})

    assert "POSTLANE_OLD_SECRET_KEYS needs at least 32 characters" in str(told.value)
    assert "short" not in str(told.value)


@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 65, 1000])
def test_a_digest_is_an_hmac_of_what_was_said(length: int) -> None:
    said = ("é" + "s" * length)[:length]
    with secret_keys(NEW):
        key = derived_keys("test")[0]

        assert digest(said, purpose="test") == hmac.digest(key, said.encode(), "sha256")


def test_digests_of_what_begins_alike_are_those_of_the_whole() -> None:
    with secret_keys(NEW, OLD):
        of_rest = digesters("same:", purpose="test")

        for said in ("", "é", "s" * 100):
            assert [each(said) for each in of_rest] == digests("same:" + said, purpose="test")
