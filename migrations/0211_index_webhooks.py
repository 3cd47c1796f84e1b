"""What Piccolo's columns cannot say of 0210: keys, and the indexes that find what is due."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000211"
VERSION = "1.38.0"
DESCRIPTION = "Index webhooks, their calls, and what is counted of them."

STATEMENTS = (
    "CREATE INDEX webhooks_organization ON webhooks (organization_id, id)",
    "CREATE INDEX webhook_progress_due ON webhook_progress (next_due_at) "
    "WHERE next_due_at IS NOT NULL",
    # Each event once, and each replay of it: what makes fanning out safe to do twice.
    "CREATE UNIQUE INDEX webhook_calls_once ON webhook_calls (webhook_id, event_id, replay)",
    "CREATE INDEX webhook_calls_webhook ON webhook_calls (webhook_id, id)",
    "CREATE INDEX webhook_calls_due ON webhook_calls (webhook_id, due_at, number) "
    "WHERE state = 'pending'",
    "CREATE INDEX webhook_calls_in_order ON webhook_calls (webhook_id, number) "
    "WHERE state = 'pending'",
    "CREATE INDEX webhook_calls_dead ON webhook_calls (webhook_id, id) WHERE state = 'dead'",
    "CREATE UNIQUE INDEX webhook_hours_once ON webhook_hours (webhook_id, hour)",
    "CREATE INDEX webhook_hours_hour ON webhook_hours (hour)",
    "CREATE UNIQUE INDEX webhook_counts_once ON webhook_counts (organization_id, result)",
    "CREATE INDEX webhook_replays_webhook ON webhook_replays (webhook_id, id)",
    "CREATE INDEX webhook_replays_open ON webhook_replays (id) WHERE completed_at IS NULL",
    # Two small columns of it change with every call.
    "ALTER TABLE webhook_progress SET (fillfactor = 50)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
