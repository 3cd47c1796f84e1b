"""Reading the audit log: by whom, of what, page by page, and only one's own."""

from typing import Any

from postlane.audit import operations
from postlane.core.actor import Actor, Role
from postlane.core.database import transaction
from postlane.core.ids import new_id
from tests.client import Client
from tests.factories import make_actor, make_organization

LOG = """
query ($filter: AuditFilterInput, $first: Int, $after: String) {
  organization {
    auditLog(filter: $filter, first: $first, after: $after) {
      nodes { action actorKind user { uuid } targetType targetId changes sourceAddress requestId }
      pageInfo { endCursor hasNextPage }
    }
  }
}
"""


async def log(actor: Actor, action: str, target: str = "t") -> None:
    """Write an entry."""
    async with transaction() as tx:
        await operations.record(
            tx,
            actor,
            action=action,
            target_type="thing",
            target_id=target,
            changes={"state": {"from": None, "to": "new"}},
        )


async def read(client: Client, actor: Actor, **variables: Any) -> Any:
    """Return a page of the log."""
    data = await client.data(LOG, variables, actor=actor)
    return data["organization"]["auditLog"]


async def test_entry_says_who_did_what(client: Client) -> None:
    actor = await make_actor(role=Role.ADMIN, source_address="192.0.2.7", request_id="r-1")
    await log(actor, "thing.made", "7")

    page = await read(client, actor)

    assert page["nodes"] == [
        {
            "action": "thing.made",
            "actorKind": "USER",
            "user": {"uuid": str(actor.user_id)},
            "targetType": "thing",
            "targetId": "7",
            "changes": {"state": {"from": None, "to": "new"}},
            "sourceAddress": "192.0.2.7",
            "requestId": "r-1",
        }
    ]


async def test_log_is_filtered_and_paged_newest_first(client: Client) -> None:
    organization = await make_organization()
    actor, other = await make_actor(organization), await make_actor(organization)
    for n in range(3):
        await log(actor, "thing.made", str(n))
    await log(other, "thing.made", "theirs")
    await log(actor, "thing.ended", "0")

    where = {"action": "thing.made", "userId": str(actor.user_id)}
    first = await read(client, actor, filter=where, first=2)
    rest = await read(client, actor, filter=where, first=2, after=first["pageInfo"]["endCursor"])

    assert [node["targetId"] for node in first["nodes"] + rest["nodes"]] == ["2", "1", "0"]
    assert rest["pageInfo"]["hasNextPage"] is False
    by_target = await read(client, actor, filter={"targetType": "thing", "targetId": "0"})
    assert [node["action"] for node in by_target["nodes"]] == ["thing.ended", "thing.made"]


async def test_cursor_of_another_filter_is_refused(client: Client) -> None:
    actor = await make_actor()
    await log(actor, "thing.made")
    cursor = (await read(client, actor))["pageInfo"]["endCursor"]

    code = await client.refusal(
        LOG, {"after": cursor, "filter": {"action": "thing.made"}}, actor=actor
    )

    assert code == "INVALID_CURSOR"


async def test_another_tenants_log_is_not_shown(client: Client) -> None:
    theirs = await make_actor()
    await log(theirs, "thing.made")

    assert (await read(client, await make_actor()))["nodes"] == []


async def test_developer_does_not_read_the_log(client: Client) -> None:
    assert await client.refusal(LOG, actor=await make_actor(role=Role.DEVELOPER)) == (
        "INSUFFICIENT_ROLE"
    )


async def test_entry_of_the_platform_has_no_person(client: Client) -> None:
    actor = await make_actor()
    async with transaction() as tx:
        await operations.record_for_platform(
            tx,
            organization_id=actor.organization_id,
            action="domain.suspended",
            target_type="domain",
            target_id=new_id(),
        )

    page = await read(client, actor)

    assert [(node["actorKind"], node["user"]) for node in page["nodes"]] == [("PLATFORM", None)]
