"""The history of the database: forwards from nothing, then nothing left to do."""

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest
from piccolo.apps.migrations.commands.new import AutoMigrationManager

from postlane.core.database import DB, fetch
from postlane.core.indexes import build_index
from postlane.server.history import migrations_folder
from postlane.server.migrate import migrate
from postlane.server.piccolo_app import APP_CONFIG
from tests.workers import own_database

LARGE = (
    "attempts",
    "audit_entries",
    "contents",
    "deliveries",
    "events",
    "messages",
    "personal_values",
    "spooled_messages",
)
"""Tables that a busy deployment has millions of rows in."""
IN_USE_SINCE = 293
"""Whoever runs a migration of this number or a later one has such tables."""
CREATED = re.compile(rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+\w+\s+ON\s+(?:{'|'.join(LARGE)})\b")
REWRITTEN = re.compile(rf"UPDATE\s+(?:{'|'.join(LARGE)})\b|RENAME|rename_(?:column|table)")
BEFORE = {"0301"}
"""Built beside the columns that they are of, before there was another way."""


async def test_migrations_make_every_table(database: None) -> None:
    rows = await fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")

    made = {row["tablename"] for row in rows}
    assert {table._meta.tablename for table in APP_CONFIG.table_classes} <= made


async def test_migrating_twice_does_nothing_the_second_time(database: None) -> None:
    assert await migrate() == []


async def test_nothing_is_left_to_generate() -> None:
    """A column that was changed without a migration would be found here."""
    statements = await AutoMigrationManager(auto_input="n").get_alter_statements(APP_CONFIG)

    assert [line for part in statements for line in part.statements] == []


LATE = [
    path
    for path in sorted(migrations_folder().glob("[0-9]*.py"))
    if int(path.name[:4]) >= IN_USE_SINCE
]


@pytest.mark.parametrize("path", LATE, ids=lambda path: path.stem)
def test_indexes_of_large_tables_are_built_beside_their_use(path: Path) -> None:
    """Within the migrations' transaction nobody could write meanwhile, and a minute ends it."""
    if path.name[:4] not in BEFORE:
        assert not CREATED.search(path.read_text("utf-8").replace('"', ""))


@pytest.mark.parametrize("path", LATE, ids=lambda path: path.stem)
def test_large_tables_are_not_rewritten_nor_names_taken_away(path: Path) -> None:
    """A minute ends it, and whoever still runs the version before asks for the names."""
    assert not REWRITTEN.search(path.read_text("utf-8").replace('"', ""))


async def test_an_index_that_was_cut_off_is_built_again(database: None) -> None:
    await fetch("CREATE TABLE indexed_later AS SELECT n % 2 AS n FROM generate_series(1, 4) AS n")
    try:
        # What is not unique leaves an index behind that holds nothing good.
        with pytest.raises(asyncpg.UniqueViolationError):
            await build_index("indexed_later_n", "UNIQUE ON indexed_later (n)")
        left = await validity("indexed_later_n")

        built = await build_index("indexed_later_n", "ON indexed_later (n)")
        again = await build_index("indexed_later_n", "ON indexed_later (n)")

        assert (left, built, again) == ([False], True, False)
        assert await validity("indexed_later_n") == [True]
    finally:
        await fetch("DROP TABLE indexed_later")


async def validity(name: str) -> list[bool]:
    rows = await fetch("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass({})", name)
    return [row["indisvalid"] for row in rows]


async def test_who_migrates_at_once_takes_turns_and_goes_on_where_it_was_left(
    database: None, database_url: str
) -> None:
    """An index is built while others wait for their turn, which must not wait for them."""
    async with own_database(database_url):
        await fetch("DROP INDEX events_of_no_message")
        await fetch("DELETE FROM migration WHERE name LIKE '%000293'")

        done = await asyncio.wait_for(asyncio.gather(*(migrate() for _ in range(3))), 60)

        assert sorted(done) == [[], [], ["0293_find_events_of_no_message"]]
        assert await validity("events_of_no_message") == [True]


async def test_the_index_of_tokens_goes_beside_its_use(database: None, database_url: str) -> None:
    """Whoever reads or writes deliveries waits for nobody, and it goes once they have ended."""
    async with own_database(database_url):
        await fetch("CREATE UNIQUE INDEX deliveries_token ON deliveries (token)")
        await fetch("DROP INDEX suppressions_erased")
        await fetch("DELETE FROM migration WHERE name SIMILAR TO '%00047[78]'")
        reader = await asyncpg.connect(DB.config["dsn"])
        reading = reader.transaction()
        await reading.start()
        await reader.execute("SELECT FROM deliveries")

        migrating = asyncio.create_task(migrate())
        seen = "SELECT FROM pg_stat_activity WHERE query LIKE 'DROP INDEX CONC%'"
        while not await fetch(seen):  # noqa: ASYNC110 it is the database that changes it
            await asyncio.sleep(0.01)
        await asyncio.wait_for(fetch("UPDATE deliveries SET reply = reply"), 10)
        await asyncio.wait_for(fetch("SELECT FROM deliveries"), 10)
        assert not migrating.done()
        await reading.rollback()
        await reader.close()

        assert await asyncio.wait_for(migrating, 60) == [
            "0477_drop_index_of_tokens",
            "0478_find_who_erased",
        ]
        assert await validity("deliveries_token") == []
        assert await validity("suppressions_erased") == [True]


async def test_values_of_before_stay_as_they_are(database: None, database_url: str) -> None:
    """However many there are: they are read in their form, until their contents go."""
    async with own_database(database_url):
        await fetch("DROP INDEX personal_values_first")
        await fetch("CREATE INDEX personal_values_content ON personal_values (content_id)")
        await fetch("DELETE FROM migration WHERE name SIMILAR TO '%00047[01]'")
        await fetch(
            "WITH content AS (INSERT INTO contents (id, organization_id, format, body, created_at) "
            "VALUES (gen_random_uuid(), gen_random_uuid(), 'template', '', now()) RETURNING id) "
            "INSERT INTO personal_values (delivery_id, content_id, body) "
            "SELECT gen_random_uuid(), id, decode('81a46e616d65a3416461', 'hex') "
            "FROM content, generate_series(1, 3)"
        )
        # Where each row lies and which transaction wrote it.
        asked = "SELECT ctid::text, xmin::text, delivery_id, body FROM personal_values"
        before = await fetch(asked)

        done = await migrate()

        assert done == ["0470_find_values_together", "0471_drop_index_of_contents"]
        assert await fetch(asked) == before
        assert len(before) == 3
        assert await validity("personal_values_first") == [True]
        assert await validity("personal_values_content") == []
