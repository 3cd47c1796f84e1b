"""What Piccolo's columns cannot say of suppressions: whether any is of somebody erased."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-30T09:00:00:000478"
VERSION = "1.38.0"
DESCRIPTION = "Find the organizations that have erased anybody."
OUTSIDE_A_TRANSACTION = True


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.indexes import build_index

        # As `suppressions.work` says it.
        await build_index(
            "suppressions_erased",
            "ON suppressions (organization_id) WHERE left(address_key, 1) = '#'",
        )

    manager.add_raw(run)
    return manager
