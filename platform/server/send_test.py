"""`postlane send-test`: one message through the API, followed until it is settled."""

import argparse
import os
import sys
from pathlib import Path

from ..core.settings import load
from .api import Api
from .faults import CommandFailed
from .following import follow, send
from .up import public_url

TEXT = "This is a test message, sent with `postlane send-test`."


async def run(arguments: argparse.Namespace) -> int:
    """Send, follow, and say what became of it; 1 unless it was delivered."""
    api = Api(arguments.url or public_url(load(os.environ)), _key(arguments.key_file))
    message_id = await send(
        api,
        sender=arguments.sender,
        recipient=arguments.recipient,
        subject="A test of Postlane",
        text=TEXT,
    )
    print(f"Accepted as {message_id}.")
    fate = await follow(api, message_id, seconds=max(0.0, arguments.wait))
    said = f"; {fate.host or 'the receiver'} said: {fate.reply}" if fate.reply else ""
    if not fate.settled:
        print(f"After {fate.seconds:.0f} s it is still {fate.status}{said}. It is tried further.")
        return 1
    print(f"It was {fate.status} after {fate.seconds:.1f} s{said}")
    return 0 if fate.status == "delivered" else 1


def _key(path: Path | None) -> str:
    """Return the API key; it is no argument, because arguments are for all to see."""
    if path is not None:
        try:
            key = path.expanduser().read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFailed(f"The key file {path} cannot be read: {error}.") from error
    else:
        if sys.stdin.isatty():
            print("API key: ", end="", file=sys.stderr, flush=True)
        key = sys.stdin.readline().strip()
    if not key or not key.isascii() or not key.isprintable():
        raise CommandFailed(
            "There is no API key. Give it with --key-file FILE or on standard input; "
            "`postlane create-organization` makes one."
        )
    return key
