"""How a request is read, and which of its faults is told first."""

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from postlane.core import clock
from postlane.core.actor import Role
from postlane.core.database import fetch
from postlane.messages.operations import send_message
from postlane.messages.rules import NewMessage
from postlane.rest_compat.dialects import POSTMTA
from postlane.server.app import build_app
from postlane.templates.tables import Template, TemplateVersion
from postlane.vmtas.tables import Vmta
from tests.client import Client
from tests.factories import (
    make_actor,
    make_api_key,
    make_block,
    make_domain,
    make_ingress_mailbox,
    make_membership,
    make_organization,
    make_webhook,
)
from tests.test_tenancy import fingerprint

from .world import World, a_message, a_sending_domain, a_verified_domain, an_api_key, credits

MIB = 2**20
ABSENT = "01970000-0000-7000-8000-000000000000"
JSON = {"content-type": "application/json"}


def code_of(answer: httpx.Response) -> str:
    """Return the code of a refusal, whose envelope is checked on the way."""
    body = answer.json()
    assert list(body) == ["error"]
    error = body["error"]
    assert list(error) == ["code", "message", "status", "details", "request_id"]
    assert error["status"] == answer.status_code
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["message"]
    code: str = error["code"]
    return code


def details_of(answer: httpx.Response) -> list[tuple[str, str]]:
    """Return field and code of everything that is wrong."""
    return [(d["field"], d["code"]) for d in answer.json()["error"]["details"]]


async def chunks(size: int) -> AsyncIterator[bytes]:
    """Yield *size* bytes whose number is not announced."""
    for _ in range(size // 65_536 + 1):
        yield b" " * 65_536


async def test_a_body_over_the_limit_is_refused_by_its_length(client: Client) -> None:
    body = b" " * (MIB + 1)

    answer = await client.post("/api/v1/domains", content=body, headers=JSON)

    assert (answer.status_code, code_of(answer)) == (413, "payload_too_large")
    assert answer.headers["connection"] == "close"


async def test_a_body_over_the_limit_is_refused_without_a_length(client: Client) -> None:
    """Even from a stranger, for size comes first."""
    answer = await client.post("/api/v1/domains", content=chunks(2 * MIB), headers=JSON)

    assert (answer.status_code, code_of(answer)) == (413, "payload_too_large")


@pytest.mark.parametrize(
    ("path", "mebibytes"), [("/api/v1/messages/send", 35), ("/api/v1/messages/batch", 50)]
)
async def test_mail_may_be_larger(client: Client, path: str, mebibytes: int) -> None:
    lengths = {"content-length": str(mebibytes * MIB + 1)}

    refused = await client.post(path, headers=JSON | lengths, content=chunks(1))
    taken = await client.post(path, headers=JSON, content=b" " * (2 * MIB))

    assert refused.status_code == 413
    assert code_of(taken) == "authentication_required"


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {},
    ],
)
async def test_only_json_is_read(client: Client, headers: dict[str, str]) -> None:
    answer = await client.post("/api/v1/messages/send", content=b"{}", headers=headers)

    assert (answer.status_code, code_of(answer)) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", 'Application/JSON; charset="utf-8"']
)
async def test_json_has_several_spellings(client: Client, content_type: str) -> None:
    answer = await client.post(
        "/api/v1/messages/send", content=b"{}", headers={"content-type": content_type}
    )

    assert code_of(answer) == "authentication_required"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/html", 406),
        ("application/json;q=0", 406),
        ("application/json;q=0, */*", 406),
        ("text/html, application/xhtml+xml, */*;q=0.8", 401),
        ("application/*", 401),
        ("APPLICATION/JSON", 401),
        ("text/csv, application/json;q=0.1", 401),
    ],
)
async def test_json_must_be_acceptable(client: Client, accept: str, status: int) -> None:
    answer = await client.get("/api/v1/domains", headers={"accept": accept})

    assert answer.status_code == status
    assert code_of(answer) == ("not_acceptable" if status == 406 else "authentication_required")


