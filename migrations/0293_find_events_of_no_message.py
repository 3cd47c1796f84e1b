"""What Piccolo's columns cannot say of events: an index of the few that are about no message."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000293"
VERSION = "1.38.0"
DESCRIPTION = "Find events of no message by their organization."
OUTSIDE_A_TRANSACTION = True


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.indexes import build_index

        await build_index(
            "events_of_no_message", "ON events (organization_id, id) WHERE message_id IS NULL"
        )

    manager.add_raw(run)
    return manager
