"""What Piccolo's columns cannot say of 0300: keys over several columns, and partial indexes."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000301"
VERSION = "1.38.0"
DESCRIPTION = "Index templates and uids of messages."

STATEMENTS = (
    "CREATE UNIQUE INDEX templates_slug ON templates (organization_id, slug, project_id) "
    "NULLS NOT DISTINCT",
    "CREATE INDEX templates_organization ON templates (organization_id, id)",
    "CREATE UNIQUE INDEX template_versions_number ON template_versions (template_id, number)",
    "CREATE INDEX template_versions_layout ON template_versions (layout_id) "
    "WHERE layout_id IS NOT NULL",
    # For removing them with their content.
    "CREATE INDEX personal_values_content ON personal_values (content_id)",
    "CREATE UNIQUE INDEX messages_uid ON messages (project_id, uid) WHERE uid IS NOT NULL",
    # The newest messages with a uid, a page at a time.
    "CREATE INDEX messages_with_uid ON messages (project_id, id) WHERE uid IS NOT NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
