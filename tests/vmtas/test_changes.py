"""Making, changing, pausing, resuming and deleting vMTAs, and what of it is refused."""

from collections.abc import Iterator
from typing import Any

import pytest

from postlane.core.actor import Actor, Role
from postlane.core.database import fetch
from tests.billing.setup import settings_with
from tests.client import Client
from tests.factories import make_actor, make_organization

from .setup import INVENTORY, unused_address

CREATE = """mutation ($input: CreateVmtaInput!) { createVmta(input: $input) { vmta {
    uuid name ipAddress hostname pool weight status limits { maxConnections maxMessagesPerHour }
    ispLimits { isp domain maxConnections } warmup { enabled schedule status day } } } }"""
UPDATE = """mutation ($input: UpdateVmtaInput!) { updateVmta(input: $input) { vmta {
    name ipAddress pool description limits { maxConnections maxMessagesPerHour }
    ispLimits { domain } warmup { enabled schedule targetDailyVolume status day } } } }"""
PAUSE = """mutation ($input: PauseVmtaInput!) { pauseVmta(input: $input) {
    vmta { status pause { reason source reroute } } rerouted waiting inFlight } }"""
RESUME = """mutation ($input: ResumeVmtaInput!) { resumeVmta(input: $input) {
    vmta { status pause { reason } } } }"""
DELETE = """mutation ($input: DeleteVmtaInput!) { deleteVmta(input: $input) {
    deletedUuid reassigned cancelled } }"""


@pytest.fixture(autouse=True)
def inventory() -> Iterator[None]:
    """The deployment has addresses that nobody uses."""
    with settings_with(source_addresses=INVENTORY):
        yield


def wanted(**values: Any) -> dict[str, Any]:
    return {
        "name": "tx-1",
        "ipAddress": unused_address(),
        "hostname": "mta1.example.com",
        **values,
    }


async def make(client: Client, actor: Actor, **values: Any) -> dict[str, Any]:
    data = await client.data(CREATE, {"input": wanted(**values)}, actor=actor)
    made: dict[str, Any] = data["createVmta"]["vmta"]
    return made


async def details(client: Client, document: str, given: dict[str, Any], actor: Actor) -> Any:
    body = await client.graphql(document, {"input": given}, actor=actor)
    (error,) = body["errors"]
    extensions = error["extensions"]
    return extensions["code"], [(d["field"], d["code"]) for d in extensions["details"]]


async def count_vmtas(actor: Actor) -> int:
    rows = await fetch(
        "SELECT count(*) AS n FROM vmtas WHERE organization_id = {}", actor.organization_id
    )
    return int(rows[0]["n"])


