"""The history of the database: forwards from nothing, then nothing left to do."""

from postlane.core.database import fetch
from postlane.server.migrate import migrate
from postlane.server.piccolo_app import APP_CONFIG


async def test_migrations_make_every_table(database: None) -> None:
    rows = await fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")

    made = {row["tablename"] for row in rows}
    assert {table._meta.tablename for table in APP_CONFIG.table_classes} <= made


async def test_migrating_twice_does_nothing_the_second_time(database: None) -> None:
    assert await migrate() == []