async def test_a_stranger_is_told_how_to_sign_in(client: Client) -> None:
    answer = await client.get("/api/v1/auth/me")

    assert (answer.status_code, code_of(answer)) == (401, "authentication_required")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"authorization": "Bearer nonsense"}, "invalid_token"),
        ({"authorization": "Basic YTpi"}, "invalid_token"),
        ({"x-api-key": "pmta_a1b2c3d4_" + "0" * 43}, "invalid_api_key"),
        ({"authorization": "Bearer pmta_a1b2c3d4_" + "0" * 43}, "invalid_api_key"),
    ],
)
async def test_a_wrong_credential_is_named(
    client: Client, headers: dict[str, str], code: str
) -> None:
    answer = await client.get("/api/v1/auth/me", headers=headers)

    assert (answer.status_code, code_of(answer)) == (401, code)


async def test_a_key_works_in_either_header_and_in_no_address(world: World) -> None:
    made = await make_api_key(world.organization)

    plain = await world.client.get("/api/v1/auth/me", headers={"x-api-key": made.secret})
    bearer = await world.client.get(
        "/api/v1/auth/me", headers={"authorization": f"Bearer {made.secret}"}
    )
    address = await world.client.get(f"/api/v1/auth/me?api_key={made.secret}")

    assert plain.json()["auth"]["api_key_id"] == str(made.row.id)
    assert bearer.json() == plain.json()
    assert address.status_code == 401


async def test_two_credentials_of_different_principals_are_ambiguous(world: World) -> None:
    other = await make_api_key(world.organization)

    answer = await world.client.get(
        "/api/v1/auth/me", headers=world.headers | {"x-api-key": other.secret}
    )

    assert (answer.status_code, code_of(answer)) == (400, "ambiguous_credentials")


async def test_a_key_with_a_limit_is_told_what_is_left(world: World) -> None:
    made = await make_api_key(world.organization, rate_limit_per_minute=60)
    headers = {"x-api-key": made.secret}

    answers = [await world.client.get("/api/v1/auth/me", headers=headers) for _ in range(12)]

    assert [a.headers["x-ratelimit-remaining"] for a in answers[:3]] == ["9", "8", "7"]
    assert {a.headers["x-ratelimit-limit"] for a in answers} == {"60"}
    assert all(a.headers["x-ratelimit-reset"].isdigit() for a in answers)
    last = answers[-1]
    assert (last.status_code, code_of(last)) == (429, "rate_limited")
    assert last.headers["retry-after"] == "1"


async def test_without_a_limit_there_is_nothing_to_tell(world: World) -> None:
    world.organization.plan = "self_hosted"
    await world.organization.save()
    made = await make_api_key(world.organization)

    answer = await world.client.get("/api/v1/auth/me", headers={"x-api-key": made.secret})

    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]


async def test_the_rate_limit_comes_before_the_scope(world: World) -> None:
    made = await make_api_key(world.organization, scopes=["credits:read"], rate_limit_per_minute=6)
    headers = {"x-api-key": made.secret}

    first = await world.client.get("/api/v1/messages", headers=headers)
    second = await world.client.get("/api/v1/messages", headers=headers)

    assert (first.status_code, code_of(first)) == (403, "insufficient_scope")
    assert "'messages:read'" in first.json()["error"]["message"]
    assert (second.status_code, code_of(second)) == (429, "rate_limited")


async def test_the_role_comes_before_the_path_and_the_body(client: Client) -> None:
    viewer = client.as_actor(await make_actor(role=Role.VIEWER))

    answer = await client.post(
        "/api/v1/domains/garbage/rotate-dkim", content=b"garbage", headers=viewer | JSON
    )

    assert (answer.status_code, code_of(answer)) == (403, "insufficient_role")
    ((field, code),) = details_of(answer)
    assert (field, code) == ("role", "not_allowed")
    assert "'developer'" in answer.json()["error"]["details"][0]["message"]


