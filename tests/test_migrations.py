"""The history of the database: forwards from nothing, then nothing left to do."""

from piccolo.apps.migrations.commands.new import AutoMigrationManager

from postlane.core.database import fetch
from postlane.server.migrate import migrate
from postlane.server.piccolo_app import APP_CONFIG


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
