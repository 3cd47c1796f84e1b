"""Which documents of the code were found to fit the schema, noted where Python keeps bytecode.

Documents and schema are constants: what fits goes on to fit until a file of ours or a library
is another. Files are told apart as Python tells whether bytecode is that of its source, by time
and size; and whoever could forge the note could forge bytecode as well.
"""

import contextlib
import os
import sys
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import cache_from_source
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
LIBRARIES = ("graphql-core", "strawberry-graphql")


def digest_of(text: str) -> str:
    """Return what a document's text is known by."""
    return sha256(text.encode()).hexdigest()


def noted() -> frozenset[str]:
    """Return the digest of each document that was found to fit the schema of this very code."""
    try:
        code, *digests = _file().read_text("ascii").split()
        return frozenset(digests) if code == _code() else frozenset()
    except (OSError, ValueError, PackageNotFoundError):
        return frozenset()


def note(digests: Iterable[str]) -> None:
    """Note that these fit, and no others; where no bytecode may be written, nothing is."""
    if sys.dont_write_bytecode:
        return
    file = _file()
    unfinished = file.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError, PackageNotFoundError):
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text("\n".join([_code(), *sorted(digests)]), "ascii")
        unfinished.replace(file)


def _file() -> Path:
    return Path(cache_from_source(__file__)).with_suffix(".fits")


def _code() -> str:
    """Return what is another whenever a file of ours or a library that judges documents is."""
    lines = [f"{name} {version(name)}" for name in LIBRARIES]
    for folder, folders, names in os.walk(PACKAGE):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        for name in sorted(names):
            path = os.path.join(folder, name)
            found = os.stat(path)
            lines.append(f"{path} {int(found.st_mtime)} {found.st_size}")
    return digest_of("\n".join(lines))
