"""What Piccolo's columns cannot say of 0180: what is there once, and what is looked for."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000181"
VERSION = "1.38.0"
DESCRIPTION = "Keep what belongs to vMTAs once, and find what is due."

STATEMENTS = (
    "CREATE UNIQUE INDEX vmta_warmups_once ON vmta_warmups (vmta_id)",
    "CREATE INDEX vmta_warmups_day ON vmta_warmups (day_on) WHERE state <> 'completed'",
    "CREATE INDEX vmta_warmup_days_vmta ON vmta_warmup_days (vmta_id, ended_on)",
    # Workers only add rows, so that none waits for another; sums are made of them later.
    "CREATE UNIQUE INDEX vmta_activity_once ON vmta_activity (vmta_id, organization_id, hour_at) "
    "WHERE is_sum",
    "CREATE INDEX vmta_activity_new ON vmta_activity (vmta_id, organization_id) WHERE NOT is_sum",
    "CREATE INDEX vmta_activity_age ON vmta_activity (hour_at)",
    "CREATE INDEX past_vmtas_organization ON past_vmtas (organization_id, deleted_at)",
    "CREATE INDEX vmtas_address ON vmtas (ip_address) WHERE ip_address IS NOT NULL",
    "CREATE INDEX vmtas_check ON vmtas (next_check_at) WHERE next_check_at IS NOT NULL",
    "CREATE INDEX vmtas_paused ON vmtas (paused_until) WHERE status = 'paused'",
    # The queues of a vMTA, for moving what is in them.
    "CREATE INDEX queues_vmta ON queues (vmta_id)",
    "ALTER TABLE vmtas ADD CONSTRAINT vmtas_weight CHECK (weight BETWEEN 0 AND 1000)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
