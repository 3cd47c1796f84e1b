"""What Piccolo's columns cannot say of 0460: the indexes by which requests are listed.

An organization's requests are walked in the order of (organization_id, id); what is filtered by
stands before it, so that each filter has a walk of its own.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-29T12:00:00:000461"
VERSION = "1.38.0"
DESCRIPTION = "Index requests with API keys."

STATEMENTS = (
    "CREATE INDEX api_requests_organization ON api_requests (organization_id, id)",
    "CREATE INDEX api_requests_key ON api_requests (api_key_id, organization_id, id)",
    "CREATE INDEX api_requests_api ON api_requests (api, organization_id, id)",
    "CREATE INDEX api_requests_user ON api_requests (user_id, organization_id, id)",
    "CREATE INDEX api_requests_project ON api_requests (project_id, organization_id, id) "
    "WHERE project_id IS NOT NULL",
    "CREATE INDEX api_requests_trouble ON api_requests (outcome, organization_id, id) "
    "WHERE outcome <> 'succeeded'",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
