"""Sentences that are not translated have words for one thing, too."""

from postlane.core.wording import counted, noun_for


def test_one_thing_is_not_many() -> None:
    assert [counted(n, "second") for n in (0, 1, 2)] == ["0 seconds", "1 second", "2 seconds"]
    assert [noun_for(n, "entry", "entries") for n in (1, 1.5, 2)] == ["entry", "entries", "entries"]