async def test_the_path_comes_before_the_body(world: World) -> None:
    garbage = await world.client.post(
        f"/api/v1/domains/{ABSENT}/rotate-dkim", content=b"garbage", headers=world.headers | JSON
    )
    wrong = await world.request("POST", f"/api/v1/domains/{ABSENT}/verify", {"records": 1})
    role = await world.request("PUT", f"/api/v1/users/{ABSENT}/role", {})
    key = await world.request(
        "POST", f"/api/v1/api-keys/{ABSENT}/rotate", {"grace_period_seconds": -1}
    )
    message = await world.request("POST", f"/api/v1/messages/{ABSENT}/cancel", {"reason": 1})
    too_long = await world.request(
        "POST", f"/api/v1/messages/{ABSENT}/cancel", {"reason": "x" * 201}
    )

    codes = [(a.status_code, code_of(a)) for a in (garbage, wrong, role, key, message, too_long)]
    assert codes == [(404, "not_found")] * 6


async def test_the_body_comes_before_the_state(world: World) -> None:
    await a_verified_domain(world)
    path = f"/api/v1/domains/{world.names['{domain_id}']}/rotate-dkim"
    await world.request("POST", path)

    wrong = await world.request("POST", path, {"overlap_seconds": 1})
    right = await world.request("POST", path, {})

    assert code_of(wrong) == "validation_failed"
    assert details_of(wrong) == [("overlap_seconds", "too_small")]
    assert (right.status_code, code_of(right)) == (409, "rotation_in_progress")


async def test_the_state_comes_before_the_credits(world: World) -> None:
    """The organization has no credits, which is told last."""
    body = {"from": "a@example.org", "to": "b@example.org", "subject": "x", "text": "x"}

    unverified = await world.request("POST", "/api/v1/messages/send", body)
    await a_sending_domain(world)
    body["from"] = f"a@{world.names['yourdomain.com']}"
    unpaid = await world.request("POST", "/api/v1/messages/send", body)

    assert (unverified.status_code, code_of(unverified)) == (403, "domain_not_verified")
    assert (unpaid.status_code, code_of(unpaid)) == (402, "insufficient_credits")


async def test_a_suspended_organization_reads_and_changes_nothing(world: World) -> None:
    world.organization.status = "suspended"
    await world.organization.save()
    made = await make_api_key(world.organization)
    headers = {"x-api-key": made.secret}

    read = await world.client.get("/api/v1/domains", headers=headers)
    write = await world.client.post("/api/v1/domains", json={}, headers=headers)

    assert read.status_code == 200
    assert (write.status_code, code_of(write)) == (403, "organization_suspended")


async def test_a_request_keeps_the_id_its_client_gave(client: Client) -> None:
    given = await client.get("/api/v1/auth/me", headers={"x-request-id": "client-1.a_b"})
    made = await client.get("/api/v1/auth/me", headers={"x-request-id": "with spaces"})

    assert given.headers["x-request-id"] == "client-1.a_b"
    assert code_of(given) == "authentication_required"
    assert made.headers["x-request-id"] != "with spaces"


async def test_a_trailing_slash_is_ignored(world: World) -> None:
    plain = await world.request("GET", "/api/v1/credits")
    slash = await world.request("GET", "/api/v1/credits/")

    assert plain.status_code == slash.status_code == 200
    assert plain.json() == slash.json()


async def test_head_answers_like_get_without_a_body(world: World) -> None:
    get = await world.request("GET", "/api/v1/auth/me")
    head = await world.request("HEAD", "/api/v1/auth/me")
    none = await world.request("HEAD", f"/api/v1/messages/{ABSENT}")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert (none.status_code, none.content) == (404, b"")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/api/v1/messages/send", "POST"),
        ("POST", "/api/v1/credits", "GET, HEAD"),
        ("PATCH", "/api/v1/domains", "GET, HEAD, POST"),
        ("OPTIONS", f"/api/v1/domains/{ABSENT}", "DELETE, GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_there_is_answered_with_those_that_are(
    client: Client, method: str, path: str, allow: str
) -> None:
    answer = await client.request(method, path)

    assert (answer.status_code, code_of(answer)) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize(
    "path", ["/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/messages/a/b/c", "/api/v1/%00"]
)
async def test_a_path_that_is_not_there_is_not_found(client: Client, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, code_of(answer)) == (404, "not_found")


