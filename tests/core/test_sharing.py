"""Rows that share most of their values."""

from operator import itemgetter

import pytest

from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.core.sharing import joined, shared_by, texts


def test_items_are_told_to_what_they_share() -> None:
    items = [("a", 1), ("a", 2), ("b", 3), ("a", 4), ("c", 5)]

    firsts, places = shared_by(items, itemgetter(0))

    assert firsts == [("a", 1), ("b", 3), ("c", 5)]
    assert [firsts[place - 1][0] for place in places] == ["a", "a", "b", "a", "c"]


def test_nothing_is_shared_by_nobody() -> None:
    assert shared_by([], itemgetter(0)) == ([], [])


def test_sharing_none_is_sharing_something() -> None:
    assert shared_by([(None,), (None,)], itemgetter(0)) == ([(None,)], [1, 1])


@pytest.mark.parametrize(
    "items", [[], ["a"], ["a", None, "b"], ["a", None], [None, "a"], ["é", " ", ",", "NULL", "\\"]]
)
async def test_what_is_joined_is_taken_apart_by_the_database(
    database: None, items: list[str | None]
) -> None:
    asked = "SELECT string_to_array({}, E'\\n', '') AS items"
    assert (await fetch(asked, joined(items)))[0]["items"] == items


async def test_a_single_nothing_is_filled_up_beside_others(database: None) -> None:
    id = new_id()
    rows = await fetch(
        "SELECT * FROM unnest(string_to_array({}, E'\\n', '')::uuid[], "
        "string_to_array({}, E'\\n', '')::uuid[]) AS pair (id, other)",
        joined([id]),
        joined([None]),
    )
    assert rows == [{"id": id, "other": None}]


def test_what_holds_the_separator_is_not_joined() -> None:
    with pytest.raises(ValueError, match="separator"):
        joined(["a\nb"])


@pytest.mark.parametrize(
    "items",
    [
        *([], [""], ["a"], ["a", ""], ["", "a"], ["", ""], ["a\nb", "c"], ["\n"], ["a\n"]),
        ["é", " ", ",", "NULL", "\\", '"', "{}"],
    ],
)
async def test_texts_are_what_they_were_whatever_they_hold(
    database: None, items: list[str]
) -> None:
    asked = "SELECT coalesce({}::text[], string_to_array({}, E'\\n')) AS items"

    assert (await fetch(asked, *texts(items)))[0]["items"] == items
    # As one text wherever that can be.
    is_one = bool("".join(items)) and not any("\n" in item for item in items)
    assert (texts(items)[0] is None) is (is_one or items == ["", ""])
