"""Uids: customers' names for messages, of which the first that comes has it."""

import uuid
from collections.abc import Sequence

from ...core.actor import ProjectId
from ...core.database import Tx, fetch
from ..errors import MessageUidTaken
from .submission import Outcome, Submission

# The first row from the uid on, which nothing but the index of uids finds at once. Asked for by
# equality, those of a project that has just begun to use them are all walked through: as long as
# the planner knows of none, every index of messages that have a uid promises it as much.
TAKEN = """
    SELECT asked.project_id, asked.uid
    FROM unnest({}::uuid[], {}::text[]) AS asked (project_id, uid)
    CROSS JOIN LATERAL (
        SELECT project_id, uid FROM messages
        WHERE uid IS NOT NULL AND (project_id, uid) >= (asked.project_id, asked.uid)
        ORDER BY project_id, uid LIMIT 1
    ) AS found
    WHERE (found.project_id, found.uid) = (asked.project_id, asked.uid)
"""


async def is_taken(project_id: ProjectId, uid: str) -> bool:
    """Say whether a message of the project has *uid*."""
    return bool(await fetch(TAKEN, [project_id], [uid]))


async def claim_uids(
    tx: Tx, submissions: Sequence[Submission], outcomes: dict[int, Outcome | BaseException]
) -> None:
    """Refuse what is to have a uid that another message has; nobody else takes one meanwhile."""
    asked: dict[tuple[uuid.UUID, str], list[int]] = {}
    for index, submission in enumerate(submissions):
        uid = submission.uid
        if index not in outcomes and uid is not None and submission.actor.project_id is not None:
            asked.setdefault((submission.actor.project_id, uid), []).append(index)
    if not asked:
        return
    projects, uids = [project for project, _ in asked], [uid for _, uid in asked]
    # Until the commit, in one order: whoever comes with the same uid sees this row then.
    await fetch(
        "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT "
        "hashtextextended(project || '/' || uid, 0) AS key "
        "FROM unnest({}::uuid[], {}::text[]) AS asked (project, uid) ORDER BY key) AS keys",
        projects,
        uids,
    )
    taken = {(row["project_id"], row["uid"]) for row in await fetch(TAKEN, projects, uids)}
    for key, indexes in asked.items():
        # Of those that came together the first has it.
        for index in indexes if key in taken else indexes[1:]:
            outcomes[index] = MessageUidTaken(key[1])