async def test_fixed_words_come_before_ids(world: World) -> None:
    """`send` and `batch` are no messages."""
    answer = await world.request("GET", "/api/v1/messages/send")

    assert (answer.status_code, code_of(answer)) == (405, "method_not_allowed")


async def test_unknown_fields_are_ignored_unless_the_client_is_strict(world: World) -> None:
    body = {"domain": "example.com", "color": "red"}
    headers = world.headers | {"prefer": "respond-async, handling=strict"}

    lenient = await world.request("POST", "/api/v1/domains?colour=red", body)
    strict = await world.client.post("/api/v1/domains?colour=red", json=body, headers=headers)
    listing = await world.client.get("/api/v1/domains?colour=red", headers=headers)

    assert lenient.status_code == 201
    assert (strict.status_code, code_of(strict)) == (422, "validation_failed")
    assert details_of(strict) == [("colour", "unknown_field"), ("color", "unknown_field")]
    assert (listing.status_code, details_of(listing)) == (422, [("colour", "unknown_field")])


async def test_strictness_reaches_into_lists(world: World) -> None:
    body = {
        "from": "a@example.org",
        "to": "b@example.org",
        "subject": "x",
        "text": "x",
        "attachments": [{"filename": "a", "content": "aGk=", "colour": "red"}],
    }
    headers = world.headers | {"prefer": "handling=strict"}

    answer = await world.client.post("/api/v1/messages/send", json=body, headers=headers)

    assert details_of(answer) == [("attachments[0].colour", "unknown_field")]


async def test_an_optional_body_may_be_left_out(world: World) -> None:
    await an_api_key(world)
    path = f"/api/v1/api-keys/{world.names['{api_key}']}/rotate"

    nothing = await world.request("POST", path)
    form = await world.client.post(
        path, headers=world.headers | {"content-type": "application/x-www-form-urlencoded"}
    )
    empty = await world.client.post(path, headers=world.headers | JSON, content=b"")

    assert [a.status_code for a in (nothing, form, empty)] == [200, 200, 200]


async def test_a_required_body_may_not(world: World) -> None:
    answer = await world.client.post("/api/v1/domains", headers=world.headers)

    assert (answer.status_code, code_of(answer)) == (400, "invalid_json")


async def test_every_fault_of_types_is_named_at_once(world: World) -> None:
    body: dict[str, Any] = {
        "from": 1,
        "cc": "a@example.org",
        "bcc": ["a@example.org", None],
        "subject": None,
        "headers": {"X-A": 1},
        "attachments": [{"filename": True}, "x"],
        "track_opens": "yes",
        "send_at": "tomorrow",
        "stream": "loud",
        "max_lifetime_seconds": 1.5,
        "metadata": [],
    }

    answer = await world.request("POST", "/api/v1/messages/send", body)

    assert (answer.status_code, code_of(answer)) == (422, "validation_failed")
    assert answer.json()["error"]["message"] == "The request has 12 invalid fields."
    assert (
        details_of(answer)
        == [
            ("to", "required"),
            ("from", "invalid_type"),
            ("bcc[1]", "invalid_type"),
            ("headers.X-A", "invalid_type"),
            ("attachments[0].content", "required"),
            ("attachments[0].filename", "invalid_type"),
            ("attachments[1]", "invalid_type"),
            ("track_opens", "invalid_type"),
            ("send_at", "invalid_format"),
            ("stream", "not_allowed"),
            ("max_lifetime_seconds", "invalid_type"),
            ("metadata", "invalid_type"),
        ][:12]
        + details_of(answer)[12:]
    )


