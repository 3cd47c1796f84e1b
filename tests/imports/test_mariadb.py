"""A real MariaDB is read as it runs, and so is what its own mysqldump writes of it."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postlane.core.database import fetch
from tests.mariadb import MariaDb, mariadb
from tests.parts import MARIADB, needs
from tests.server.commands import Finished, environment, postlane_command
from tests.workers import own_database

from .acme import a_key
from .installation import Installation

pytestmark = [pytest.mark.slow, needs(MARIADB)]

TEXT = "Größe 📬 'quoted' \"twice\" \\ and\nlines"


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[MariaDb]:
    async with mariadb() as running:
        yield running


@pytest.fixture(scope="module")
def installation(server: MariaDb) -> Installation:
    """Two servers, one of whose own databases holds much raw mail."""
    made = Installation()
    owner = made.person("owner@acme.example", TEXT.replace("\n", " "))
    organization = made.organization("acme", owner, name="Größe 📬")
    for permalink in ("mail", "news"):
        one = made.server(organization, permalink)
        made.credential(one, a_key(), name=TEXT)
        made.domain(one, f"{permalink}.acme.example", dkim_identifier_string=permalink)
        made.webhook(one, f"https://hooks.acme.example/{permalink}", "MessageBounced")
        for nth in range(700):
            made.suppress(one, f"gone{nth}@{permalink}.example")
    raw = [{"id": nth, "data": TEXT * 20_000, "next": nth} for nth in range(1, 6)]
    made.servers[1]["raw-2026-11-28"] = raw
    server.run(made.statements())
    return made


async def imported(url: str, folder: Path, *arguments: str) -> Finished:
    env = environment(folder, database_url=url, secret_key="k" * 40)
    return await postlane_command("import", "postal", *arguments, "--json", env=env)


async def contents() -> list[dict[str, Any]]:
    """Return what was made, without ids and times."""
    found: list[dict[str, Any]] = []
    found += await fetch("SELECT slug, name FROM organizations ORDER BY slug")
    found += await fetch("SELECT email, name FROM users ORDER BY email")
    found += await fetch("SELECT slug, mode, allowed_domains FROM projects ORDER BY slug")
    found += await fetch(
        "SELECT name, scopes, prefix FROM api_keys k "
        "JOIN api_key_secrets s ON s.api_key_id = k.id ORDER BY prefix"
    )
    found += await fetch(
        "SELECT d.name, selector, public_value, state FROM domains d "
        "JOIN dkim_keys k ON k.domain_id = d.id ORDER BY d.name"
    )
    found += await fetch("SELECT url, events, format FROM webhooks ORDER BY url")
    found += await fetch("SELECT address, reason, expires_at FROM suppressions ORDER BY address")
    return found


WAYS: dict[str, tuple[str, ...]] = {
    "all": ("--all-databases",),
    "named": ("--databases", "postal", "postal-server-1", "postal-server-2"),
    "row by row": ("--all-databases", "--skip-extended-insert"),
    "names": ("--all-databases", "--complete-insert", "--no-create-info"),
    "hexadecimal": ("--all-databases", "--hex-blob", "--compact"),
}


async def test_every_way_of_reading_comes_to_the_same(
    database: None, database_url: str, server: MariaDb, installation: Installation, tmp_path: Path
) -> None:
    found: dict[str, list[dict[str, Any]]] = {}
    reports: dict[str, Any] = {}
    for name, options in WAYS.items():
        dump = tmp_path / f"{name}.sql"
        await asyncio.to_thread(server.dump, dump, *options)
        async with own_database(database_url) as url:
            answer = await imported(url, tmp_path, str(dump))
            assert answer.code == 0, answer.err + answer.out
            reports[name], found[name] = json.loads(answer.out), await contents()
    files = []
    for name in ("postal", "postal-server-1", "postal-server-2"):
        plain = tmp_path / f"{name}.sql"
        await asyncio.to_thread(server.dump, plain, name)
        files.append(tmp_path / f"{name}.sql.gz")
        files[-1].write_bytes(gzip.compress(plain.read_bytes()))
    async with own_database(database_url) as url:
        answer = await imported(url, tmp_path, *map(str, files))
        reports["files"], found["files"] = json.loads(answer.out), await contents()
    async with own_database(database_url) as url:
        secret = ("--password-file", str(server.password_file))
        answer = await imported(url, tmp_path, "--url", server.url, *secret)
        assert answer.code == 0, answer.err
        reports["running"], found["running"] = json.loads(answer.out), await contents()

    assert all(each == found["running"] for each in found.values())
    assert all(each == reports["running"] for each in reports.values())
    assert reports["running"]["counts"] == {
        "API key": {"taken over": 2},
        "domain": {"taken over": 2},
        "organization": {"taken over": 1},
        "project": {"taken over": 2},
        "suppression": {"taken over": 1_400},
        "user": {"taken over": 1},
        "webhook": {"taken over": 2},
    }
    names = [each["name"] for each in found["running"] if "slug" in each and "mode" not in each]
    assert names == ["Größe 📬"]


async def test_a_running_database_is_only_read(
    database: None, database_url: str, server: MariaDb, installation: Installation, tmp_path: Path
) -> None:
    before, after = tmp_path / "before.sql", tmp_path / "after.sql"
    await asyncio.to_thread(server.dump, before, "--all-databases", "--skip-dump-date")

    async with own_database(database_url) as url:
        answer = await imported(
            url, tmp_path, "--url", server.url, "--password-file", str(server.password_file)
        )

    assert answer.code == 0, answer.err
    await asyncio.to_thread(server.dump, after, "--all-databases", "--skip-dump-date")
    assert before.read_bytes() == after.read_bytes()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"password": "wrong"}, "Access denied for user"),
        ({"port": "1"}, "cannot be reached"),
        ({"database": "shop"}, "Unknown database 'shop'"),
        ({"scheme": "postgresql"}, "Write the database as mysql://user@host:3306/postal."),
    ],
    ids=["password", "port", "database", "scheme"],
)
async def test_a_database_that_lets_nobody_in_is_refused_in_a_sentence(
    database: None,
    database_url: str,
    server: MariaDb,
    tmp_path: Path,
    given: dict[str, str],
    said: str,
) -> None:
    secret = tmp_path / "password"
    secret.write_text(given.get("password", server.password_file.read_text()))
    url = server.url.replace(str(server.port), given.get("port", str(server.port)))
    url = url.removesuffix("postal") + given.get("database", "postal")
    url = url.replace("mysql", given.get("scheme", "mysql"))

    async with own_database(database_url) as own:
        answer = await imported(own, tmp_path, "--url", url, "--password-file", str(secret))

    assert answer.code == 1
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert secret.read_text().strip() not in answer.err
