"""Alerts: told once for each fall below the threshold, and again after there was more."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.core.actor import Actor, ActorKind, Permission, Role
from postlane.core.database import fetch
from postlane.credits.rules import AlertLevel, LotSource, level_of
from postlane.credits.work import look_at_alerts
from postlane.notices.rendering import texts
from postlane.notices.rules import Notice
from tests.client import Client
from tests.factories import make_actor, make_membership, make_organization, make_user

from .books import give, take

SET = """
    mutation ($input: SetCreditAlertInput!) { setCreditAlert(input: $input) { created
      alert { uuid type threshold unit channels recipients enabled state lastTriggeredAt } } }
"""
ALERTS = """
    query ($type: CreditType) { organization { credits { alerts(type: $type) {
      uuid type threshold unit state } } } }
"""
DELETE = """
    mutation ($input: DeleteCreditAlertInput!) { deleteCreditAlert(input: $input) { deletedUuid } }
"""


@pytest.fixture
async def organization(database: None) -> Organization:
    """An organization with a hundred credits."""
    made = await make_organization(plan="trial")
    await give(made.id, 100)
    return made


@pytest.fixture
async def owner(organization: Organization) -> Actor:
    return await make_actor(organization)


async def put(client: Client, actor: Actor, **values: Any) -> Any:
    body = {"input": {"type": "EMAIL", "threshold": 20} | values}
    return await client.graphql(SET, body, actor=actor)


async def events(actor: Actor) -> list[tuple[str, dict[str, Any]]]:
    rows = await fetch(
        "SELECT type, data FROM events WHERE organization_id = {} ORDER BY position",
        actor.organization_id,
    )
    return [(row["type"], json.loads(row["data"])) for row in rows]


async def mailed(actor: Actor) -> list[str]:
    rows = await fetch(
        "SELECT recipient FROM notices WHERE organization_id = {} AND notice = 'credits_low' "
        "ORDER BY recipient",
        actor.organization_id,
    )
    return [row["recipient"] for row in rows]


def refusal(answer: Any) -> tuple[str, list[tuple[str, str]]]:
    (error,) = answer["errors"]
    found = error["extensions"]
    return found["code"], [(each["field"], each["code"]) for each in found.get("details", ())]


async def test_an_alert_tells_once_and_again_after_a_refill(client: Client, owner: Actor) -> None:
    await put(client, owner, recipients=["ops@example.com"])
    who = owner.organization_id

    told = []
    for step in (lambda: take(who, 80), lambda: take(who, 1), lambda: take(who, 1)):
        await step()
        await look_at_alerts()
        told.append(len(await mailed(owner)))
    await give(who, 50)
    await look_at_alerts()
    await take(who, 50)
    await look_at_alerts()

    assert told == [0, 1, 1]
    assert await mailed(owner) == ["ops@example.com"] * 2
    assert await events(owner) == [
        ("credits.low", {"type": "email", "balance": 19, "threshold": 20, "unit": "absolute"}),
        ("credits.low", {"type": "email", "balance": 18, "threshold": 20, "unit": "absolute"}),
    ]


async def test_a_balance_that_is_low_already_is_told_at_once(client: Client, owner: Actor) -> None:
    await take(owner.organization_id, 95)
    await put(client, owner)

    await look_at_alerts()

    listed = await client.data(ALERTS, {}, actor=owner)
    assert [each["state"] for each in listed["organization"]["credits"]["alerts"]] == ["TRIGGERED"]
    assert [kind for kind, _ in await events(owner)] == ["credits.low"]


async def test_workers_that_look_at_the_same_time_tell_once(client: Client, owner: Actor) -> None:
    await take(owner.organization_id, 95)
    await put(client, owner, recipients=["ops@example.com"])

    await asyncio.gather(*(look_at_alerts() for _ in range(6)))
    await look_at_alerts()

    assert await mailed(owner) == ["ops@example.com"]
    assert len(await events(owner)) == 1


async def test_nothing_left_is_told_by_an_event_of_its_own(client: Client, owner: Actor) -> None:
    await put(client, owner, threshold=20, recipients=["ops@example.com"])
    await put(client, owner, threshold=0, recipients=["ops@example.com"])

    await take(owner.organization_id, 90)
    await look_at_alerts()
    await take(owner.organization_id, 10)
    await look_at_alerts()
    await look_at_alerts()

    assert [(kind, data["balance"]) for kind, data in await events(owner)] == [
        ("credits.low", 10),
        ("credits.depleted", 0),
    ]
    assert len(await mailed(owner)) == 2


async def test_percent_are_of_what_there_was_to_spend(client: Client, owner: Actor) -> None:
    await give(owner.organization_id, 100, source=LotSource.INCLUDED)
    await fetch(
        "UPDATE credit_lots SET starts_at = starts_at - interval '40 days' "
        "WHERE organization_id = {} AND source = 'purchase'",
        owner.organization_id,
    )
    # What is bought in the course of the period does not count: it is 10 % of 200.
    await give(owner.organization_id, 1000)
    await put(client, owner, threshold=10, unit="PERCENT")

    await take(owner.organization_id, 1180)
    await look_at_alerts()
    before = await events(owner)
    await take(owner.organization_id, 1)
    await look_at_alerts()

    assert before == []
    assert [(kind, data["balance"], data["unit"]) for kind, data in await events(owner)] == [
        ("credits.low", 19, "percent")
    ]


async def test_who_is_not_named_owns_the_place_or_its_bills(
    client: Client, owner: Actor, organization: Organization
) -> None:
    for role, name in ((Role.BILLING, "bills"), (Role.ADMIN, "admin")):
        user = await make_user(email=f"{name}-{organization.slug}@example.org")
        await make_membership(organization, user, role=role)
    gone = await make_user(email=f"gone-{organization.slug}@example.org", status="disabled")
    await make_membership(organization, gone)
    await put(client, owner)

    await take(organization.id, 99)
    await look_at_alerts()

    owners = await fetch("SELECT email FROM users WHERE id = {}", owner.user_id)
    assert await mailed(owner) == sorted(
        [owners[0]["email"], f"bills-{organization.slug}@example.org"]
    )


async def test_channels_and_the_switch_are_heeded(client: Client, owner: Actor) -> None:
    await put(client, owner, threshold=50, channels=["WEBHOOK"])
    await put(client, owner, threshold=40, channels=["EMAIL"], recipients=["ops@example.com"])
    await put(client, owner, threshold=30, enabled=False)

    await take(owner.organization_id, 99)
    await look_at_alerts()

    assert [data["threshold"] for _, data in await events(owner)] == [50]
    assert await mailed(owner) == ["ops@example.com"]

    await put(client, owner, threshold=30, channels=["WEBHOOK"])
    await look_at_alerts()
    assert [data["threshold"] for _, data in await events(owner)] == [50, 30]


async def test_an_unlimited_plan_is_never_told(client: Client) -> None:
    actor = await make_actor(await make_organization(plan="self_hosted"))
    await put(client, actor)

    await look_at_alerts()

    assert (await events(actor), await mailed(actor)) == ([], [])


async def test_setting_an_alert_twice_changes_it(client: Client, owner: Actor) -> None:
    first = (await put(client, owner))["data"]["setCreditAlert"]
    again = (await put(client, owner, recipients=["Ops <ops@Example.com>"]))["data"][
        "setCreditAlert"
    ]

    assert (first["created"], again["created"]) == (True, False)
    assert again["alert"] == {
        "uuid": first["alert"]["uuid"],
        "type": "EMAIL",
        "threshold": 20.0,
        "unit": "ABSOLUTE",
        "channels": ["EMAIL", "WEBHOOK"],
        "recipients": ["ops@example.com"],
        "enabled": True,
        "state": "ARMED",
        "lastTriggeredAt": None,
    }
    audit = await fetch(
        "SELECT action FROM audit_entries WHERE organization_id = {}", owner.organization_id
    )
    assert [row["action"] for row in audit] == ["credits.alert_set"] * 2


async def test_there_are_ten_alerts_of_a_type(client: Client, owner: Actor) -> None:
    answers = await asyncio.gather(*(put(client, owner, threshold=n) for n in range(12)))

    codes = [refusal(answer)[0] for answer in answers if "errors" in answer]
    assert codes == ["ALERT_LIMIT_REACHED"] * 2
    other = await put(client, owner, type="AV_SCAN")
    listed = await client.data(ALERTS, {"type": "EMAIL"}, actor=owner)
    thresholds = [each["threshold"] for each in listed["organization"]["credits"]["alerts"]]
    changed = await put(client, owner, threshold=thresholds[0], enabled=False)

    assert len(thresholds) == 10
    assert "errors" not in other
    assert changed["data"]["setCreditAlert"]["created"] is False


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"threshold": -1}, "threshold", "TOO_SMALL"),
        ({"threshold": 1.5}, "threshold", "INVALID_FORMAT"),
        ({"threshold": 1e18}, "threshold", "TOO_LARGE"),
        ({"threshold": 0, "unit": "PERCENT"}, "threshold", "TOO_SMALL"),
        ({"threshold": 100, "unit": "PERCENT"}, "threshold", "TOO_LARGE"),
        ({"threshold": 1.125, "unit": "PERCENT"}, "threshold", "INVALID_FORMAT"),
        ({"channels": []}, "channels", "TOO_SHORT"),
        ({"recipients": ["nobody"]}, "recipients[0]", "INVALID_EMAIL"),
        ({"recipients": ["a@example.com\r\nBcc: b@example.com"]}, "recipients[0]", "INVALID_EMAIL"),
        ({"recipients": ["a@example.com"] * 21}, "recipients", "TOO_MANY"),
    ],
)
async def test_an_alert_that_breaks_a_rule_is_not_set(
    client: Client, owner: Actor, values: dict[str, Any], field: str, code: str
) -> None:
    answer = await put(client, owner, **values)

    assert refusal(answer) == ("INVALID_INPUT", [(field, code)])
    listed = await client.data(ALERTS, {}, actor=owner)
    assert listed["organization"]["credits"]["alerts"] == []


async def test_a_strangers_alert_is_not_there(client: Client, owner: Actor) -> None:
    made = (await put(client, owner))["data"]["setCreditAlert"]["alert"]["uuid"]
    stranger = await make_actor()

    refused = await client.graphql(DELETE, {"input": {"id": made}}, actor=stranger)
    listed = await client.data(ALERTS, {}, actor=owner)
    deleted = await client.data(DELETE, {"input": {"id": made}}, actor=owner)
    gone = await client.graphql(DELETE, {"input": {"id": made}}, actor=owner)

    assert refusal(refused)[0] == "NOT_FOUND"
    assert [each["uuid"] for each in listed["organization"]["credits"]["alerts"]] == [made]
    assert deleted == {"deleteCreditAlert": {"deletedUuid": made}}
    assert refusal(gone)[0] == "NOT_FOUND"


async def test_who_lacks_role_or_scope_sets_no_alert(
    client: Client, organization: Organization
) -> None:
    developer = await make_actor(organization, role=Role.DEVELOPER)
    program = await make_actor(
        organization, kind=ActorKind.API_KEY, permissions=[Permission.CONSUME_CREDITS]
    )
    billing = await make_actor(organization, role=Role.BILLING)

    assert refusal(await put(client, developer))[0] == "INSUFFICIENT_ROLE"
    assert refusal(await put(client, program))[0] == "INSUFFICIENT_SCOPE"
    assert "errors" not in await put(client, billing)


@pytest.mark.parametrize(
    ("balance", "threshold", "of", "level"),
    [
        (20, 20, None, AlertLevel.ABOVE),
        (19, 20, None, AlertLevel.BELOW),
        (0, 20, None, AlertLevel.EMPTY),
        (1, 0, None, AlertLevel.ABOVE),
        (0, 0, None, AlertLevel.EMPTY),
        (20, 20, 100, AlertLevel.ABOVE),
        (19, 20, 100, AlertLevel.BELOW),
        (0, 20, 0, AlertLevel.ABOVE),
    ],
)
def test_a_balance_stands_somewhere(
    balance: int, threshold: int, of: int | None, level: AlertLevel
) -> None:
    assert level_of(balance, Decimal(threshold), of=of) is level


def test_the_mail_says_what_is_left() -> None:
    values = {"organization": "Acme", "type": "email", "balance": "19", "threshold": "20"}

    subject, text, _ = texts(Notice.CREDITS_LOW, values)
    empty, _, html = texts(Notice.CREDITS_LOW, values | {"balance": "0"})

    assert subject == "Acme has 19 credits left for email"
    assert "That is below 20, where an alert was set." in " ".join(text.split())
    assert empty == "Acme has no credits left for email"
    assert "What needs them is refused until there are more." in html


async def test_alerts_set_anew_again_and_again_mail_a_hundred_times_an_hour(
    client: Client, owner: Actor
) -> None:
    await take(owner.organization_id, 95)
    strangers = [f"stranger-{n}@example.net" for n in range(20)]

    for threshold in (20, 21, 22, 23, 24, 25):
        await put(client, owner, threshold=threshold, recipients=strangers)
        await look_at_alerts()

    assert len(await mailed(owner)) == 100
    assert [kind for kind, _ in await events(owner)] == ["credits.low"] * 6
