"""Files that pages use: read once, named by what is in them, and kept by browsers for a year."""

import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
PREFIX = "/static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served."""

    url: str
    content: bytes
    compressed: bytes
    media_type: str
    integrity: str
    """What a page says that it expects."""


@lru_cache(maxsize=1)
def assets() -> dict[str, Asset]:
    """Return every file by its name."""
    return {path.name: _read(path) for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}


@lru_cache(maxsize=1)
def by_url() -> dict[str, Asset]:
    """Return every file by the address it is served at."""
    return {asset.url: asset for asset in assets().values()}


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha384(content).digest()
    return Asset(
        url=f"{PREFIX}/{path.stem}.{digest.hex()[:12]}{path.suffix}",
        content=content,
        compressed=gzip.compress(content, mtime=0),
        media_type=TYPES[path.suffix],
        integrity=f"sha384-{base64.b64encode(digest).decode()}",
    )
