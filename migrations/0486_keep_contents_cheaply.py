"""How what a message says is stored from now on; no row is touched. Decision 244 says why."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-30T21:00:00:000486"
VERSION = "1.38.0"
DESCRIPTION = "Keep contents cheaply."

STATEMENTS = (
    "ALTER TABLE contents SET (toast_tuple_target = 4080)",
    # A server may have been built without it; then its own way stays.
    "DO $$ BEGIN ALTER TABLE contents ALTER COLUMN body SET COMPRESSION lz4; "
    "EXCEPTION WHEN feature_not_supported THEN NULL; END $$",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
