"""The sums of the ledger by source, made once from what it holds, and keys of the new tables."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000122"
VERSION = "1.38.0"
DESCRIPTION = "Sum the ledger up by day and source; add keys of packages, alerts and references."

STATEMENTS = (
    "DROP INDEX credit_usage_slot",
    "DELETE FROM credit_usage",
    "INSERT INTO credit_usage "
    "(id, organization_id, type, day, source, slot, used, entries, amount, counted) "
    "SELECT gen_random_uuid(), organization_id, type, (created_at AT TIME ZONE 'UTC')::date, "
    "source, CASE WHEN from_account = 'used' THEN -1 ELSE 0 END, "
    "sum(CASE WHEN to_account = 'used' THEN amount WHEN from_account = 'used' THEN -amount "
    "ELSE 0 END), count(*), sum(amount), "
    "coalesce(sum(amount) FILTER (WHERE balance_after IS NOT NULL), 0) "
    "FROM credit_entries GROUP BY 2, 3, 4, 5, 6",
    "CREATE UNIQUE INDEX credit_usage_slot "
    "ON credit_usage (organization_id, type, day, source, slot)",
    # Few lines of the ledger add to a balance, and a list of those must not read the others.
    "CREATE INDEX credit_entries_gained ON credit_entries (organization_id, id) "
    "WHERE to_account = 'balance'",
    "CREATE INDEX credit_lots_ending ON credit_lots (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE UNIQUE INDEX credit_references_once "
    "ON credit_references (organization_id, type, reference)",
    "CREATE UNIQUE INDEX credit_alerts_once "
    "ON credit_alerts (organization_id, type, unit, threshold)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
