"""Projects, by the account's key."""

from typing import Any

import pytest

from postlane.core.database import fetch
from tests.client import Client

from .world import Shop, make_shop


async def call(shop: Shop, method: str, /, **arguments: Any) -> Any:
    data = await shop.data(f"{method}_project", arguments, key=shop.account_key)
    return data["project"]


async def refused(shop: Shop, method: str, /, **arguments: Any) -> tuple[int, str]:
    status, word, _ = await shop.refused(f"{method}_project", arguments, key=shop.account_key)
    return status, word


async def test_a_project_is_made_with_a_key_that_sends(shop: Shop) -> None:
    made = await call(
        shop,
        "create",
        uid="Shop: 1",
        label="Shop",
        group="Examples",
        open_tracking=True,
        unsubscribe_header="true",
    )

    key = made.pop("api_key")
    number = made.pop("id")
    assert len(key) == 32
    assert type(number) is int
    assert made.pop("created_at").endswith("Z")
    assert made == {
        "uid": "Shop: 1",
        "label": "Shop",
        "group": "Examples",
        "open_tracking": True,
        "click_tracking": False,
        "unsubscribe_header": True,
        "url": f"http://postlane.test/o/{shop.organization.slug}/messages",
    }
    assert (await shop.data("get_project_info", key=key))["project"]["name"] == "Shop"
    status, _ = await shop.call("send_message", shop.message(), uid="u", key=key)
    assert status == 200
    rows = await fetch(
        "SELECT m.stream, m.track_opens, d.tracks FROM messages m "
        "JOIN deliveries d ON d.message_id = m.id WHERE m.organization_id = {}",
        shop.organization.id,
    )
    assert rows[0]["stream"] == "marketing"
    assert rows[0]["track_opens"] is True


async def test_flags_are_off_unless_they_are_asked_for(shop: Shop) -> None:
    made = await call(shop, "create", uid="a", label="A")

    assert (made["open_tracking"], made["click_tracking"]) == (False, False)
    assert (made["unsubscribe_header"], made["group"]) == (False, None)


async def test_a_project_is_changed_by_uid_or_by_id(shop: Shop) -> None:
    made = await call(shop, "create", uid="a", label="A", group="G")

    by_uid = await call(shop, "update", uid="a", label="B", click_tracking=1)
    by_id = await call(shop, "update", id=str(made["id"]), uid="new", open_tracking="yes")

    assert (by_uid["id"], by_uid["label"], by_uid["click_tracking"]) == (made["id"], "B", True)
    assert (by_uid["group"], by_uid["api_key"]) == ("G", None)
    assert (by_id["uid"], by_id["label"], by_id["open_tracking"]) == ("new", "B", True)
    assert await refused(shop, "update", uid="a", label="C") == (404, "not_found")


async def test_a_deleted_project_is_gone_and_so_is_its_key(shop: Shop) -> None:
    made = await call(shop, "create", uid="a", label="A")

    await call(shop, "delete", uid="a")

    assert await refused(shop, "delete", uid="a") == (404, "not_found")
    assert (await shop.refused("get_method_list", key=made["api_key"]))[0] == 401
    listed = await shop.data("list_projects", key=shop.account_key)
    assert "a" not in {row["uid"] for row in listed["projects"]}
    again = await call(shop, "create", uid="a", label="A")
    assert again["id"] != made["id"]


async def test_projects_are_listed_without_their_keys(shop: Shop) -> None:
    await call(shop, "create", uid="a", label="A")

    data = await shop.data("list_projects", key=shop.account_key)

    assert [row["label"] for row in data["projects"]] == ["Default", "Test", "A"]
    assert {row["api_key"] for row in data["projects"]} == {None}


@pytest.mark.parametrize(
    ("method", "arguments", "told"),
    [
        ("create", {"label": "x"}, (412, "precondition_failed")),
        ("create", {"uid": "x"}, (412, "precondition_failed")),
        ("create", {"uid": "x", "label": "y" * 200}, (412, "precondition_failed")),
        ("create", {"uid": "x" * 256, "label": "y"}, (412, "precondition_failed")),
        ("create", {"uid": "x", "label": "y", "open_tracking": "maybe"}, (406, "call_error")),
        ("create", {"uid": "x", "label": ["y"]}, (406, "call_error")),
        ("update", {"label": "y"}, (412, "precondition_failed")),
        ("update", {"uid": "nobody", "label": "y"}, (404, "not_found")),
        ("update", {"id": 10**15}, (404, "not_found")),
        ("update", {"id": "abc"}, (404, "not_found")),
        ("update", {"id": [1]}, (406, "call_error")),
        ("delete", {}, (412, "precondition_failed")),
        ("delete", {"id": -5}, (404, "not_found")),
    ],
)
async def test_what_cannot_be_done_to_a_project_is_told(
    shop: Shop, method: str, arguments: dict[str, Any], told: tuple[int, str]
) -> None:
    assert await refused(shop, method, **arguments) == told


async def test_a_uid_is_taken_once(shop: Shop) -> None:
    await call(shop, "create", uid="a", label="A")
    other = await call(shop, "create", uid="b", label="B")

    assert await refused(shop, "create", uid="a", label="C") == (412, "precondition_failed")
    assert await refused(shop, "update", id=other["id"], uid="a") == (412, "precondition_failed")


async def test_another_accounts_project_is_not_there(client: Client, shop: Shop) -> None:
    made = await call(shop, "create", uid="a", label="A")
    other = await make_shop(client)

    assert await refused(other, "update", uid="a", label="x") == (404, "not_found")
    assert await refused(other, "update", id=made["id"], label="x") == (404, "not_found")
    assert await refused(other, "delete", id=made["id"]) == (404, "not_found")


async def test_the_default_project_stays(shop: Shop) -> None:
    data = await shop.data("list_projects", key=shop.account_key)
    default = next(row for row in data["projects"] if row["label"] == "Default")

    assert await refused(shop, "delete", id=default["id"]) == (412, "precondition_failed")
