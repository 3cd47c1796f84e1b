"""What stands in the column of 0483 at first: else all addresses were looked up at once."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-30T16:00:00:000484"
VERSION = "1.38.0"
DESCRIPTION = "Fill in the addresses of vMTAs that the blocklists are asked about."


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        await DB.run_ddl(
            "UPDATE blocklist_watches AS watch SET ip_address = vmtas.ip_address "
            "FROM vmtas WHERE vmtas.id = watch.id"
        )

    manager.add_raw(run)
    return manager