async def test_what_an_operation_finds_has_the_clients_names(world: World) -> None:
    await a_sending_domain(world)
    body = {
        "from": f"a@{world.names['yourdomain.com']}",
        "to": ["not-an-address"],
        "reply_to": ["a@example.org", "nobody"],
        "subject": "x" * 999,
        "text": "x",
        "attachments": [{"filename": "a/b", "content": "!", "content_type": "x"}],
        "batch_id": "no spaces",
        "metadata": {"camelCase": "x" * 300},
        "template_id": "welcome",
    }

    template = await world.request("POST", "/api/v1/messages/send", body)
    del body["template_id"]
    answer = await world.request("POST", "/api/v1/messages/send", body)

    assert details_of(template) == [("template_id", "not_found")]
    assert sorted(details_of(answer)) == [
        ("attachments[0].content", "invalid_format"),
        ("attachments[0].content_type", "invalid_format"),
        ("attachments[0].filename", "invalid_format"),
        ("batch_id", "invalid_format"),
        ("metadata.camelCase", "too_long"),
        ("reply_to[1]", "invalid_email"),
        ("subject", "too_long"),
        ("to[0]", "invalid_email"),
    ]


async def test_a_reference_to_nothing_is_a_fault_of_the_body(world: World) -> None:
    """404 is for paths."""
    domain = await world.request(
        "POST", "/api/v1/domains", {"domain": "example.com", "default_pool": "nowhere"}
    )
    key = await world.request(
        "POST",
        "/api/v1/api-keys",
        {"name": "k", "scopes": ["messages:send"], "allowed_domains": [ABSENT]},
    )

    assert (domain.status_code, details_of(domain)) == (422, [("default_pool", "not_found")])
    assert (key.status_code, details_of(key)) == (422, [("allowed_domains[0]", "not_found")])


async def test_a_key_may_be_bound_to_a_domain_by_its_id(world: World) -> None:
    await a_sending_domain(world)
    domain_id, name = world.names["{domain_id}"], world.names["yourdomain.com"]
    body = {"name": "k", "scopes": ["messages:send"], "allowed_domains": [domain_id]}

    answer = await world.request("POST", "/api/v1/api-keys", body)

    assert answer.json()["allowed_domains"] == [name]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_somebody_elses_ids_are_not_found_anywhere(world: World, method: str) -> None:
    """Whatever the endpoint, an id of another organization is as good as none."""
    ids = await foreign_ids()
    routes = [r for r in POSTMTA.routes if r.method == method and "id" in r.ids]
    before = await fingerprint()

    for route in routes:
        resource = route.path.split("/")[3]
        path = route.path.replace("{id}", ids[resource]).replace("{action}", "flush")
        body = {"role": "admin"} if path.endswith("/role") else None
        answer = await world.request(method, path, body)
        absent = await world.request(method, path.replace(ids[resource], ABSENT), body)
        assert (answer.status_code, code_of(answer)) == (404, "not_found"), route.path
        assert (absent.status_code, said_of(absent)) == (404, said_of(answer)), route.path

    assert await fingerprint() == before


def said_of(answer: httpx.Response) -> Any:
    error = answer.json()["error"]
    return error["code"], error["message"], error["details"]


def test_every_place_in_a_path_is_walked_with_a_strangers_id() -> None:
    """What is no id says which of a few words it is, or names what anybody may see."""
    words = {"action": "/api/v1/queues/{id}/{action}", "type": "/api/v1/credits/{type}"}

    places = {(name, r.path) for r in POSTMTA.routes for name in re.findall(r"{(\w+)}", r.path)}

    assert {place for place in places if place[0] != "id"} == set(words.items())
    assert all("id" in r.ids for r in POSTMTA.routes if "{id}" in r.path)


