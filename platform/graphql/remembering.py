"""What is worked out once for a node of a document, as long as the document is used."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from graphql import Node

T = TypeVar("T")

MOST = 10_000
"""Nodes of which something is remembered; then all is forgotten. Clients' documents come and go."""


class Remembered(Generic[T]):
    """Calls *work* once for a node and a type, or whatever else is one object for good.

    Nodes are told apart by which they are and not by what they say, which takes a walk through
    everything below them.
    """

    def __init__(self, work: Callable[[Any, Any], T]) -> None:
        self._work = work
        self._found: dict[tuple[int, int], tuple[Node, Any, T]] = {}

    def of(self, node: Node, other: Any) -> T:
        """Return what *work* makes of both."""
        key = id(node), id(other)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MOST:
                self._found.clear()
            # Both are kept, so that nothing else can come to have their ids.
            found = self._found[key] = node, other, self._work(node, other)
        return found[2]
