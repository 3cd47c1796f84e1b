"""Which migrations there are and which have run, without what it takes to run them."""

import re
from pathlib import Path

from ..core.database import fetch
from ..core.wording import counted
from .faults import CommandFailed

_ID = re.compile(r'^ID = "([^"]+)"$', re.MULTILINE)


def migrations_folder() -> Path:
    """Return the folder of the migrations: beside the code in a wheel, above it in a checkout."""
    packaged = Path(__file__).parent / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "migrations"


def migration_files() -> list[Path]:
    """Return the file of every migration this version knows, in no order."""
    return list(migrations_folder().glob("[0-9]*.py"))


def known_migrations() -> list[str]:
    """Return the id of every migration this version knows, in order."""
    return sorted(_id_in(path) for path in migration_files())


def _id_in(path: Path) -> str:
    found = _ID.search(path.read_text("utf-8"))
    if found is None:
        raise RuntimeError(f"{path} has no ID")
    return found[1]


async def require_current() -> None:
    """Do nothing if every migration has run.

    Raises:
        CommandFailed: some have not.
    """
    [table] = await fetch("SELECT to_regclass('migration') IS NOT NULL AS made")
    rows = await fetch("SELECT name FROM migration") if table["made"] else []
    if missing := set(known_migrations()) - {row["name"] for row in rows}:
        raise CommandFailed(
            "The database is not up to date: "
            f"{counted(len(missing), 'migration has', 'migrations have')} not run. Run "
            "`postlane migrate` first; `postlane up` does so by itself."
        )
