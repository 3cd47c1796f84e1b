"""What Piccolo's columns cannot say of deliveries: nobody looks for one by its token."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-30T09:00:00:000477"
VERSION = "1.38.0"
DESCRIPTION = "Drop an index that nobody looks at."
OUTSIDE_A_TRANSACTION = True


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.indexes import drop_index

        await drop_index("deliveries_token")

    manager.add_raw(run)
    return manager
