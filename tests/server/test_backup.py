"""Backup and restore: what is put back is what there was, and its keys still sign."""

import asyncio
import io
import json
import os
import stat
import sys
import tarfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import dkim
import pytest

from postlane.core.crypto import seal
from postlane.mail.dkim import DkimKeyPair, KeyAlgorithm, make_key, record_value
from postlane.server.archive import WRAPPED
from postlane.server.data_dir import claim, ensure_secret
from postlane.server.embedded import EmbeddedDatabase
from tests.server.commands import Finished, environment, postlane_command

pytestmark = pytest.mark.slow

MAIL = b"From: hello@acme.example\r\nTo: you@there.example\r\nSubject: Hello\r\n\r\nHello.\r\n"
SIGN = """
import asyncio, sys, uuid
from postlane.domains.work import signing_keys
from postlane.mail.dkim import sign
from postlane.server.connection import open_database

async def main():
    async with open_database():
        domain_id = uuid.UUID(sys.argv[1])
        keys = (await signing_keys([domain_id]))[domain_id]
        sys.stdout.buffer.write(sign(sys.stdin.buffer.read(), keys))

asyncio.run(main())
"""


@asynccontextmanager
async def connected(data_dir: Path) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the embedded database of *data_dir*, which nothing else runs."""
    with claim(data_dir):
        server = EmbeddedDatabase(data_dir / "postgres")
        connection = await asyncpg.connect(await server.start())
        try:
            yield connection
        finally:
            await connection.close()
            await server.stop()


@pytest.fixture(scope="module")
def key() -> DkimKeyPair:
    return make_key(KeyAlgorithm.RSA_2048)


@pytest.fixture(scope="module")
def domain_id() -> uuid.UUID:
    return uuid.uuid4()


@pytest.fixture(scope="module")
async def installation(
    tmp_path_factory: pytest.TempPathFactory, key: DkimKeyPair, domain_id: uuid.UUID
) -> Path:
    """A data directory with one organization that has a domain with a DKIM key."""
    data_dir = tmp_path_factory.mktemp("installation")
    secret = data_dir / "secret_key"
    # The secret of this process, so that the key sealed here is one of that installation.
    secret.write_text(os.environ["POSTLANE_SECRET_KEY"])
    secret.chmod(0o600)
    answer = await postlane_command("migrate", env=environment(data_dir))
    assert answer.code == 0, answer.err
    async with connected(data_dir) as connection:
        organization = await connection.fetchval(
            "INSERT INTO organizations (id, slug, name) "
            "VALUES (gen_random_uuid(), 'acme', 'Acme') RETURNING id"
        )
        await connection.execute(
            "INSERT INTO domains (id, organization_id, name, status, return_path_domain) "
            "VALUES ($1, $2, 'acme.example', 'verified', 'rp.acme.example')",
            domain_id,
            organization,
        )
        await connection.execute(
            "INSERT INTO dkim_keys "
            "(id, domain_id, selector, algorithm, state, private_key, public_value) "
            "VALUES (gen_random_uuid(), $1, 'pmta', 'rsa-2048', 'active', $2, $3)",
            domain_id,
            seal(key.private_pem, purpose="dkim"),
            key.public_value,
        )
    return data_dir


@pytest.fixture(scope="module")
async def archive(installation: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "monday.tar"
    answer = await backup(path, installation)
    assert answer.code == 0, answer.err
    return path


async def backup(path: Path, data_dir: Path, **settings: str) -> Finished:
    """Make an archive with its secret key in it."""
    return await postlane_command(
        "backup", *passphrase(path), str(path), env=environment(data_dir, **settings)
    )


async def restore(path: Path, data_dir: Path, *arguments: str, **settings: str) -> Finished:
    """Put an archive back."""
    return await postlane_command(
        "restore", *passphrase(path), *arguments, str(path), env=environment(data_dir, **settings)
    )


def passphrase(path: Path, text: str = "eleven silver teapots") -> tuple[str, str]:
    """Return the arguments that tell the passphrase of an archive, from a file beside it."""
    file = path.parent / "passphrase"
    file.write_text(f"{text}\n")
    return "--passphrase-file", str(file)


async def another_installation(data_dir: Path) -> Path:
    """A data directory with an organization that the archive does not know."""
    ensure_secret(data_dir)
    answer = await postlane_command("migrate", env=environment(data_dir))
    assert answer.code == 0, answer.err
    async with connected(data_dir) as connection:
        await connection.execute(
            "INSERT INTO organizations (id, slug, name) "
            "VALUES (gen_random_uuid(), 'old', 'Old one')"
        )
    return data_dir


async def names_in(data_dir: Path) -> list[str]:
    async with connected(data_dir) as connection:
        rows = await connection.fetch("SELECT name FROM organizations ORDER BY name")
        return [row["name"] for row in rows]


async def test_a_restored_key_still_signs(
    archive: Path, tmp_path: Path, key: DkimKeyPair, domain_id: uuid.UUID
) -> None:
    restored = environment(tmp_path / "elsewhere")
    answer = await restore(archive, tmp_path / "elsewhere")
    assert answer.code == 0, answer.err

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SIGN,
        str(domain_id),
        env=restored,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    signed, _ = await process.communicate(MAIL)

    published = record_value(KeyAlgorithm.RSA_2048, key.public_value).encode()
    asked: list[bytes] = []

    def look_up(name: bytes, timeout: float = 5) -> bytes:
        asked.append(name)
        return published

    assert dkim.verify(signed, dnsfunc=look_up)
    assert asked == [b"pmta._domainkey.acme.example."]


async def test_a_backup_is_closed_to_other_users_and_says_that_the_key_is_not_in_it(
    installation: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tuesday.tar"

    answer = await postlane_command("backup", str(path), env=environment(installation))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "The secret key is not in it." in answer.out
    assert [each.name for each in tmp_path.iterdir()] == ["tuesday.tar"]


async def test_no_secret_key_is_in_a_backup_in_the_clear(
    archive: Path, installation: Path, tmp_path: Path, key: DkimKeyPair
) -> None:
    without = tmp_path / "without.tar"
    await postlane_command("backup", str(without), env=environment(installation))
    secret = os.environ["POSTLANE_SECRET_KEY"].encode()

    for path in (archive, without):
        with tarfile.open(path) as tar:
            parts = {name: read(tar, name) for name in tar.getnames()}
        assert all(secret not in part for part in parts.values())
        assert all(b"PRIVATE KEY" not in part for part in parts.values())
    assert sorted(parts) == ["database.dump", "manifest.json"]


async def test_a_wrong_passphrase_restores_nothing(archive: Path, tmp_path: Path) -> None:
    env = environment(tmp_path / "var")
    elsewhere = tmp_path / "monday.tar"
    wrong = passphrase(elsewhere, "twelve golden kettles")

    refused = await postlane_command("restore", *wrong, str(archive), env=env)
    unasked = await postlane_command("restore", str(archive), env=env)
    short = await postlane_command(
        "backup", *passphrase(elsewhere, "short"), str(elsewhere), env=env
    )

    assert (refused.code, unasked.code, short.code) == (1, 1, 1)
    assert "The passphrase does not open the backup's secret key." in refused.err
    assert "say with --passphrase-file what opens it" in unasked.err
    assert "has fewer than 16 characters" in short.err
    assert not (tmp_path / "var" / "postgres").exists()
    assert not elsewhere.exists()


async def test_a_backup_without_its_key_needs_the_key_that_was_in_use(
    installation: Path, tmp_path: Path
) -> None:
    path, secret = tmp_path / "without.tar", (installation / "secret_key").read_text()
    await postlane_command("backup", str(path), env=environment(installation))
    target = tmp_path / "var"
    env = environment(target)

    refused = await postlane_command("restore", str(path), env=env)
    (target / "secret_key").write_text(secret)
    restored = await postlane_command("restore", str(path), env=env)

    assert refused.code == 1
    assert "was made without its secret key" in refused.err
    assert restored.code == 0, restored.err
    assert await names_in(target) == ["Acme"]


async def test_a_backup_of_the_first_format_is_read(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as tar:
        manifest = json.loads(read(tar, "manifest.json")) | {"format": 1}
        dump = read(tar, "database.dump")
    del manifest["secret_key"]
    old, secret = tmp_path / "old.tar", os.environ["POSTLANE_SECRET_KEY"]
    write(old, manifest, dump=dump, secret=secret.encode(), name="secret_key")

    answer = await restore(old, tmp_path / "var")

    assert answer.code == 0, answer.err
    assert (tmp_path / "var" / "secret_key").read_text().strip() == secret


async def test_a_backup_never_replaces_a_file(installation: Path, tmp_path: Path) -> None:
    path = tmp_path / "precious.tar"
    path.write_text("something else")

    answer = await postlane_command("backup", str(path), env=environment(installation))

    assert answer.code == 1
    assert f"{path} exists already. Choose another name." in answer.err
    assert path.read_text() == "something else"


async def test_a_database_that_is_not_empty_is_left_alone(
    archive: Path, installation: Path
) -> None:
    answer = await restore(archive, installation)

    assert answer.code == 1
    assert "The database is not empty" in answer.err
    assert "--force" in answer.err
    assert await names_in(installation) == ["Acme"]


async def test_force_replaces_everything_and_can_be_backed_up_again(
    archive: Path, tmp_path: Path
) -> None:
    other = await another_installation(tmp_path / "other")

    forced = await restore(archive, other, "--force")
    again = await backup(tmp_path / "again.tar", other)
    restored = await restore(tmp_path / "again.tar", tmp_path / "third")

    assert (forced.code, again.code, restored.code) == (0, 0, 0), again.err + restored.err
    assert await names_in(other) == ["Acme"]
    assert await names_in(tmp_path / "third") == ["Acme"]


async def test_a_restore_that_fails_brings_back_what_was_there(
    archive: Path, tmp_path: Path
) -> None:
    other = await another_installation(tmp_path / "other")
    with tarfile.open(archive) as tar:
        secret = read(tar, WRAPPED)
        manifest = json.loads(read(tar, "manifest.json"))
        dump = read(tar, "database.dump")[:2000]
    bad = tmp_path / "bad.tar"
    write(bad, manifest, dump=dump, secret=secret)

    answer = await restore(bad, other, "--force")

    assert answer.code == 1
    assert "pg_restore failed" in answer.err
    assert await names_in(other) == ["Old one"]


async def test_another_secret_key_is_not_replaced_unasked(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("another secret key, long enough to be one\n")

    answer = await restore(archive, tmp_path)

    assert answer.code == 1
    assert "another secret key" in answer.err
    assert (tmp_path / "secret_key").read_text().startswith("another secret key, long")


async def test_a_secret_in_the_environment_that_does_not_fit_is_refused(
    archive: Path, tmp_path: Path
) -> None:
    answer = await restore(archive, tmp_path, secret_key="x" * 40)

    assert answer.code == 1
    assert "POSTLANE_SECRET_KEY is set to another key than the backup's" in answer.err


async def test_a_running_postlane_is_not_restored_over(archive: Path, installation: Path) -> None:
    with claim(installation):
        answer = await restore(archive, installation, "--force")

    assert answer.code == 1
    assert f"Process {os.getpid()} is already using" in answer.err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sha256": {"database.dump": "0" * 64, WRAPPED: "0" * 64}}, "changed or damaged"),
        ({"sha256": {"../../evil": "0" * 64}}, "unknown part"),
        ({"sha256": {}}, "a part is missing"),
        ({"format": 9}, "it has format 9"),
        ({"migrations": ["2099-01-01T00:00:00:000000"]}, "made by a newer Postlane"),
        ({"surprise": 1}, "is not a backup that can be read"),
    ],
)
async def test_an_archive_that_is_not_ours_is_refused(
    archive: Path, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    with tarfile.open(archive) as tar:
        manifest = json.loads(read(tar, "manifest.json")) | change
        parts = {"dump": read(tar, "database.dump"), "secret": read(tar, WRAPPED)}
    bad = tmp_path / "bad.tar"
    write(bad, manifest, **parts, restamp=False)

    answer = await restore(bad, tmp_path / "var")

    assert answer.code == 1
    assert sentence in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "var" / "postgres").exists()


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\0" * 20480])
async def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.tar").write_bytes(content)

    answer = await postlane_command(
        "restore", str(tmp_path / "odd.tar"), env=environment(tmp_path / "var")
    )

    assert answer.code == 1
    assert "is not a backup that can be read" in answer.err
    assert "Traceback" not in answer.err


def read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


def write(
    path: Path,
    manifest: dict[str, object],
    *,
    dump: bytes,
    secret: bytes,
    restamp: bool = True,
    name: str = WRAPPED,
) -> None:
    """Write an archive by hand; with *restamp* its checksums fit."""
    from hashlib import sha256

    if restamp:
        sums = {"database.dump": dump, name: secret}
        manifest["sha256"] = {part: sha256(octets).hexdigest() for part, octets in sums.items()}
    with tarfile.open(path, "w") as tar:
        for part, octets in {
            "manifest.json": json.dumps(manifest).encode(),
            "database.dump": dump,
            name: secret,
        }.items():
            info = tarfile.TarInfo(part)
            info.size = len(octets)
            tar.addfile(info, io.BytesIO(octets))
