"""Files that pages use: read once, named by what is in them, and kept by browsers for a year.

The scripts in `static/app` are one file to browsers, `app.js`, in the order of their names; each
language but English has one of its own, with its texts at the end.
"""

import base64
import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..core.languages import SOURCE, catalogs, spoken

FOLDER = Path(__file__).parent / "static"
SCRIPTS = FOLDER / "app"
PREFIX = "/static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_MARKED = re.compile(r'\b_\("([^"\\]+)"')


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
    found = {p.name: p.read_bytes() for p in sorted(FOLDER.iterdir()) if p.suffix in TYPES}
    found["app.js"] = b"\n".join(path.read_bytes() for path in sorted(SCRIPTS.iterdir()))
    texts = _texts(found)
    for tag, catalog in catalogs().items():
        if tag != SOURCE:
            table = json.dumps({each: catalog.gettext(each) for each in texts}, ensure_ascii=False)
            found[_script_in(tag)] = found["app.js"] + f"\ntexts = {table};\n".encode()
    return {name: _asset(Path(name), content) for name, content in found.items()}


def script() -> Asset:
    """Return the script of every page, in the language that is spoken."""
    return assets()["app.js" if spoken() == SOURCE else _script_in(spoken())]


def _script_in(tag: str) -> str:
    return f"app.{tag}.js"


def _texts(scripts: dict[str, bytes]) -> list[str]:
    """Return every text that is marked in *scripts*, `_("…")`."""
    ours = (text.decode() for name, text in scripts.items() if name.endswith(".js"))
    return sorted({text for each in ours for text in _MARKED.findall(each)})


@lru_cache(maxsize=1)
def by_url() -> dict[str, Asset]:
    """Return every file by the address it is served at."""
    return {asset.url: asset for asset in assets().values()}


def _asset(path: Path, content: bytes) -> Asset:
    digest = hashlib.sha384(content).digest()
    return Asset(
        url=f"{PREFIX}/{path.stem}.{digest.hex()[:12]}{path.suffix}",
        content=content,
        compressed=gzip.compress(content, mtime=0),
        media_type=TYPES[path.suffix],
        integrity=f"sha384-{base64.b64encode(digest).decode()}",
    )
