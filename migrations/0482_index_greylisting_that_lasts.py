"""What Piccolo's columns cannot say of 0481: rules look at what was put off too long just now."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-30T09:31:00:000482"
VERSION = "1.38.0"
DESCRIPTION = "Index greylisting that lasts too long."
OUTSIDE_A_TRANSACTION = True


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.indexes import build_index

        # Of most deliveries that were greylisted it is null, and the index small.
        await build_index(
            "greylisted_deliveries_outlasted",
            "ON greylisted_deliveries (outlasted_at) WHERE outlasted_at IS NOT NULL",
        )

    manager.add_raw(run)
    return manager
