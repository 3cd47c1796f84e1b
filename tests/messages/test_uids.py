"""Uids: whether one is taken is found at once, however little the planner knows."""

from postlane.core.database import fetch as run
from postlane.core.tenants import acting_for
from postlane.messages.operations.uids import TAKEN, is_taken
from tests.factories import default_project, make_organization
from tests.long_log import make_long_log

COUNT = 3000


async def test_a_project_that_has_just_begun_to_use_uids_is_not_walked_through(wall: None) -> None:
    organization = await make_organization()
    project = await default_project(organization)
    await make_long_log(organization.id, project.id, count=COUNT)
    # As before anybody has looked at the table.
    await run("DELETE FROM pg_statistic WHERE starelid = 'messages'::regclass")
    await run("UPDATE messages SET uid = md5(number::text) WHERE project_id = {}", project.id)
    [row] = await run("SELECT uid FROM messages WHERE project_id = {} LIMIT 1", project.id)

    with acting_for([organization.id]):
        plan = await run("EXPLAIN (ANALYZE) " + TAKEN, [project.id] * 2, [row["uid"], "none"])
        lines = [line for each in plan for line in each.values()]
        taken = [await is_taken(project.id, uid) for uid in (row["uid"], "none", "", "v")]

    assert taken == [True, False, False, False]
    scans = [line for line in lines if "Scan" in line and " on messages" in line]
    assert len(scans) == 1
    assert "messages_uid" in scans[0]
    assert not any("Rows Removed" in line and int(line.split()[-1]) > 2 for line in lines), lines
