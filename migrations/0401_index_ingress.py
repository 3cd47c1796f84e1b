"""What Piccolo's columns cannot say of 0400: the indexes that find what is due."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000401"
VERSION = "1.38.0"
DESCRIPTION = "Index ingress mailboxes and what came into them."

STATEMENTS = (
    # It is a part of its mail, goes with it, and is the same tenant's.
    "ALTER TABLE ingress_contents ADD CONSTRAINT ingress_contents_mail FOREIGN KEY (id) "
    "REFERENCES ingress_mails (id) ON DELETE CASCADE",
    "CREATE UNIQUE INDEX ingress_mailboxes_number ON ingress_mailboxes (number)",
    "CREATE UNIQUE INDEX ingress_mailboxes_uid ON ingress_mailboxes (organization_id, uid)",
    "CREATE INDEX ingress_mailboxes_organization ON ingress_mailboxes (organization_id, id)",
    "CREATE INDEX ingress_mailboxes_due ON ingress_mailboxes (next_look_at) "
    "WHERE next_look_at IS NOT NULL",
    "CREATE INDEX ingress_mails_organization ON ingress_mails (organization_id, id)",
    "CREATE INDEX ingress_mails_mailbox ON ingress_mails (mailbox_id, id)",
    # Few rows: what waits to be posted, and of one mailbox how much that is.
    "CREATE INDEX ingress_mails_due ON ingress_mails (due_at) WHERE state = 'pending'",
    "CREATE INDEX ingress_mails_waiting ON ingress_mails (mailbox_id) WHERE state = 'pending'",
    "CREATE INDEX ingress_mails_age ON ingress_mails (created_at) WHERE state <> 'pending'",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
