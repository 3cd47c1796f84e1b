"""What is worked out once for a node of a document, as long as the document is used."""

import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from graphql import Node

T = TypeVar("T")

MOST = 10_000
"""Nodes of which something is remembered; then all is forgotten."""


class Remembered(Generic[T]):
    """Calls *work* once for a node and a type, or whatever else is one object for good.

    Nodes are told apart by which they are and not by what they say, which takes a walk through
    everything below them. What is remembered goes with its node, and so with the document: each
    node holds the text that it was read from and all its tokens, and anybody may send texts.
    Hence *work* returns nothing that holds the node.
    """

    def __init__(self, work: Callable[[Any, Any], T]) -> None:
        self._work = work
        self._found: dict[tuple[int, int], tuple[weakref.ref[Node], Any, T]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def of(self, node: Node, other: Any) -> T:
        """Return what *work* makes of both."""
        key = id(node), id(other)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MOST:
                self._found.clear()
            # It goes before anything else can come to have the node's id; the other is kept.
            gone = weakref.ref(node, lambda _: self._found.pop(key, None))
            found = self._found[key] = gone, other, self._work(node, other)
        return found[2]
