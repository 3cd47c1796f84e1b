"""`postlane backup` and `postlane restore`: everything that must survive, in one file.

That is the database, which holds DKIM keys sealed with the secret key, and the secret key,
encrypted with a passphrase. Without a passphrase the key is left out, and has to be kept apart:
a file that holds both in the clear could sign mail as every domain. Left out is also what makes
itself again: the job queue, whose jobs are found by the sweep, and the counters of rate limits.
"""

import argparse
import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

from ..core import clock
from ..core.settings import PREFIX, SECRET_FILE, Settings, load, stored_secrets
from ..core.wording import counted, noun_for
from . import archive, programs
from .connection import check_reachable, database_at_hand, without_password
from .data_dir import keep_secrets, prepare
from .faults import CommandFailed
from .history import known_migrations
from .migrate import migrate_at
from .wrapping import name_of, read_passphrase, unwrap, wrap

LEFT_OUT = ("saq_jobs", "saq_stats", "saq_versions")
ROWS_LEFT_OUT = ("rate_buckets",)
APPLICATION = "postlane"
"""Name under which our connections stand in pg_stat_activity."""
ASIDE = "postlane_before_restore"
"""Schema that what was there before waits in until a restore has succeeded."""


async def back_up(arguments: argparse.Namespace) -> int:
    """Write a backup while everything runs; it is of one moment."""
    target: Path = arguments.file.expanduser().absolute()
    if target.exists():
        raise CommandFailed(f"{target} exists already. Choose another name.")
    passphrase = read_passphrase(arguments.passphrase_file)
    found = load(os.environ)
    keys = _secrets(found)
    async with database_at_hand(found) as url:
        await check_reachable(url)
        with _scratch(target.parent) as folder:
            dump = folder / archive.DUMP
            members = {archive.DUMP: dump}
            if passphrase is not None:
                members[archive.WRAPPED] = folder / archive.WRAPPED
                members[archive.WRAPPED].write_bytes(wrap(keys, passphrase))
            major, migrations = await _describe(url)
            left_out = [f"--exclude-table={name}" for name in LEFT_OUT]
            left_out += [f"--exclude-table-data={name}" for name in ROWS_LEFT_OUT]
            # How values are compressed is not in it: not every server that it may be restored to
            # knows LZ4.
            options = ["--format=custom", "--no-toast-compression", *left_out, f"--file={dump}"]
            await _run_program(_newest("pg_dump", major), *options, url=url)
            manifest = archive.Manifest(
                format=archive.FORMAT,
                postlane=version("postlane"),
                created_at=clock.now().isoformat(timespec="seconds"),
                postgresql=major,
                migrations=migrations,
                sha256={name: archive.sha256(path) for name, path in members.items()},
                secret_key=name_of(keys[0]),
            )
            archive.write(target, manifest, members)
    print(f"Wrote {target} ({target.stat().st_size:,} bytes).")
    if passphrase is not None:
        print("It holds the secret key, encrypted with the passphrase. Keep the two apart.")
    else:
        print(
            "The secret key is not in it. Keep a copy of it elsewhere, or give --passphrase-file: "
            "without the key nothing that is sealed, such as DKIM keys, can be restored."
        )
    return 0


async def restore(arguments: argparse.Namespace) -> int:
    """Put a backup into an empty database, or with --force in place of what is there."""
    passphrase = read_passphrase(arguments.passphrase_file)
    found = load(os.environ)
    prepare(found.data_dir)
    with (
        _scratch(found.data_dir) as folder,
        archive.opened(arguments.file.expanduser(), folder) as (manifest, members),
    ):
        if unknown := set(manifest.migrations) - set(known_migrations()):
            raise CommandFailed(
                f"The backup was made by a newer Postlane ({manifest.postlane}); this one does "
                f"not know {len(unknown)} of its migrations. Restore it with that version."
            )
        keys = _keys_of(members, passphrase)
        _check_secret(found, manifest, keys, force=arguments.force)
        async with database_at_hand(found, alone=True, make=True) as url:
            await check_reachable(url)
            async with _room(url, force=arguments.force):
                await _run_program(
                    _newest("pg_restore", manifest.postgresql),
                    "--single-transaction",
                    "--exit-on-error",
                    "--no-owner",
                    "--no-privileges",
                    str(members[archive.DUMP]),
                    url=url,
                )
            done = await migrate_at(url)
        if keys and not found.secret_key:
            keep_secrets(found.data_dir, keys)
    print(f"Restored the backup of {manifest.created_at}.")
    if done:
        print(f"Brought it up to date with {len(done)} newer {noun_for(len(done), 'migration')}.")
    return 0


def _secrets(found: Settings) -> tuple[str, ...]:
    """Return the secret keys, the one in use first."""
    if found.secret_key:
        return (found.secret_key, *found.old_secret_keys)
    if not (keys := stored_secrets(found.data_dir)):
        raise CommandFailed(
            f"There is no secret key: {PREFIX}SECRET_KEY is not set and "
            f"{found.data_dir / SECRET_FILE} is absent. Without it the DKIM keys in the database "
            "cannot be opened, so there is nothing to back up."
        )
    return keys


