"""Rows that share most of their values."""

from operator import itemgetter

from postlane.core.sharing import shared_by


def test_items_are_told_to_what_they_share() -> None:
    items = [("a", 1), ("a", 2), ("b", 3), ("a", 4), ("c", 5)]

    firsts, places = shared_by(items, itemgetter(0))

    assert firsts == [("a", 1), ("b", 3), ("c", 5)]
    assert [firsts[place - 1][0] for place in places] == ["a", "a", "b", "a", "c"]


def test_nothing_is_shared_by_nobody() -> None:
    assert shared_by([], itemgetter(0)) == ([], [])


def test_sharing_none_is_sharing_something() -> None:
    assert shared_by([(None,), (None,)], itemgetter(0)) == ([(None,)], [1, 1])
