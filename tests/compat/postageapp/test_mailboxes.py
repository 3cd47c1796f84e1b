"""Mailboxes, by the account's key."""

from typing import Any

import pytest

from postlane.core.database import fetch
from tests.client import Client

from .world import Shop, make_shop

BOX = {
    "host": "imap.example.com",
    "username": "ada",
    "password": "secret",
    "postback_url": "https://program.example/mail",
}


async def call(shop: Shop, method: str, /, **arguments: Any) -> Any:
    data = await shop.data(f"{method}_mailbox", arguments, key=shop.account_key)
    return data["mailbox"]


async def refused(shop: Shop, method: str, /, **arguments: Any) -> tuple[int, str]:
    status, word, _ = await shop.refused(f"{method}_mailbox", arguments, key=shop.account_key)
    return status, word


async def test_a_mailbox_without_a_uid_gets_one(shop: Shop) -> None:
    made = await call(shop, "create", **BOX, port="143", tls="false")

    assert len(made["uid"]) == 36
    assert (made["port"], made["tls"], made["label"]) == (143, False, None)
    assert "password" not in made
    rows = await fetch(
        "SELECT format, sealed_password FROM ingress_mailboxes WHERE organization_id = {}",
        shop.organization.id,
    )
    assert rows[0]["format"] == "postageapp"
    assert b"secret" not in rows[0]["sealed_password"]


async def test_a_mailbox_is_changed_by_uid_or_by_id(shop: Shop) -> None:
    made = await call(shop, "create", **BOX, uid="a")

    by_uid = await call(shop, "update", uid="a", label="B", port=1430, password="p")
    host = {"host": "IMAP2.example.com", "password": "p"}
    by_id = await call(shop, "update", id=str(made["id"]), uid="new", **host)

    assert (by_uid["id"], by_uid["label"], by_uid["port"]) == (made["id"], "B", 1430)
    assert (by_id["uid"], by_id["label"], by_id["host"]) == ("new", "B", "imap2.example.com")
    assert "postback_secret" not in by_id
    assert await refused(shop, "update", uid="a", label="C") == (404, "not_found")
    assert (await call(shop, "delete", id=made["id"], uid="whatever"))["uid"] == "new"
    assert await refused(shop, "delete", uid="new") == (404, "not_found")


@pytest.mark.parametrize(
    "change", [{"host": "imap.evil.example"}, {"port": 1}, {"username": "eve"}, {"tls": False}]
)
async def test_another_server_needs_the_password_again(shop: Shop, change: dict[str, Any]) -> None:
    await call(shop, "create", **BOX, uid="a")

    answer = await shop.refused("update_mailbox", {"uid": "a", **change}, key=shop.account_key)

    assert answer == (412, "precondition_failed", "The argument 'password' is required.")


@pytest.mark.parametrize("name", sorted(BOX))
async def test_what_it_needs_is_told(shop: Shop, name: str) -> None:
    given = {each: value for each, value in BOX.items() if each != name}

    answer = await shop.refused("create_mailbox", given, key=shop.account_key)

    assert answer == (412, "precondition_failed", f"The argument '{name}' is required.")


@pytest.mark.parametrize(
    ("method", "arguments", "told"),
    [
        ("create", {**BOX, "port": [1]}, (406, "call_error")),
        ("create", {**BOX, "port": 10**12}, (412, "precondition_failed")),
        ("create", {**BOX, "tls": "maybe"}, (406, "call_error")),
        ("create", {**BOX, "host": {"a": 1}}, (406, "call_error")),
        ("create", {**BOX, "host": "a b"}, (412, "precondition_failed")),
        ("create", {**BOX, "postback_url": "http://127.0.0.1/"}, (412, "precondition_failed")),
        ("create", {**BOX, "username": "a\r\nb"}, (412, "precondition_failed")),
        ("create", {**BOX, "uid": "x" * 256}, (412, "precondition_failed")),
        ("update", {"label": "y"}, (412, "precondition_failed")),
        ("update", {"uid": "nobody", "label": "y"}, (404, "not_found")),
        ("update", {"id": "abc"}, (404, "not_found")),
        ("delete", {}, (412, "precondition_failed")),
    ],
)
async def test_what_cannot_be_done_to_a_mailbox_is_told(
    shop: Shop, method: str, arguments: dict[str, Any], told: tuple[int, str]
) -> None:
    assert await refused(shop, method, **arguments) == told
    rows = await fetch(
        "SELECT FROM ingress_mailboxes WHERE organization_id = {}", shop.organization.id
    )
    assert rows == []


async def test_a_uid_is_taken_once(shop: Shop) -> None:
    await call(shop, "create", **BOX, uid="a")
    other = await call(shop, "create", **BOX, uid="b")

    assert await refused(shop, "create", **BOX, uid="a") == (412, "precondition_failed")
    assert await refused(shop, "update", id=other["id"], uid="a") == (412, "precondition_failed")


async def test_another_accounts_mailbox_is_not_there(client: Client, shop: Shop) -> None:
    made = await call(shop, "create", **BOX, uid="a")
    other = await make_shop(client)

    for method in ("update", "delete"):
        assert await refused(other, method, uid="a", label="x") == (404, "not_found")
        assert await refused(other, method, id=made["id"], label="x") == (404, "not_found")
    assert (await other.data("list_mailboxes", key=other.account_key))["mailboxes"] == []