async def foreign_ids() -> dict[str, str]:
    """Return the ids of things that another organization has."""
    other = await make_organization()
    member = await make_membership(other)
    key = await make_api_key(other, membership=member)
    domain = await make_domain(other.id)
    actor = await make_actor(other)
    new = NewMessage(f"a@{domain.name}", ["b@example.org"], subject="x", text="x")
    receipt, _ = await send_message(actor, new)
    vmta = Vmta(organization_id=other.id, name="theirs", hostname="theirs.example")
    await vmta.save()
    (queue,) = await fetch("SELECT id FROM queues WHERE organization_id = {}", other.id)
    webhook_id, _, _ = await make_webhook(other, "https://hooks.example")
    template = Template(
        organization_id=other.id, slug="t", name="T", syntax="jinja", latest=1, published=1
    )
    await template.save()
    version = TemplateVersion(template_id=template.id, number=1, texts=json.dumps({}))
    await version.save()
    block = make_block(other.id, str(domain.id))
    await block.save()
    mailbox, _, _ = await make_ingress_mailbox(other.id, "theirs")
    return {
        "queues": str(queue["id"]),
        "vmtas": str(vmta.id),
        "domains": str(domain.id),
        "api-keys": str(key.row.id),
        "users": str(member.user_id),
        "messages": str(receipt.id),
        "webhooks": str(webhook_id),
        "templates": str(template.id),
        "ingress-mailboxes": str(mailbox),
        "security": str(block.id),
    }


async def test_what_a_message_says_needs_more_than_reading(world: World) -> None:
    await credits(world)
    await a_message(world)
    path = f"/api/v1/messages/{world.names['{message}']}"
    reader = await make_api_key(world.organization, scopes=["messages:read"])
    headers = {"x-api-key": reader.secret}

    plain = await world.client.get(path, headers=headers)
    content = await world.client.get(f"{path}?include=content", headers=headers)
    await world.request("GET", f"{path}?include=content")
    rows = await fetch(
        "SELECT action FROM audit_entries WHERE organization_id = {} AND target_id = {}",
        world.organization.id,
        world.names["{message}"],
    )

    assert plain.status_code == 200
    assert (content.status_code, code_of(content)) == (403, "insufficient_scope")
    assert [row["action"] for row in rows] == ["message.content_read"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ConnectionRefusedError("10.0.0.1:5432"), 503, "service_unavailable"),
        (TimeoutError(), 503, "service_unavailable"),
        (RuntimeError("secret 4711"), 500, "internal_error"),
    ],
)
async def test_what_goes_wrong_inside_stays_inside(
    database: None, error: Exception, status: int, code: str
) -> None:
    async def authenticate(scope: object) -> None:
        raise error

    app = build_app(authenticate=authenticate, opens_pool=False)
    async with Client(app, {}) as client:
        answer = await client.get("/api/v1/domains")

    assert (answer.status_code, code_of(answer)) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "4711" not in answer.text
    assert "10.0.0.1" not in answer.text


async def test_the_time_in_an_event_has_the_form_of_all_times(world: World) -> None:
    await credits(world)
    await a_sending_domain(world)
    later = (clock.now() + timedelta(days=1)).replace(microsecond=0)
    sent = await world.request(
        "POST",
        "/api/v1/messages/send",
        {
            "from": f"shop@{world.names['yourdomain.com']}",
            "to": "ada@example.net",
            "subject": "Hello",
            "text": "Hello.",
            "send_at": later.isoformat(),
        },
    )

    answer = await world.request("GET", f"/api/v1/messages/{sent.json()['id']}")

    scheduled = answer.json()["events"][0]["data"]["scheduled_at"]
    assert scheduled == later.strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def test_registering_names_every_field_that_is_wrong(world: World) -> None:
    answer = await world.client.post(
        "/api/v1/auth/register",
        json={
            "email": "nobody",
            "password": "short",
            "name": " ",
            "organization_name": "x" * 101,
            "timezone": "Moon/Crater",
        },
    )

    assert answer.status_code == 422
    assert details_of(answer) == [
        ("email", "invalid_email"),
        ("name", "required"),
        ("organization_name", "too_long"),
        ("timezone", "not_allowed"),
        ("password", "weak_password"),
    ]
