"""What Piccolo's columns cannot say of 0170: the triggers that count, the indexes that find."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-21T12:00:00:000171"
VERSION = "1.38.0"
DESCRIPTION = "Count deliveries by queue as they change, and index what is due."

# One row for each queue that a statement changed, so that nobody waits for anybody: the rows
# are rolled up every second. Once for a statement, however many deliveries it changes. A
# statement that only renews leases writes nothing.
COUNTING = """
CREATE FUNCTION count_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO queue_changes (queue_id, scheduled, queued, sending, deferred, delivered,
            bounced, created_at)
        SELECT queue_id,
            count(*) FILTER (WHERE state = 'scheduled'),
            count(*) FILTER (WHERE state = 'queued'),
            count(*) FILTER (WHERE state = 'sending'),
            count(*) FILTER (WHERE state = 'deferred'), 0, 0, now()
        FROM fresh WHERE due_at IS NOT NULL GROUP BY queue_id;
    ELSE
        INSERT INTO queue_changes (queue_id, scheduled, queued, sending, deferred, delivered,
            bounced, created_at)
        SELECT queue_id, scheduled, queued, sending, deferred, delivered, bounced, now()
        FROM (
            SELECT queue_id,
                coalesce(sum(n) FILTER (WHERE state = 'scheduled' AND waits), 0) AS scheduled,
                coalesce(sum(n) FILTER (WHERE state = 'queued' AND waits), 0) AS queued,
                coalesce(sum(n) FILTER (WHERE state = 'sending' AND waits), 0) AS sending,
                coalesce(sum(n) FILTER (WHERE state = 'deferred' AND waits), 0) AS deferred,
                coalesce(sum(n) FILTER (WHERE state = 'delivered' AND ends), 0) AS delivered,
                coalesce(sum(n) FILTER (WHERE state = 'bounced' AND ends), 0) AS bounced,
                bool_or(waits AND state <> 'sending') AS moves
            FROM (
                SELECT queue_id, state, 1 AS n, due_at IS NOT NULL AS waits, false AS ends
                FROM fresh
                UNION ALL
                SELECT queue_id, state, -1, due_at IS NOT NULL, false FROM stale
                UNION ALL
                SELECT fresh.queue_id, fresh.state, 1, false, true
                FROM fresh JOIN stale USING (id)
                WHERE stale.due_at IS NOT NULL AND fresh.state IN ('delivered', 'bounced')
            ) AS changed
            GROUP BY queue_id
        ) AS sums
        WHERE moves OR scheduled <> 0 OR queued <> 0 OR sending <> 0 OR deferred <> 0
            OR delivered <> 0 OR bounced <> 0;
    END IF;
    RETURN NULL;
END $$
"""
UNCOUNTING = """
CREATE FUNCTION uncount_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO queue_changes (queue_id, scheduled, queued, sending, deferred, delivered,
        bounced, created_at)
    SELECT queue_id,
        -count(*) FILTER (WHERE state = 'scheduled'),
        -count(*) FILTER (WHERE state = 'queued'),
        -count(*) FILTER (WHERE state = 'sending'),
        -count(*) FILTER (WHERE state = 'deferred'), 0, 0, now()
    FROM stale WHERE due_at IS NOT NULL GROUP BY queue_id;
    RETURN NULL;
END $$
"""
BACKFILL = """
UPDATE queues SET
    scheduled = sums.scheduled, queued = sums.queued, sending = sums.sending,
    deferred = sums.deferred, depth = sums.queued + sums.sending + sums.deferred,
    oldest_message_at = sums.oldest, next_due_at = sums.next_due,
    emptied_at = CASE WHEN sums.queued + sums.sending + sums.deferred = 0 THEN now() END
FROM (
    SELECT queues.id,
        count(*) FILTER (WHERE deliveries.state = 'scheduled') AS scheduled,
        count(*) FILTER (WHERE deliveries.state = 'queued') AS queued,
        count(*) FILTER (WHERE deliveries.state = 'sending') AS sending,
        count(*) FILTER (WHERE deliveries.state = 'deferred') AS deferred,
        min(deliveries.created_at) FILTER (WHERE deliveries.state <> 'scheduled') AS oldest,
        min(deliveries.due_at) AS next_due
    FROM queues LEFT JOIN deliveries
        ON deliveries.queue_id = queues.id AND deliveries.due_at IS NOT NULL
    GROUP BY queues.id
) AS sums
WHERE sums.id = queues.id
"""
STATEMENTS = (
    COUNTING,
    UNCOUNTING,
    "CREATE TRIGGER count_new AFTER INSERT ON deliveries REFERENCING NEW TABLE AS fresh "
    "FOR EACH STATEMENT EXECUTE FUNCTION count_deliveries()",
    "CREATE TRIGGER count_changed AFTER UPDATE ON deliveries "
    "REFERENCING OLD TABLE AS stale NEW TABLE AS fresh "
    "FOR EACH STATEMENT EXECUTE FUNCTION count_deliveries()",
    "CREATE TRIGGER count_removed AFTER DELETE ON deliveries REFERENCING OLD TABLE AS stale "
    "FOR EACH STATEMENT EXECUTE FUNCTION uncount_deliveries()",
    # The oldest mail of a queue is its first entry.
    "CREATE INDEX deliveries_oldest ON deliveries (queue_id, id) "
    "WHERE due_at IS NOT NULL AND state <> 'scheduled'",
    BACKFILL,
    # Whose turn it is: the first due queue of each organization.
    "CREATE INDEX queues_due ON queues (organization_id, next_due_at) "
    "WHERE next_due_at IS NOT NULL AND state <> 'held'",
    "CREATE INDEX queues_depth ON queues (organization_id, depth, id)",
    "CREATE INDEX queues_held ON queues (held_until) WHERE state = 'held'",
    "CREATE INDEX queues_flushed ON queues (flushed_at) WHERE flushed_at IS NOT NULL",
    # The rows change every second and mostly in place: there has to be room on their page.
    "ALTER TABLE queues SET (fillfactor = 70)",
    "CREATE UNIQUE INDEX sending_activity_once ON sending_activity "
    "(organization_id, vmta_id, queue_id, started_at) NULLS NOT DISTINCT",
    "CREATE INDEX sending_activity_queue ON sending_activity (queue_id, started_at)",
    "CREATE INDEX sending_activity_age ON sending_activity (started_at)",
    "CREATE UNIQUE INDEX connection_leases_once ON connection_leases (scope_id, worker_id)",
    "CREATE INDEX connection_leases_end ON connection_leases (ends_at)",
    "CREATE UNIQUE INDEX queue_work_once ON queue_work (queue_id, worker_id)",
    # What workers say of the moment is nothing after a crash.
    "ALTER TABLE queue_work SET UNLOGGED",
    "CREATE INDEX vmta_limits_vmta ON vmta_limits (vmta_id)",
    "ALTER TABLE vmta_limits ADD CONSTRAINT one_place CHECK ((isp IS NULL) <> (domain IS NULL))",
    # Whether a domain has open mail, and which; what else is open is not looked at.
    "CREATE INDEX spooled_messages_open ON spooled_messages (domain_id, id) "
    "WHERE completed_at IS NULL",
    # Whose content it is, for removing it.
    "CREATE INDEX spooled_messages_content ON spooled_messages (content_id)",
    # Complaints of the last hour, of which there are few.
    "CREATE INDEX events_complaints ON events (organization_id, occurred_at) "
    "WHERE type = 'message.complained'",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="postlane", description=DESCRIPTION)

    async def run() -> None:
        from postlane.core.database import DB

        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run)
    return manager
