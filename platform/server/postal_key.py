"""Postal's public key: at an address for receivers, and printed for their configuration."""

import argparse
from typing import Any

from litestar import MediaType, Response, route
from litestar.enums import HttpMethod

from ..core.logs import start_logging
from ..core.settings import settings
from ..webhooks.postal_keys import postal_key
from .connection import open_database

HOUR = "public, max-age=3600"


@route(
    "/.well-known/jwks.json",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    media_type=MediaType.JSON,
)
async def jwks() -> Response[dict[str, Any]]:
    """Return the key that receivers check calls in Postal's format with."""
    key = await postal_key()
    return Response(key.jwks(), headers={"Cache-Control": HOUR})


async def run(arguments: argparse.Namespace) -> int:
    """Print the public key in the forms that receivers are given."""
    # Migrations bring much with them that a web process, which imports this file, never needs.
    from .history import require_current

    start_logging(form=settings().log_format, level="warning")
    async with open_database():
        await require_current()
        key = await postal_key()
    print(f"kid:        {key.id}")
    print(f"p:          {key.dkim_p}")
    print(f"TXT record: {key.dkim_record()}")
    return 0