def _keys_of(members: Mapping[str, Path], passphrase: bytes | None) -> Sequence[str]:
    """Return the secret keys that an archive holds; none if they were left out."""
    if archive.SECRET in members:
        return [members[archive.SECRET].read_text("ascii").strip()]
    if archive.WRAPPED not in members:
        return []
    if passphrase is None:
        raise CommandFailed(
            "The backup's secret key is encrypted: say with --passphrase-file what opens it."
        )
    return unwrap(members[archive.WRAPPED].read_bytes(), passphrase)


def _check_secret(
    found: Settings, manifest: archive.Manifest, keys: Sequence[str], *, force: bool
) -> None:
    path = found.data_dir / SECRET_FILE
    wanted = manifest.secret_key or name_of(keys[0])
    given = (found.secret_key, *found.old_secret_keys) if found.secret_key else ()
    if given and wanted not in map(name_of, given):
        raise CommandFailed(
            f"{PREFIX}SECRET_KEY is set to another key than the backup's, which its DKIM keys "
            f"need. Unset it, so that the backup's key is put into {path}, or set it to the one "
            "that was in use when the backup was made."
        )
    present = stored_secrets(found.data_dir)
    if not keys and not given and wanted not in map(name_of, present):
        raise CommandFailed(
            "The backup was made without its secret key. Put the key that was in use then into "
            f"{path}, or set {PREFIX}SECRET_KEY to it."
        )
    if keys and not given and present and present[0] != keys[0] and not force:
        raise CommandFailed(
            f"{path} holds another secret key than the backup. Move it away if nothing needs "
            "it any more, or use --force to replace it."
        )


async def _describe(url: str) -> tuple[int, list[str]]:
    connection = await asyncpg.connect(url)
    try:
        major: int = connection.get_server_version().major
        exists = await connection.fetchval("SELECT to_regclass('migration') IS NOT NULL")
        if not exists:
            raise CommandFailed("The database is empty: there is nothing to back up.")
        rows = await connection.fetch("SELECT name FROM migration ORDER BY name")
        return major, [row["name"] for row in rows]
    finally:
        await connection.close()


@asynccontextmanager
async def _room(url: str, *, force: bool) -> AsyncIterator[None]:
    """Set what the database holds aside for the body; it comes back if the body fails."""
    connection = await asyncpg.connect(url)
    try:
        await _check_unused(connection)
        if await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", ASIDE):
            raise CommandFailed(
                f"An earlier restore was cut short: what was there before it is in the schema "
                f"{ASIDE}. Look whether it is needed, drop it, and restore again."
            )
        # The job queue's own tables, made when a process connects, do not count.
        tables = await connection.fetchval(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' "
            "AND NOT tablename = ANY($1::text[])",
            LEFT_OUT,
        )
        if tables and not force:
            raise CommandFailed(
                f"The database is not empty: it has {counted(tables, 'table')}. Restore into "
                "an empty one, or use --force to replace everything in it."
            )
        await connection.execute(f"ALTER SCHEMA public RENAME TO {ASIDE}; CREATE SCHEMA public")
        try:
            yield
        except BaseException:
            await connection.execute(
                f"DROP SCHEMA public CASCADE; ALTER SCHEMA {ASIDE} RENAME TO public"
            )
            raise
        await connection.execute(f"DROP SCHEMA {ASIDE} CASCADE")
    finally:
        await connection.close()


async def _check_unused(connection: asyncpg.Connection) -> None:
    others = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND application_name = $1",
        APPLICATION,
    )
    if others:
        raise CommandFailed(
            f"The database is in use by {counted(others, 'connection')} of Postlane. Stop "
            "web and worker first."
        )


def _newest(name: str, server_major: int) -> str:
    """Return the program that can talk to that server: a tool reads no newer server's data."""
    if server_major <= programs.MAJOR_VERSION:
        return programs.program(name)
    found = shutil.which(name)
    if found is None:
        raise CommandFailed(
            f"The database is PostgreSQL {server_major}, newer than the {name} that comes with "
            f"Postlane ({programs.MAJOR_VERSION}). Install postgresql-client-{server_major}."
        )
    return found


async def _run_program(path: str, *arguments: str, url: str) -> None:
    # Arguments are for all to see, so the password goes another way.
    parts = urlsplit(url)
    address = without_password(url, mark="")
    secret = {"PGPASSWORD": unquote(parts.password)} if parts.password else {}
    process = await asyncio.create_subprocess_exec(
        path,
        f"--dbname={address}",
        *arguments,
        env={"PATH": os.defpath, "LC_ALL": "C", "HOME": os.path.expanduser("~"), **secret},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode != 0:
        lines = said.decode("utf-8", "replace").strip().splitlines()
        raise CommandFailed(f"{Path(path).name} failed: {' / '.join(lines[-3:])}")


@contextmanager
def _scratch(beside: Path) -> Iterator[Path]:
    """Yield a folder closed to others, on the disk where the result will be."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=".postlane-", dir=beside)
    except OSError as error:
        raise CommandFailed(f"{beside} cannot be written: {error.strerror}.") from error
    with folder as name:
        yield Path(name)
