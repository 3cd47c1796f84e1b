"""Rows that share most of their values, for statements that write many of them.

A statement takes an array for each column, and of what a transaction writes every item of each is
looked at by the driver. The recipients of one message differ in little, so the rest goes once, and
what differs goes as one text, which the database takes apart in a fraction of the time.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

SEPARATOR = "\n"
"""Stands between the items of a text, and in none of them."""


def joined(items: Iterable[object]) -> str:
    """Return *items* as one text; None, and what is empty, is nothing between two separators.

    `string_to_array({}, E'\\n', '')` makes them again, with NULL for nothing. Of a single nothing
    it makes an array without items, which `unnest` fills up beside others.

    Raises:
        ValueError: an item holds what stands between them.
    """
    texts = ["" if item is None else str(item) for item in items]
    text = SEPARATOR.join(texts)
    if texts and text.count(SEPARATOR) != len(texts) - 1:
        raise ValueError("an item holds the separator")
    return text


def texts(items: Sequence[str]) -> tuple[list[str] | None, str | None]:
    """Return texts that may hold anything as an array or, where they can be, as one text.

    `coalesce({}::text[], string_to_array({}, E'\\n'))` makes them again.
    """
    text = SEPARATOR.join(items)
    # Of a single text without characters nothing would be made.
    if text and text.count(SEPARATOR) == len(items) - 1:
        return None, text
    return list(items), None


def shared_by(items: Sequence[T], key: Callable[[T], Hashable]) -> tuple[list[T], list[int]]:
    """Return the first item of each *key*, and for every item the place of its own, from 1 on.

    So they are numbered by `unnest(...) WITH ORDINALITY`, which the places are joined to.
    """
    firsts: list[T] = []
    known: dict[Hashable, int] = {}
    places: list[int] = []
    last: Hashable = None
    place = 0
    for item in items:
        # Mostly it is that of the item before, and the same objects: equal at a glance.
        if (its := key(item)) != last or not place:
            last = its
            place = known.setdefault(its, len(firsts) + 1)
            if place > len(firsts):
                firsts.append(item)
        places.append(place)
    return firsts, places