async def test_a_vmta_is_made_with_a_new_pool(client: Client) -> None:
    actor = await make_actor()

    made = await make(
        client,
        actor,
        pool="bulk",
        weight=0,
        limits={"maxMessagesPerHour": 1000},
        ispLimits=[{"isp": "GOOGLE", "maxConnections": 5}, {"domain": "Bücher.example"}],
        warmup={"enabled": True},
    )

    assert made["limits"] == {"maxConnections": 100, "maxMessagesPerHour": 1000}
    assert [place["domain"] for place in made["ispLimits"]] == [None, "xn--bcher-kva.example"]
    assert made["warmup"] == {
        "enabled": True,
        "schedule": "STANDARD",
        "status": "ACTIVE",
        "day": 1,
    }
    pools = await fetch("SELECT name FROM pools WHERE organization_id = {}", actor.organization_id)
    assert "bulk" in [row["name"] for row in pools]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"name": "Upper"}, [("name", "INVALID_FORMAT")]),
        ({"name": "-x"}, [("name", "INVALID_FORMAT")]),
        ({"name": "01970000-0000-7000-8000-000000000601"}, [("name", "INVALID_FORMAT")]),
        ({"ipAddress": "300.1.1.1"}, [("ipAddress", "INVALID_IP")]),
        ({"ipAddress": "::ffff:192.0.2.1"}, [("ipAddress", "INVALID_IP")]),
        ({"ipAddress": "fe80::1%eth0"}, [("ipAddress", "INVALID_IP")]),
        ({"ipAddress": "198.51.100.7"}, [("ipAddress", "NOT_ALLOWED")]),
        ({"hostname": "localhost"}, [("hostname", "INVALID_DOMAIN")]),
        ({"hostname": "[192.0.2.1]"}, [("hostname", "INVALID_DOMAIN")]),
        ({"hostname": "a b.example"}, [("hostname", "INVALID_DOMAIN")]),
        ({"weight": -1}, [("weight", "TOO_SMALL")]),
        ({"weight": 1001}, [("weight", "TOO_LARGE")]),
        ({"pool": "Not A Pool"}, [("pool", "INVALID_FORMAT")]),
        ({"description": "x" * 201}, [("description", "TOO_LONG")]),
        ({"limits": {"maxConnections": 10_001}}, [("limits.maxConnections", "TOO_LARGE")]),
        ({"limits": {"maxMessagesPerDay": 0}}, [("limits.maxMessagesPerDay", "TOO_SMALL")]),
        ({"ispLimits": [{"maxConnections": 1}]}, [("ispLimits[0].isp", "REQUIRED")]),
        (
            {"ispLimits": [{"isp": "GOOGLE", "domain": "a.example"}]},
            [("ispLimits[0].isp", "MUTUALLY_EXCLUSIVE")],
        ),
        (
            {"ispLimits": [{"isp": "GOOGLE"}, {"isp": "GOOGLE"}]},
            [("ispLimits[1].isp", "DUPLICATE")],
        ),
        (
            {"ispLimits": [{"isp": "YAHOO", "maxMessagesPerHour": -1}]},
            [("ispLimits[0].maxMessagesPerHour", "TOO_SMALL")],
        ),
        (
            {"warmup": {"enabled": True, "targetDailyVolume": 99}},
            [("warmup.targetDailyVolume", "TOO_SMALL")],
        ),
        (
            {"warmup": {"enabled": True, "startDate": "2020-01-01"}},
            [("warmup.startDate", "IN_PAST")],
        ),
        (
            {"warmup": {"enabled": True, "startDate": "2999-01-01"}},
            [("warmup.startDate", "TOO_FAR_AHEAD")],
        ),
        (
            {"warmup": {"enabled": True, "schedule": "CUSTOM"}},
            [("warmup.custom", "REQUIRED")],
        ),
        (
            {
                "warmup": {
                    "enabled": True,
                    "schedule": "CUSTOM",
                    "custom": [{"day": 1, "dailyLimit": 9}, {"day": 1, "dailyLimit": 8}],
                }
            },
            [
                ("warmup.custom[1].day", "NOT_ALLOWED"),
                ("warmup.custom[1].dailyLimit", "NOT_ALLOWED"),
            ],
        ),
        ({"allowedDomains": ["nonsense"]}, [("allowedDomains[0]", "INVALID_DOMAIN")]),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_made(
    client: Client, values: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    actor = await make_actor()

    refused = await details(client, CREATE, wanted(**values), actor)

    assert refused == ("INVALID_INPUT", found)
    assert await count_vmtas(actor) == 0


async def test_name_and_address_are_taken_once(client: Client) -> None:
    actor, stranger = await make_actor(), await make_actor()
    made = await make(client, actor)

    again = await client.refusal(CREATE, {"input": wanted()}, actor=actor)
    theirs = wanted(ipAddress=made["ipAddress"])
    taken = await client.refusal(CREATE, {"input": theirs}, actor=stranger)

    assert (again, taken) == ("VMTA_EXISTS", "IP_IN_USE")
    assert await count_vmtas(stranger) == 0


async def test_a_plan_allows_so_many(client: Client) -> None:
    actor = await make_actor(await make_organization(plan="starter"))
    await make(client, actor)

    refused = await client.refusal(CREATE, {"input": wanted(name="tx-2")}, actor=actor)

    assert refused == "FEATURE_NOT_IN_PLAN"


async def test_a_loopback_address_is_not_ours_without_a_list(client: Client) -> None:
    actor = await make_actor()

    with settings_with(source_addresses=""):
        refused = await details(client, CREATE, wanted(ipAddress="127.0.0.1"), actor)
        absent = await details(client, CREATE, wanted(), actor)

    assert refused == absent == ("INVALID_INPUT", [("ipAddress", "NOT_ALLOWED")])


async def test_a_change_leaves_what_it_does_not_name(client: Client) -> None:
    actor = await make_actor()
    await make(
        client,
        actor,
        description="First",
        limits={"maxMessagesPerHour": 1000},
        ispLimits=[{"domain": "a.example", "maxConnections": 1}],
        warmup={"enabled": True},
    )

    given = {
        "vmta": {"name": "tx-1"},
        "description": None,
        "limits": {"maxConnections": 7},
        "warmup": {"targetDailyVolume": 5000},
    }
    changed = (await client.data(UPDATE, {"input": given}, actor=actor))["updateVmta"]["vmta"]

    assert changed["description"] is None
    assert changed["limits"] == {"maxConnections": 7, "maxMessagesPerHour": 1000}
    assert changed["ispLimits"] == [{"domain": "a.example"}]
    assert changed["warmup"] == {
        "enabled": True,
        "schedule": "STANDARD",
        "targetDailyVolume": 5000,
        "status": "ACTIVE",
        "day": 1,
    }


async def test_an_address_changes_only_while_paused_and_begins_a_new_warmup(
    client: Client,
) -> None:
    actor = await make_actor()
    made = await make(client, actor, warmup={"enabled": True})
    await fetch("UPDATE vmta_warmups SET day = 9 WHERE vmta_id = {}", made["uuid"])
    given = {"vmta": {"id": made["uuid"]}, "ipAddress": unused_address()}

    refused = await client.refusal(UPDATE, {"input": given}, actor=actor)
    await client.data(PAUSE, {"input": {"vmta": {"id": made["uuid"]}}}, actor=actor)
    changed = (await client.data(UPDATE, {"input": given}, actor=actor))["updateVmta"]["vmta"]

    assert refused == "VMTA_BUSY"
    assert changed["ipAddress"] == given["ipAddress"]
    assert changed["warmup"]["day"] == 1


async def test_a_warmup_that_has_begun_begins_again_only_when_asked(client: Client) -> None:
    actor = await make_actor()
    made = await make(client, actor, warmup={"enabled": True})
    await fetch("UPDATE vmta_warmups SET day = 9 WHERE vmta_id = {}", made["uuid"])
    ref = {"vmta": {"name": "tx-1"}}
    far = {**ref, "warmup": {"startDate": "2026-12-24"}}

    refused = await details(client, UPDATE, far, actor)
    twice = await client.data(UPDATE, {"input": {**ref, "warmup": {"enabled": True}}}, actor=actor)
    again = await client.data(UPDATE, {"input": {**ref, "warmup": {"restart": True}}}, actor=actor)

    assert refused == ("INVALID_INPUT", [("warmup.startDate", "NOT_ALLOWED")])
    assert twice["updateVmta"]["vmta"]["warmup"]["day"] == 9
    assert again["updateVmta"]["vmta"]["warmup"]["day"] == 1


async def test_pausing_twice_changes_the_reason_and_resuming_twice_does_nothing(
    client: Client,
) -> None:
    actor = await make_actor()
    await make(client, actor)
    ref = {"vmta": {"name": "tx-1"}}

    await client.data(PAUSE, {"input": {**ref, "reason": "First"}}, actor=actor)
    paused = await client.data(
        PAUSE, {"input": {**ref, "reason": "Second", "reroute": False}}, actor=actor
    )
    resumed = [await client.data(RESUME, {"input": ref}, actor=actor) for _ in range(2)]

    assert paused["pauseVmta"] == {
        "vmta": {
            "status": "PAUSED",
            "pause": {"reason": "Second", "source": "user", "reroute": False},
        },
        "rerouted": 0,
        "waiting": 0,
        "inFlight": 0,
    }
    assert resumed[0] == resumed[1] == {"resumeVmta": {"vmta": {"status": "ACTIVE", "pause": None}}}
    rows = await fetch(
        "SELECT type FROM events WHERE organization_id = {} ORDER BY position",
        actor.organization_id,
    )
    assert [row["type"] for row in rows] == ["vmta.paused", "vmta.resumed"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"reason": "x" * 201}, ("reason", "TOO_LONG")),
        ({"durationSeconds": 59}, ("durationSeconds", "TOO_SMALL")),
        ({"durationSeconds": 2_592_001}, ("durationSeconds", "TOO_LARGE")),
    ],
)
async def test_a_pause_keeps_to_its_bounds(
    client: Client, given: dict[str, Any], found: tuple[str, str]
) -> None:
    actor = await make_actor()
    await make(client, actor)

    refused = await details(client, PAUSE, {"vmta": {"name": "tx-1"}, **given}, actor)

    assert refused == ("INVALID_INPUT", [found])


