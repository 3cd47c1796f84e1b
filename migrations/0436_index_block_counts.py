"""What Piccolo's columns cannot say of 0435: one count for a rule and an organization, and what was begun before."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-28T12:00:00:000436"
VERSION = "1.38.0"
DESCRIPTION = "Index counts of blocks."

STATEMENTS = (
    "CREATE UNIQUE INDEX auto_block_counts_once ON auto_block_counts "
    "(organization_id, rule_key) NULLS NOT DISTINCT",
    # What only was tried and has ended cannot be told from what counted; it is little.
    "INSERT INTO auto_block_counts (id, organization_id, rule_key, begun) "
    "SELECT gen_random_uuid(), organization_id, rule_key, count(*) FROM auto_blocks "
    "WHERE status <> 'dry_run' GROUP BY organization_id, rule_key",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
