"""Setting mail of held projects aside, and letting it go on, in steps that hold no lock for long.

A queue is shared by the projects of an organization. What is held would be met again by whoever
looks for due mail, so it goes to priorities of its own, where nobody looks: each delivery once,
when it is met, and back once, when its project is no longer held. Times stay as they are planned.
"""

import uuid

from ...core import clock
from ...core.database import fetch
from ..rules import SET_ASIDE

MET_AT_ONCE = 1_000
"""Due deliveries of each priority that are looked through for held ones."""

STEP = 5_000
"""Deliveries of a project that go on by one statement."""

SET_ASIDE_SQL = f"deliveries.priority >= {SET_ASIDE} AND deliveries.due_at IS NOT NULL"
"""As the index `deliveries_set_aside` says it."""


async def set_aside(queue_id: uuid.UUID) -> int:
    """Set aside what is held of the first due deliveries of a queue; return how many."""
    now = clock.now()
    rows = await fetch(
        """
        WITH held AS MATERIALIZED (
            SELECT project_id FROM project_holds
            WHERE organization_id = (SELECT organization_id FROM queues WHERE id = {})
        ), met AS (
            SELECT * FROM (SELECT id, project_id FROM deliveries
                WHERE queue_id = {} AND priority = 0 AND due_at <= {}
                ORDER BY due_at LIMIT {} FOR UPDATE SKIP LOCKED) AS transactional
            UNION ALL
            SELECT * FROM (SELECT id, project_id FROM deliveries
                WHERE queue_id = {} AND priority = 1 AND due_at <= {}
                ORDER BY due_at LIMIT {} FOR UPDATE SKIP LOCKED) AS marketing
        ), moved AS (
            -- The state stays: a worker whose lease ran out may still say what came of it.
            UPDATE deliveries SET priority = priority + {}
            WHERE id = ANY(ARRAY(
                SELECT id FROM met WHERE project_id IN (SELECT project_id FROM held)))
            RETURNING 1
        )
        SELECT count(*) AS n FROM moved
        """,
        queue_id,
        *(queue_id, now, MET_AT_ONCE),
        *(queue_id, now, MET_AT_ONCE),
        SET_ASIDE,
    )
    count: int = rows[0]["n"]
    return count


async def let_go_on(project_id: uuid.UUID) -> int:
    """Let some of what was set aside of a project go on, unless it is held; return how many.

    It goes behind what is due already, so that other projects are not sent last for it.
    """
    rows = await fetch(
        f"""
        WITH picked AS (
            SELECT id FROM deliveries WHERE project_id = {{}} AND {SET_ASIDE_SQL}
            AND NOT EXISTS (SELECT FROM project_holds WHERE project_id = {{}})
            ORDER BY id LIMIT {{}} FOR NO KEY UPDATE SKIP LOCKED
        ), moved AS (
            UPDATE deliveries SET priority = priority - {{}}, due_at = greatest(due_at, {{}})
            WHERE id = ANY(ARRAY(SELECT id FROM picked)) RETURNING 1
        )
        SELECT count(*) AS n FROM moved
        """,
        project_id,
        project_id,
        STEP,
        SET_ASIDE,
        clock.now(),
    )
    count: int = rows[0]["n"]
    return count


# From project to project through the index, however much of each is set aside.
_SET_ASIDE_PROJECTS = f"""
    WITH RECURSIVE aside AS (
        (SELECT project_id FROM deliveries WHERE {SET_ASIDE_SQL} ORDER BY project_id LIMIT 1)
        UNION ALL
        SELECT (SELECT project_id FROM deliveries
            WHERE {SET_ASIDE_SQL} AND deliveries.project_id > aside.project_id
            ORDER BY project_id LIMIT 1)
        FROM aside WHERE aside.project_id IS NOT NULL
    )
    SELECT project_id FROM aside WHERE project_id IS NOT NULL
"""
ANY_TO_GO_ON = f"""
    SELECT FROM ({_SET_ASIDE_PROJECTS}) AS aside
    WHERE NOT EXISTS (SELECT FROM project_holds WHERE project_id = aside.project_id)
"""


async def go_on_releasing() -> None:
    """Take the next step of every project whose mail is set aside and that nothing holds.

    Whoever set some aside in the moment that its hold ended is found here, too.
    """
    for row in await fetch(
        f"SELECT project_id FROM ({_SET_ASIDE_PROJECTS}) AS aside WHERE NOT EXISTS ("
        "SELECT FROM project_holds WHERE project_id = aside.project_id) LIMIT 100"
    ):
        await let_go_on(row["project_id"])
