"""What Piccolo's columns cannot say of values: one index does what two did."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-29T19:30:00:000471"
VERSION = "1.38.0"
DESCRIPTION = "Drop an index that another begins with."


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        await DB.run_ddl("DROP INDEX personal_values_content")

    manager.add_raw(run)
    return manager
