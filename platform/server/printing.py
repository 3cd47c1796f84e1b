"""Documents about Postlane, made from the code: schema, OpenAPI, settings."""

import argparse
import json
import os
import socket
from dataclasses import fields

from ..core.settings import PREFIX, Settings, load

DEPENDS_ON_MACHINE = {
    "web_workers": (str(os.cpu_count() or 1), "the number of cores"),
    "hostname": (socket.getfqdn(), "the machine's name"),
}
"""Settings whose default is found out at start: what it is here, and how to say it."""


def schema(arguments: argparse.Namespace) -> int:
    """Print the GraphQL schema."""
    # Imported here: building the schema takes a second, and the other documents need none.
    from ..graphql.schema import printed

    print(printed(), end="")
    return 0


def openapi(arguments: argparse.Namespace) -> int:
    """Print the OpenAPI document of the REST API."""
    from ..rest_compat import dialects

    print(json.dumps(dialects.openapi(load(os.environ).public_url), indent=2))
    return 0


def settings_table(arguments: argparse.Namespace) -> int:
    """Print every setting as a Markdown table, the same on every machine."""
    print("\n".join(settings_lines()))
    return 0


def settings_lines() -> list[str]:
    """Return the lines of the table of settings, in the order they are declared."""
    lines = ["| Name | Default | Meaning |", "|---|---|---|"]
    for declared in fields(Settings):
        default = declared.metadata["default"]
        if declared.name in DEPENDS_ON_MACHINE:
            shown = DEPENDS_ON_MACHINE[declared.name][1]
        else:
            shown = f"`{default}`" if default else "empty"
        meaning = declared.metadata["meaning"].replace("|", "\\|")
        lines.append(f"| `{PREFIX}{declared.name.upper()}` | {shown} | {meaning} |")
    return lines
