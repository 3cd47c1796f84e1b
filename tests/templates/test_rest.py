"""Templates over REST."""

from typing import Any

import httpx
import pytest

from postlane.core.actor import Actor
from tests.client import Client
from tests.factories import make_actor, make_domain

TEXTS = [{"subject": "Hi {{ name }}", "text": "Dear {{ name }} ({{ locale }})"}]


@pytest.fixture
async def actor(database: None) -> Actor:
    """An owner of a new organization."""
    return await make_actor()


async def ask(
    client: Client, actor: Actor, method: str, path: str, body: Any = None
) -> httpx.Response:
    return await client.request(
        method, f"/api/v1/templates{path}", json=body, headers=client.as_actor(actor)
    )


async def test_a_template_is_made_changed_tried_and_deleted(client: Client, actor: Actor) -> None:
    new = {"slug": "a", "texts": TEXTS, "variables": [{"name": "name", "required": True}]}
    made = await ask(client, actor, "POST", "", new)
    assert made.status_code == 201, made.text
    id = made.json()["id"]
    assert made.json()["syntax"] == "jinja"
    assert made.json()["published"]["variables"] == [
        {"name": "name", "default": None, "required": True}
    ]

    saved = await ask(client, actor, "PUT", f"/{id}", {"texts": [{"text": "Two"}]})
    assert (saved.json()["latest_version"], saved.json()["published"]["version"]) == (2, 1)
    values = {"variables": {"name": "Ann"}, "locale": "de"}
    tried = await ask(client, actor, "POST", f"/{id}/preview", values)
    assert tried.json() == {
        "subject": "Hi Ann",
        "html": None,
        "text": "Dear Ann (de)",
        "sender": None,
        "missing": [],
    }
    published = await ask(client, actor, "POST", f"/{id}/publish", {"version": 2})
    assert published.json()["published"]["texts"][0]["text"] == "Two"
    listed = await ask(client, actor, "GET", "")
    assert [each["slug"] for each in listed.json()["data"]] == ["a"]
    assert (await ask(client, actor, "GET", f"/{id}")).json()["slug"] == "a"

    deleted = await ask(client, actor, "DELETE", f"/{id}")

    assert deleted.json() == {"deleted": True}
    assert (await ask(client, actor, "GET", f"/{id}")).status_code == 404


async def test_refusals_name_the_clients_fields(client: Client, actor: Actor) -> None:
    wrong = {"slug": "no spaces", "texts": TEXTS}
    broken = {"slug": "a", "texts": [{"text": "{{ broken"}]}

    slug = await ask(client, actor, "POST", "", wrong)
    source = await ask(client, actor, "POST", "", broken)
    missing = await ask(client, actor, "POST", "", {"slug": "a"})

    found = [answer.json()["error"]["details"][0]["field"] for answer in (slug, source, missing)]
    assert found == ["slug", "texts[0].text", "texts"]
    assert {answer.status_code for answer in (slug, source, missing)} == {422}


async def test_another_tenants_template_is_not_there(client: Client, actor: Actor) -> None:
    made = await ask(client, actor, "POST", "", {"slug": "a", "texts": TEXTS})
    other = await make_actor()

    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {"texts": TEXTS}),
        ("POST", "/publish", {"version": 1}),
        ("POST", "/preview", {}),
        ("DELETE", "", None),
    ):
        answer = await ask(client, other, method, f"/{made.json()['id']}{path}", body)
        assert answer.status_code == 404, (method, path, answer.text)


async def test_mail_is_sent_with_a_template(client: Client, actor: Actor) -> None:
    sender = f"shop@{(await make_domain(actor.organization_id)).name}"
    await ask(client, actor, "POST", "", {"slug": "a", "texts": TEXTS})
    message = {"from": sender, "to": ["ann@example.net"], "template_id": "a"}
    headers = client.as_actor(actor)

    good = message | {"template_data": {"name": "Ann"}}
    sent = await client.post("/api/v1/messages/send", json=good, headers=headers)
    both = await client.post("/api/v1/messages/send", json=message | {"text": "x"}, headers=headers)

    assert sent.status_code == 202
    shown = await client.get(f"/api/v1/messages/{sent.json()['id']}", headers=headers)
    assert shown.json()["subject"] == "Hi Ann"
    assert both.json()["error"]["details"][0] == {
        "field": "text",
        "code": "mutually_exclusive",
        "message": "A template fills html and text; write neither.",
    }
