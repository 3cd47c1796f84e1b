"""What can be read: receipts, transmissions, histories, sums, lists."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.jobs.outbound import Outbound
from postlane.suppressions.tables import Suppression
from tests.analytics.setup import roll_up_all
from tests.jobs.sending import drain_queue
from tests.sink import Sink

from .world import Shop

PLAIN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


async def send_all(shop: Shop, outbound: Outbound) -> None:
    rows = await fetch(
        "SELECT DISTINCT queue_id FROM deliveries WHERE organization_id = {}", shop.organization.id
    )
    for row in rows:
        await drain_queue(outbound, row["queue_id"])


async def test_a_transmission_says_how_it_went(shop: Shop, outbound: Outbound, sink: Sink) -> None:
    names = ("ok", "550-at-rcpt", "451-at-rcpt")
    id = await shop.send("u", [f"{name}@dest.example" for name in names])
    await send_all(shop, outbound)

    data = await shop.data("get_message_transmissions", {"uid": "u"})

    assert data["message"] == {"id": id}
    good, bad, later = (data["transmissions"][f"{name}@dest.example"] for name in names)
    assert (good["status"], bad["status"], later["status"]) == ("completed", "failed", "retry")
    assert (good["result_code"], bad["result_code"]) == ("SMTP_250", "SMTP_550")
    assert good["result_message"] == good["error_message"]
    assert good["failed_at"] is None
    assert PLAIN.fullmatch(bad["failed_at"])
    assert PLAIN.fullmatch(good["created_at"])
    assert later["result_code"] is later["result_message"] is later["failed_at"] is None
    assert list(good) == [
        "status",
        "created_at",
        "failed_at",
        "opened_at",
        "clicked_at",
        "result_code",
        "result_message",
        "error_message",
    ]


async def test_a_message_has_counts_and_one_word(
    shop: Shop, outbound: Outbound, sink: Sink
) -> None:
    await shop.send("good", ["ok@dest.example"])
    await shop.send("bad", ["ok@dest.example", "550-at-rcpt@dest.example"])
    await send_all(shop, outbound)
    await shop.send("waiting", ["ok@dest.example"])

    counts = {
        uid: (await shop.data("message_status", {"uid": uid}))["message_status"]
        for uid in ("good", "bad", "waiting")
    }
    words = {}
    for uid in counts:
        _, found = await shop.call("message_delivery_status", {"uid": uid})
        words[uid] = found["response"]["delivery_status"]
        assert found["response"]["uid"] == uid
        assert len(found["data"]["delivery_status"]) == sum(counts[uid].values())

    assert counts == {
        "good": {"completed": 1},
        "bad": {"completed": 1, "failed": 1},
        "waiting": {"queued": 1},
    }
    assert words == {"good": "completed", "bad": "failed", "waiting": "queued"}


async def test_each_transmission_has_an_id_of_its_own(shop: Shop) -> None:
    await shop.send("u", ["a@example.net", "b@example.net"])

    rows = (await shop.data("message_delivery_status", {"uid": "u"}))["delivery_status"]

    assert [row["recipient"] for row in rows] == ["a@example.net", "b@example.net"]
    assert all(row["unique_id"].endswith(f"@{shop.domain}") for row in rows)
    assert len({row["unique_id"] for row in rows}) == 2


@pytest.mark.parametrize(
    ("envelope", "arguments"),
    [
        ({"uid": "u"}, None),
        ({"uid": "random"}, {"uid": "u"}),
        ({}, {"uid": "u"}),
    ],
)
async def test_the_uid_among_the_arguments_is_looked_up_before_the_envelopes(
    shop: Shop, envelope: dict[str, Any], arguments: Any
) -> None:
    id = await shop.send("u")

    status, found = await shop.call("get_message_receipt", arguments, **envelope)

    assert status == 200
    assert found["response"] == {"status": "ok", "uid": "u"}
    assert found["data"]["message"]["id"] == id


@pytest.mark.parametrize("uid", ["strange UID", "", None, 12, "x" * 300, "\u0000"])
async def test_an_unknown_uid_is_not_found(shop: Shop, uid: Any) -> None:
    status, found = await shop.call("get_message_receipt", uid=uid)

    assert status == 404
    assert found == {"response": {"status": "not_found", "uid": uid}}


async def test_uids_are_listed_the_newest_first_by_numbered_pages(shop: Shop) -> None:
    for n in range(5):
        await shop.send(f"u{n}", [f"a{n}@example.net", f"b{n}@example.net"])

    asked = [{"page": page, "per_page": 2} for page in (1, 2, 3, 4)]
    pages = [list(await shop.data("get_messages", each)) for each in asked]
    row = (await shop.data("get_messages"))["u4"]

    assert pages == [["u4", "u3"], ["u2", "u1"], ["u0"], []]
    assert row["project_id"] == shop.project.number
    assert (row["transmissions_total"], row["transmissions_completed"]) == (2, 0)
    assert row["template"] is None
    assert ISO.fullmatch(row["created_at"])
    assert ISO.fullmatch(row["will_purge_at"])


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"page": "2", "per_page": "2"}, 1),
        ({"page": 0}, 3),
        ({"per_page": 100_000}, 3),
        ({"page": 10**9}, 0),
        ({"page": None}, 3),
    ],
)
async def test_odd_pages_are_pages(shop: Shop, arguments: dict[str, Any], found: int) -> None:
    for n in range(3):
        await shop.send(f"u{n}")

    assert len(await shop.data("get_messages", arguments)) == found


async def test_histories_go_by_days(shop: Shop) -> None:
    noon = datetime(2026, 5, 10, 12, tzinfo=UTC)
    for day in range(3):
        with clock.frozen(noon + timedelta(days=day)):
            await shop.send(f"day{day}", ["a@example.net", "b@example.net"])
    # Ids are made by the machine's clock, whatever the day is said to be.
    days = {"from": "2020-01-01", "to": "2099-12-31"}

    by_message = (await shop.data("messages_history", days))["messages_history"]
    by_recipient = (await shop.data("messages_history_detailed", days))["messages_history"]
    none = await shop.data("messages_history", {"from": "2020-01-01", "to": "2020-01-31"})

    assert [row["uid"] for row in by_message] == ["day0", "day1", "day2"]
    assert list(by_message[0]) == ["message_id", "uid", "status", "created_at"]
    assert by_message[0]["created_at"] == "2026-05-10 12:00:00"
    assert [row["recipient"] for row in by_recipient] == ["a@example.net", "b@example.net"] * 3
    assert list(by_recipient[0]) == [
        "unique_id",
        "message_id",
        "uid",
        "recipient",
        "status",
        "created_at",
    ]
    assert none == {"messages_history": []}


@pytest.mark.parametrize("day", ["yesterday", "2024-13-01", "2024-05-01T10:00:00Z"])
async def test_a_day_is_a_day(shop: Shop, day: str) -> None:
    refused = await shop.refused("messages_history", {"from": day})

    assert refused[:2] == (412, "precondition_failed")


async def test_metrics_compare_four_periods(shop: Shop, outbound: Outbound, sink: Sink) -> None:
    await shop.send("u", ["ok@dest.example", "550-at-rcpt@dest.example", "x@dest.example"])
    await send_all(shop, outbound)
    await roll_up_all()

    status, found = await shop.call("get_metrics")

    assert status == 200
    assert found["response"] == {"status": "ok", "uid": None, "message": "metrics"}
    metrics = found["data"]["metrics"]
    assert list(metrics) == ["hour", "date", "week", "month"]
    for period in metrics.values():
        assert set(period) == {
            "delivered",
            "opened",
            "failed",
            "rejected",
            "created",
            "queued",
            "clicked",
            "spammed",
        }
    month = metrics["month"]
    assert month["created"] == {
        "current_percent": 0.0,
        "previous_percent": 0.0,
        "diff_percent": 0.0,
        "current_value": 3,
        "previous_value": 0,
    }
    assert (month["delivered"]["current_value"], month["failed"]["current_value"]) == (2, 1)
    assert month["delivered"]["current_percent"] == pytest.approx(66.6667, abs=1e-3)


async def test_what_is_suppressed_is_listed_by_address(shop: Shop) -> None:
    assert await shop.data("get_suppression_list") == {}
    until = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)
    for address, reason, end in (
        ("hard@example.net", "hard_bounce", None),
        ("soft@example.net", "soft_bounce_cooling", until),
        ("spam@example.net", "complaint", None),
        ("out@example.net", "unsubscribe", None),
    ):
        await Suppression(
            id=new_id(),
            organization_id=shop.organization.id,
            address=address,
            address_key=address,
            reason=reason,
            description="No such user" if reason == "hard_bounce" else None,
            expires_at=end,
        ).save()

    data = await shop.data("get_suppression_list")

    assert data["hard@example.net"] == {
        "status": "rejected",
        "suppression_state": "hard_bounce",
        "blocked_until": "9999-12-31T23:59:59Z",
        "message": "No such user",
    }
    assert data["soft@example.net"] == {
        "status": "warning",
        "suppression_state": "soft_bounce",
        "blocked_until": "2099-01-02T03:04:05Z",
        "message": "",
    }
    assert data["spam@example.net"]["suppression_state"] == "spam_report"
    assert data["out@example.net"]["suppression_state"] == "opt_out"


async def test_recipients_have_a_score(shop: Shop, outbound: Outbound, sink: Sink) -> None:
    await shop.send(
        "u", ["ok@dest.example", "550-at-rcpt@dest.example", "452-at-data@dest.example"]
    )
    await send_all(shop, outbound)

    found = (await shop.data("get_recipients_list", {"uid": "u"}))["recipients"]

    good = found["ok@dest.example"]
    assert (good["status"], good["score"], good["hard_bounce_count"]) == ("good", 60, 0)
    assert good["message"]
    bad = found["550-at-rcpt@dest.example"]
    assert (bad["status"], bad["score"], bad["hard_bounce_count"]) == ("rejected", 0, 1)
    soft = found["452-at-data@dest.example"]
    assert (soft["status"], soft["soft_bounce_count"]) == ("warning", 1)
    assert all(type(each) is int for each in list(good.values())[1:-1])


async def test_account_and_project_say_who_they_are(shop: Shop) -> None:
    await shop.send("u", ["a@example.net", "b@example.net"])
    await roll_up_all()

    account = (await shop.data("get_account_info"))["account"]
    by_account = (await shop.data("get_account_info", key=shop.account_key))["account"]
    project = (await shop.data("get_project_info"))["project"]

    assert account["name"] == shop.organization.name
    assert account["url"] == f"http://postlane.test/o/{shop.organization.slug}"
    assert by_account["transmissions"] == {"today": 2, "this_month": 2, "overall": 2}
    assert project["name"] == "Test"
    assert project["transmissions"] == {"today": 2, "this_month": 2, "overall": 2}
    assert len(project["users"]) == 3
    assert all("@" in address and name for address, name in project["users"].items())
