"""Rows that share most of their values, for statements that write many of them.

A statement takes an array for each column, and of what a transaction writes every item of each is
looked at by the driver. The recipients of one message differ in little, so the rest goes once.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

T = TypeVar("T")


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
