"""Tokens: their characters, and how many there are of each."""

from collections import Counter

from postlane.core.ids import ALPHANUMERIC, new_token, new_tokens


def test_tokens_are_of_their_length_and_none_is_twice() -> None:
    for count, length in ((0, 16), (1, 1), (1, 43), (500, 16), (10_000, 16)):
        tokens = new_tokens(count, length)

        assert [len(token) for token in tokens] == [length] * count
        assert len(set(tokens)) == count
    assert new_token() != new_token()


def test_every_character_is_as_likely() -> None:
    found = Counter("".join(new_tokens(62_000)))

    assert set(found) == set(ALPHANUMERIC)
    # 16,000 of each are to be expected, 126 more or less; this far off comes once in 10^14 runs.
    assert max(abs(n - 16_000) for n in found.values()) < 1100
