"""An organization wants one thing of a domain, and a domain has one policy."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000191"
VERSION = "1.38.0"
DESCRIPTION = "Let a domain have one requirement for an organization, and one policy."

STATEMENTS = (
    "CREATE UNIQUE INDEX tls_requirements_once ON tls_requirements (organization_id, domain)",
    "CREATE INDEX tls_requirements_organization ON tls_requirements (organization_id, id)",
    "ALTER TABLE tls_requirements ADD CONSTRAINT tls_requirements_organization "
    "FOREIGN KEY (organization_id) REFERENCES organizations (id) ON DELETE CASCADE",
    "ALTER TABLE tls_requirements ADD CONSTRAINT tls_requirements_tls "
    "CHECK (tls IN ('disabled', 'opportunistic', 'required', 'verified'))",
    "CREATE UNIQUE INDEX sts_policies_domain ON sts_policies (domain)",
    "CREATE INDEX sts_policies_expires ON sts_policies (expires_at)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