async def test_what_an_auto_block_paused_is_resumed_by_nobody(client: Client) -> None:
    actor = await make_actor()
    made = await make(client, actor)
    await fetch(
        "UPDATE vmtas SET status = 'paused', pause_source = 'auto_block' WHERE id = {}",
        made["uuid"],
    )

    refused = await client.refusal(RESUME, {"input": {"vmta": {"name": "tx-1"}}}, actor=actor)

    assert refused == "AUTO_BLOCK_ACTIVE"


@pytest.mark.parametrize("document", [UPDATE, PAUSE, RESUME, DELETE])
async def test_the_shared_vmta_is_changed_by_nobody(client: Client, document: str) -> None:
    actor = await make_actor(role=Role.OWNER)

    refused = await client.refusal(document, {"input": {"vmta": {"name": "default"}}}, actor=actor)

    assert refused == "INSUFFICIENT_ROLE"


async def test_a_deleted_vmta_frees_its_name_and_its_address(client: Client) -> None:
    actor = await make_actor()
    made = await make(client, actor)

    deleted = await client.data(DELETE, {"input": {"vmta": {"name": "tx-1"}}}, actor=actor)
    again = await make(client, actor, ipAddress=made["ipAddress"])

    assert deleted["deleteVmta"] == {
        "deletedUuid": made["uuid"],
        "reassigned": 0,
        "cancelled": 0,
    }
    assert again["uuid"] != made["uuid"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"reassignTo": "tx-1"}, "NOT_ALLOWED"),
        ({"reassignTo": "absent"}, "NOT_FOUND"),
        ({"reassignTo": "default", "force": True}, "MUTUALLY_EXCLUSIVE"),
    ],
)
async def test_mail_goes_only_where_it_can(
    client: Client, given: dict[str, Any], code: str
) -> None:
    actor = await make_actor()
    await make(client, actor)

    refused = await details(client, DELETE, {"vmta": {"name": "tx-1"}, **given}, actor)

    assert refused == ("INVALID_INPUT", [("reassignTo", code)])
    assert await count_vmtas(actor) == 1
