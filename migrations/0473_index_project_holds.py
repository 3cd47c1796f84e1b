"""What Piccolo's columns cannot say of 0472: whose holds they are, and what is set aside."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-29T23:00:00:000473"
VERSION = "1.38.0"
DESCRIPTION = "Index project holds, and mail that is set aside."
OUTSIDE_A_TRANSACTION = True


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.indexes import build_index

        await build_index(
            "project_holds_organization", "ON project_holds (organization_id, project_id)"
        )
        await build_index("project_holds_block", "ON project_holds (block_id)")
        # Empty unless a project is held, so that it costs mail that is sent nothing.
        await build_index(
            "deliveries_set_aside",
            "ON deliveries (project_id, id) WHERE priority >= 2 AND due_at IS NOT NULL",
        )

    manager.add_raw(run)
    return manager
