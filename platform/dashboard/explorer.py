"""What the API explorer asks: documents of a person's own, and the schema for its editor.

A document goes the way of every other client's, with the same limits. The credential is the
session's cookie, for the organization in the path, and only together with a form's proof.
"""

import gzip
from typing import Any

import msgspec
from graphql import get_introspection_query
from litestar import Request, Response
from litestar.types import ASGIApp

from ..core.actor import Actor
from ..graphql.execute import Document
from .visit import Door, Visit

GRAPHQL = "/o/{org:str}/graphql"
SCHEMA = "/o/{org:str}/explorer/schema"
_INTROSPECTION = Document(get_introspection_query(descriptions=True, input_value_deprecation=False))


def explorer_of(door: Door) -> ASGIApp:
    """Return what answers documents of people who are signed in to the dashboard."""

    async def authenticate(scope: Any) -> Actor | None:
        is_repeated = scope["state"].get("is_repeated", False)
        return await Visit(Request(scope), door).who(is_repeated=is_repeated)

    return door.explorer(authenticate)


async def shown_schema(visit: Visit) -> Response[Any]:
    """Answer the schema as editors read it, to whoever is signed in."""
    text = await _schema(visit)
    headers = {
        "Content-Encoding": "gzip",
        "Cache-Control": "private, max-age=300",
        "Vary": "Cookie",
    }
    return Response(text, media_type="application/json", headers=headers)


_KEPT: list[bytes] = []
"""The schema is a constant of the code, so that one is enough."""


async def _schema(visit: Visit) -> bytes:
    if not _KEPT:
        result = await visit.run(_INTROSPECTION, {})
        _KEPT.append(gzip.compress(msgspec.json.encode(result.data), mtime=0))
    return _KEPT[0]
