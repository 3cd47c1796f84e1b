"""`postlane smtp`: says plainly that this version has none."""

import argparse
import sys

NOT_AVAILABLE = 2


def run(arguments: argparse.Namespace) -> int:
    """Say that there is no SMTP listener in this version, and what to use."""
    print(
        "postlane: this version does not accept mail over SMTP. Send over HTTP: GraphQL's "
        "sendMessage and sendRawMessage, or a REST API. Nothing was started.",
        file=sys.stderr,
    )
    return NOT_AVAILABLE
