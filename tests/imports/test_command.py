"""`postlane import postal` at the command line: what it says, and how it ends."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from postlane.core.database import fetch
from postlane.webhooks.postal_signing import PostalKey
from tests.server.commands import Finished, environment, postlane_command
from tests.workers import own_database

from .acme import a_key
from .installation import Installation, private_key

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Desk:
    """Somebody with a terminal, a dump and a signing key."""

    folder: Path
    url: str

    async def run(self, *arguments: str) -> Finished:
        env = environment(self.folder, database_url=self.url, secret_key="k" * 40)
        return await postlane_command("import", "postal", *arguments, env=env)

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)


@pytest.fixture
async def desk(database: None, database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with own_database(database_url) as url:
        yield Desk(tmp_path, url)


def installation() -> Installation:
    made = Installation()
    server = made.server(made.organization("acme", made.person("owner@acme.example")))
    made.credential(server, a_key())
    return made


async def kid(desk: Desk) -> str:
    env = environment(desk.folder, database_url=desk.url, secret_key="k" * 40)
    printed = await postlane_command("print-postal-key", env=env)
    return printed.out.splitlines()[0].removeprefix("kid:").strip()


async def test_the_report_is_for_people_or_for_programs(desk: Desk) -> None:
    dump = desk.write("postal.sql", installation().dump())

    people = await desk.run("--dry-run", dump)
    programs = await desk.run("--dry-run", "--json", dump)

    assert (people.code, programs.code) == (0, 0)
    assert people.out.splitlines()[:3] == [
        "This was a trial: nothing was changed.",
        "",
        "organizations   1 taken over",
    ]
    found = json.loads(programs.out)
    assert list(found) == ["dry_run", "counts", "findings"]
    assert found["dry_run"] is True
    assert found["counts"]["API key"] == {"taken over": 1}
    assert {"kind", "name", "outcome", "notes"} == set(found["findings"][0])
    assert await fetch("SELECT id FROM organizations") == []


async def test_what_is_refused_is_in_the_exit_code(desk: Desk) -> None:
    made = installation()
    made.credential(1, "short")
    dump = desk.write("postal.sql", made.dump())

    answer = await desk.run(dump)

    assert answer.code == 1
    assert answer.err == ""
    assert "API keys        1 taken over, 1 refused" in answer.out
    assert "a key has 12 to 64 letters and digits" in answer.out


async def test_postals_signing_key_signs_from_now_on(desk: Desk) -> None:
    dump = desk.write("postal.sql", installation().dump())
    pem = private_key(3, bits=2048)
    path = desk.write("signing.key", pem)

    first = await desk.run("--signing-key", path, dump)
    second = await desk.run("--signing-key", path, dump)

    assert "signing keys    1 taken over" in first.out
    assert "signing keys    1 taken over before" in second.out
    assert await kid(desk) == PostalKey(pem.encode()).id
    rows = await fetch("SELECT private_key FROM postal_signing_keys")
    assert b"PRIVATE KEY" not in bytes(rows[0]["private_key"])
    rows = await fetch("SELECT count(*) AS n FROM audit_entries WHERE action LIKE 'postal_sign%'")
    assert rows[0]["n"] == 1


async def test_another_signing_key_stays_unless_it_is_to_be_replaced(desk: Desk) -> None:
    dump = desk.write("postal.sql", installation().dump())
    pem = private_key(4, bits=2048)
    path = desk.write("signing.key", pem)
    before = await kid(desk)

    refused = await desk.run("--signing-key", path, dump)
    between = await kid(desk)
    trial = await desk.run("--signing-key", path, "--replace-signing-key", "--dry-run", dump)
    still = await kid(desk)
    replaced = await desk.run("--signing-key", path, "--replace-signing-key", dump)

    assert (refused.code, trial.code, replaced.code) == (1, 0, 0)
    assert "--replace-signing-key puts Postal's in its place" in refused.out
    assert before == between == still
    assert await kid(desk) == PostalKey(pem.encode()).id


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Say where Postal's data is: files that mysqldump wrote, or --url."),
        (("{dump}", "--url", "mysql://a@b/c"), "Say where Postal's data is"),
        (("{folder}/absent.sql",), "absent.sql cannot be read"),
        (("{letter}",), "is no dump of mysqldump or mariadb-dump."),
        (("--database", "shop", "{dump}"), "There is no organization of Postal's in it."),
        (("--signing-key", "{folder}/absent", "{dump}"), "absent cannot be read: No such file"),
        (("--signing-key", "{letter}", "{dump}"), "holds no RSA key"),
        (("--owner", "nobody@acme.example", "{dump}"), "Nobody has registered with nobody@acme"),
        (("--url", "mysql://a@b/c", "--password-file", "{folder}/no"), "no cannot be read"),
    ],
)
async def test_what_cannot_be_done_is_a_sentence(
    desk: Desk, arguments: tuple[str, ...], said: str
) -> None:
    places = {
        "folder": str(desk.folder),
        "dump": desk.write("postal.sql", installation().dump()),
        "letter": desk.write("letter.txt", "Dear Sir or Madam\n"),
    }

    answer = await desk.run(*(each.format(**places) for each in arguments))

    assert answer.code == 1
    assert answer.err.startswith("postlane: ")
    assert said in answer.err
    assert "Traceback" not in answer.err
    if "--signing-key" not in arguments or "{letter}" not in arguments:
        assert await fetch("SELECT id FROM organizations") == []
