"""What Piccolo's columns cannot say of values: which row has those of a delivery."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-29T19:30:00:000470"
VERSION = "1.38.0"
DESCRIPTION = "Find the row that a delivery's values are in."
OUTSIDE_A_TRANSACTION = True


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.indexes import build_index

        # For removing them with their content, too.
        await build_index("personal_values_first", "ON personal_values (content_id, delivery_id)")

    manager.add_raw(run)
    return manager
