"""What answering for pixels and links costs, beside the same server answering a constant.

The constant is the pixel of a token that is none: the same picture, by the same way through the
server, with nothing opened and nothing written down. `/robots.txt`, which every web process
answers like the rest of its pages, is measured as well. It runs in a process of its own, whose
secret the tokens are made with.
"""

import asyncio
import json
import os
import secrets
import statistics
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import uvloop

from .client import flood

CONNECTIONS = 64
BUDGET = 0.7
"""Of what a constant gets."""
RUNS = 9
CONSTANT = "/track/open/" + "A" * 190 + ".gif"
PAGE = "/robots.txt"


async def measure(*, requests: int) -> dict[str, list[float]]:
    """Return requests a second for each kind, run by run."""
    with tempfile.TemporaryDirectory(prefix="postlane-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, folder, str(requests)),
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("POSTLANE_")},
                "POSTLANE_DATA_DIR": folder,
                "POSTLANE_SECRET_KEY": secrets.token_hex(32),
                "POSTLANE_HOSTNAME": "mail.postlane.test",
                "POSTLANE_LOG_LEVEL": "warning",
            },
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"tracking could not be measured: {printed.decode()[-500:]}")
    found: dict[str, list[float]] = json.loads(printed.splitlines()[-1])
    return found


def summary(found: dict[str, list[float]]) -> dict[str, Any]:
    """Return the entries of the report: medians, each run beside the constant of the same run."""

    def entry(name: str, against: str) -> dict[str, Any]:
        pairs = zip(found[name], found[against], strict=True)
        return {
            "value": round(statistics.median(found[name]), 1),
            "unit": "requests/s",
            "ratio": round(statistics.median(ours / other for ours, other in pairs), 3),
            "against": f"{against}, {CONNECTIONS} connections",
            "runs": len(found[name]),
        }

    return {
        "track_open": entry("open", "constant"),
        "track_click": entry("click", "constant"),
        "track_open_vs_page": entry("open", "page"),
        "track_click_vs_page": entry("click", "page"),
    }


async def _main(folder: Path, requests: int) -> None:
    # Settings are read when the product is imported: only here, in the process that has them.
    from postlane.core.database import close_pool, fetch, start_pool
    from postlane.server.embedded import EmbeddedDatabase
    from postlane.server.migrate import migrate
    from tests.serving import running_web

    server = EmbeddedDatabase(folder / "postgres")
    url = await server.start()
    try:
        await start_pool(url)
        await migrate()
        async with running_web(url) as web:
            host, port = web.url.removeprefix("http://").split(":")
            print(json.dumps(await _measured((host, int(port)), requests)))
        (written,) = await fetch("SELECT count(*) AS n FROM tracking_hits")
        if written["n"] != 2 * RUNS * requests:
            raise RuntimeError(f"{written['n']} hits were written down")
    finally:
        await close_pool()
        await server.stop()


async def _measured(address: tuple[str, int], requests: int) -> dict[str, list[float]]:
    links = [_links() for _ in range(requests)]
    paths = {
        "constant": [CONSTANT] * requests,
        "page": [PAGE] * requests,
        "open": [_path(each.pixel().split('"')[1]) for each in links],
        "click": [_path(each.link(0, "https://shop.example/offers/summer")) for each in links],
    }
    head = f"Host: {address[0]}:{address[1]}\r\nUser-Agent: Thunderbird/128.0\r\n\r\n"
    asked = {
        name: [f"GET {path} HTTP/1.1\r\n{head}".encode() for path in each]
        for name, each in paths.items()
    }
    await flood(address, asked["constant"], connections=CONNECTIONS)  # warm up
    found: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(RUNS):
        for name, each in asked.items():
            seconds, _ = await flood(address, each, connections=CONNECTIONS, below=400)
            found[name].append(requests / seconds)
            await asyncio.sleep(1)  # what was noted is written down
    return found


def _links() -> Any:
    from postlane.core.actor import OrganizationId, ProjectId
    from postlane.tracking.rules import Tracks
    from postlane.tracking.tokens import Recipient
    from postlane.tracking.work.linking import links_of

    ids = [uuid.uuid4() for _ in range(4)]
    recipient = Recipient(OrganizationId(ids[0]), ProjectId(ids[1]), ids[2], ids[3], "a@b.example")
    return links_of(recipient, Tracks.OPENS | Tracks.CLICKS, host=None, aggregate=False)


def _path(url: str) -> str:
    return "/" + url.split("/", 3)[3]


if __name__ == "__main__":
    uvloop.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
