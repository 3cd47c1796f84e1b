"""What is asked of passkeys and of identities at a provider."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000361"
VERSION = "1.38.0"
DESCRIPTION = "Index passkeys, spent challenges and identities at a provider."

STATEMENTS = (
    "CREATE INDEX passkeys_user ON passkeys (user_id, id)",
    "CREATE INDEX spent_challenges_expiry ON spent_challenges (expires_at)",
    "CREATE UNIQUE INDEX provider_identities_subject ON provider_identities (issuer, subject)",
    "CREATE INDEX provider_identities_user ON provider_identities (user_id, id)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
