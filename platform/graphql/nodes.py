"""Objects with a global id, and how one is found again by it.

A global id is opaque to clients: base64 of `Type:uuid`. Wherever an id is taken, the bare
UUID that REST answers and webhooks show is taken too.
"""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import strawberry

from ..core import ids
from ..core.actor import Actor
from ..core.errors import DetailCode, InvalidInput, NotFound
from .context import Info

LONGEST_ID = 200
"""Characters of an id that are looked at; ours have about 70."""
LARGEST_LIST = 100
"""Ids that one `nodes(ids:)` takes."""


@strawberry.interface(description="An object that can be found again by its global id.")
class Node:
    uuid: UUID = strawberry.field(
        description="The same object's UUID, as the REST interfaces and webhooks show it."
    )

    @strawberry.field(description="Global id; opaque, and good for `node(id:)` for ever.")
    def id(self) -> strawberry.ID:
        return global_id(type(self).__name__, self.uuid)


LoadNodes = Callable[[Actor, Sequence[UUID]], Awaitable[Mapping[UUID, Any]]]
_loads: dict[str, LoadNodes] = {}


def register(node_type: type[Node], load: LoadNodes) -> None:
    """Let `node(id:)` find objects of *node_type*.

    *load* returns those of the asked ids that the actor may see, under their id; each area
    calls this once, beside the type.
    """
    _loads[node_type.__name__] = load


def registered() -> frozenset[str]:
    """Return the names of the types that `node(id:)` finds."""
    return frozenset(_loads)


def global_id(type_name: str, value: UUID) -> strawberry.ID:
    """Return the global id of the object of that type."""
    return strawberry.ID(base64.b64encode(f"{type_name}:{value}".encode()).decode())


def split_id(value: str) -> tuple[str, UUID] | None:
    """Return type name and UUID of a global id, or None if it is not one."""
    if len(value) > LONGEST_ID:
        return None
    try:
        text = base64.b64decode(value, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    name, separator, tail = text.partition(":")
    found = ids.parse_id(tail)
    return (name, found) if separator and found else None


def parse_id(value: str, type_name: str) -> UUID:
    """Return the UUID in an id of a *type_name*: a global id, or the bare UUID.

    Raises:
        NotFound: it is garbage or an id of something else, which is the same as absent.
    """
    bare = ids.parse_id(value) if len(value) <= LONGEST_ID else None
    if bare is not None:
        return bare
    parts = split_id(value)
    if parts is None or parts[0] != type_name:
        raise NotFound
    return parts[1]


async def find_node(info: Info, value: str) -> Node | None:
    """Return the object with a global id, or None if it is absent or somebody else's."""
    parts = split_id(value)
    load = _loads.get(parts[0]) if parts else None
    if parts is None or load is None:
        return None
    node: Node | None = await info.context.loaders.load(load, parts[1])
    return node


async def find_nodes(info: Info, values: Sequence[str]) -> list[Node | None]:
    """Return the objects with these global ids in order, None for each that is not there.

    Raises:
        InvalidInput: there are too many.
    """
    if len(values) > LARGEST_LIST:
        raise InvalidInput.of(
            "ids", DetailCode.TOO_MANY, f"Ask for at most {LARGEST_LIST} ids at a time."
        )
    return list(await asyncio.gather(*(find_node(info, value) for value in values)))
