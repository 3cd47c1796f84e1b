"""Ingress mailboxes over REST."""

from typing import Any

import httpx
import pytest

from postlane.core.actor import Actor
from postlane.core.database import fetch
from tests.client import Client
from tests.factories import make_actor, make_ingress_mailbox
from tests.webhooks.receiver import Receiver


async def ask(
    client: Client, actor: Actor, method: str, path: str = "", body: Any = None
) -> httpx.Response:
    headers = client.as_actor(actor)
    return await client.request(
        method, f"/api/v1/ingress-mailboxes{path}", json=body, headers=headers
    )


async def test_a_mailbox_is_made_changed_looked_into_and_deleted(
    client: Client, receiver: Receiver
) -> None:
    actor = await make_actor()
    account = {"host": "imap.example.com", "username": "ada", "password": "hunter2"}

    made = await ask(client, actor, "POST", "", {"url": receiver.url, "account": account})
    assert made.status_code == 201, made.text
    id = made.json()["id"]
    saved = await ask(client, actor, "PUT", f"/{id}", {"label": "Desk", "account": {"port": 1993}})
    looked = await ask(client, actor, "POST", f"/{id}/look")
    listed = await ask(client, actor, "GET")
    without = await ask(client, actor, "PUT", f"/{id}", {"account": None})
    nothing = await ask(client, actor, "POST", f"/{id}/look")
    deleted = await ask(client, actor, "DELETE", f"/{id}")

    assert made.json()["secret"].startswith("whsec_")
    assert made.json()["account"] == {
        "host": "imap.example.com",
        "port": 993,
        "username": "ada",
        "tls": True,
    }
    # Another port is another place: the password has to be said again.
    assert saved.status_code == 422
    assert saved.json()["error"]["details"][0]["field"] == "account.password"
    assert (looked.status_code, looked.json()["id"]) == (202, id)
    assert [each["address"] for each in listed.json()["data"]] == [made.json()["address"]]
    assert "hunter2" not in listed.text
    assert (without.json()["account"], without.json()["secret"]) == (None, None)
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (409, "conflict")
    assert deleted.json() == {"id": id, "deleted": True}
    assert (await ask(client, actor, "GET", f"/{id}")).status_code == 404


async def test_looking_now_does_not_wait_for_the_back_off(
    client: Client, receiver: Receiver
) -> None:
    actor = await make_actor()
    account = {"host": "imap.example.com", "username": "ada", "password": "hunter2"}
    made = await ask(client, actor, "POST", "", {"url": receiver.url, "account": account})
    due = "SELECT next_look_at <= now() AS due, failures FROM ingress_mailboxes WHERE id = {}"
    await fetch(
        "UPDATE ingress_mailboxes SET next_look_at = now() + interval '1 hour', failures = 7 "
        "WHERE id = {}",
        made.json()["id"],
    )

    await ask(client, actor, "POST", f"/{made.json()['id']}/look")

    assert await fetch(due, made.json()["id"]) == [{"due": True, "failures": 7}]


async def test_what_came_in_is_listed_and_a_strangers_is_not_there(client: Client) -> None:
    actor = await make_actor()
    mailbox, _, mail = await make_ingress_mailbox(actor.organization_id, "mine")
    other = await make_actor()

    listed = await ask(client, actor, "GET", f"/{mailbox}/mails")

    (found,) = listed.json()["data"]
    assert (found["id"], found["state"], found["sender"]) == (
        str(mail),
        "delivered",
        "ada@example.net",
    )
    for method, path in (("GET", ""), ("GET", "/mails"), ("POST", "/look"), ("DELETE", "")):
        refused = await ask(client, other, method, f"/{mailbox}{path}")
        assert refused.status_code == 404, (method, path)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "https://hooks.example", "format": "soap"}, "format"),
        ({"url": "https://hooks.example", "account": {"host": "h"}}, "account.username"),
        ({"url": "https://hooks.example", "account": {"port": 0}}, "account.port"),
    ],
)
async def test_what_is_wrong_is_named(client: Client, body: Any, field: str) -> None:
    refused = await ask(client, await make_actor(), "POST", "", body)

    assert refused.status_code == 422
    assert field in [each["field"] for each in refused.json()["error"]["details"]]
