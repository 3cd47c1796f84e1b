"""What is asked of sessions, resets, recovery codes and the audit log."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000113"
VERSION = "1.38.0"
DESCRIPTION = "Index sessions, password resets, recovery codes and the audit log."

STATEMENTS = (
    "CREATE INDEX notices_organization ON notices (organization_id, created_at)",
    "CREATE INDEX sessions_user ON sessions (user_id, id)",
    "CREATE INDEX sessions_expiry ON sessions (expires_at)",
    "CREATE INDEX password_resets_expiry ON password_resets (expires_at)",
    "CREATE INDEX recovery_codes_user ON recovery_codes (user_id)",
    # The log by what was done, and by whom: newest first within each.
    "CREATE INDEX audit_entries_action ON audit_entries (organization_id, action, id)",
    "CREATE INDEX audit_entries_user ON audit_entries (organization_id, user_id, id)",
    "CREATE INDEX audit_entries_target ON audit_entries (organization_id, target_id, id)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
