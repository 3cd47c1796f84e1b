"""Who is refused is refused whole: a clear answer, and no row more than before."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from .books import Books, code_of, details_of, post
from .stack import PASSWORD, Account, World, register

pytestmark = pytest.mark.slow

FAR_NETWORK = "198.51.100.0/24"


async def key_of(account: Account, **fields: Any) -> tuple[str, dict[str, str]]:
    """Make an API key; return its id, and the headers of a request with it."""
    body = {"name": "Narrow", "scopes": ["messages:read"]} | fields
    made = await account.ask("POST", "/api/v1/api-keys", body, expect=201)
    return made["id"], {"authorization": f"Bearer {made['key']}"}


@pytest.mark.parametrize(
    ("fields", "status", "code", "details"),
    [
        ({}, 409, "email_taken", []),
        ({"password": "short"}, 422, "validation_failed", [("password", "weak_password")]),
        ({"password": "password1234"}, 422, "validation_failed", [("password", "weak_password")]),
        ({"password": "EMAIL"}, 422, "validation_failed", [("password", "weak_password")]),
        ({"email": "nobody"}, 422, "validation_failed", [("email", "invalid_email")]),
        ({"organization_name": ""}, 422, "validation_failed", [("organization_name", "required")]),
    ],
)
async def test_registration(
    world: World,
    books: Books,
    stranger: Account,
    fields: dict[str, str],
    status: int,
    code: str,
    details: list[tuple[str, str]],
) -> None:
    me = await stranger.ask("GET", "/api/v1/auth/me")
    body = {
        "email": me["user"]["email"].upper() if not fields else "new@example.org",
        "password": PASSWORD,
        "name": "Eve",
        "organization_name": "Eve's",
    } | fields
    if body["password"] == "EMAIL":
        body["password"] = body["email"]

    async with books.unchanged():
        headers = {"x-forwarded-for": world.network()}
        answer = await stranger.http.post("/api/v1/auth/register", json=body, headers=headers)

    assert code_of(answer) == (status, code)
    assert details_of(answer) == details


async def test_a_password_that_is_guessed_locks_the_account(world: World, books: Books) -> None:
    account = await register(world)
    email = (await account.ask("GET", "/api/v1/auth/me"))["user"]["email"]
    right, wrong = ({"email": email, "password": word} for word in (PASSWORD, "x" * 12))
    nobody = {"email": "nobody@example.org", "password": PASSWORD}

    # The contract wants each failure in the audit trail, and counts them to lock the account; those
    # of a network are counted, too.
    async with books.unchanged(audit_entries=5, login_attempts=1, abuse_counts=1):
        guesses = [await account.http.post("/api/v1/auth/login", json=wrong) for _ in range(5)]
    async with books.unchanged():
        sixth = await account.http.post("/api/v1/auth/login", json=wrong)
        locked = await account.http.post("/api/v1/auth/login", json=right)
    async with books.unchanged(audit_entries=1, login_attempts=1):
        unknown = await account.http.post("/api/v1/auth/login", json=nobody)

    assert {code_of(each) for each in guesses} == {(401, "invalid_credentials")}
    assert code_of(unknown) == (401, "invalid_credentials")
    assert unknown.json()["error"]["message"] == guesses[0].json()["error"]["message"]
    for answer in (sixth, locked):
        assert code_of(answer) == (429, "account_locked")
        assert 0 < int(answer.headers["retry-after"]) <= 15 * 60
    await account.http.aclose()


async def test_keys_that_are_expired_revoked_or_elsewhere(books: Books, sender: Account) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat()
    _, expired = await key_of(sender, expires_at=soon)
    revoked_id, revoked = await key_of(sender)
    _, far = await key_of(sender, allowed_ips=[FAR_NETWORK])
    _, narrow = await key_of(sender)
    await sender.ask("DELETE", f"/api/v1/api-keys/{revoked_id}")
    await asyncio.sleep(2)
    unknown = {"x-api-key": "pmta_00000000_" + "a" * 43}
    garbage = {"authorization": "Bearer x.y.z"}
    body = {"from": f"a@{sender.domain}", "to": "b@nobody.example", "subject": "x", "text": "x"}

    async with (
        books.unchanged(),
        httpx.AsyncClient(base_url=sender.world.url, trust_env=False) as anybody,
    ):
        seen = {}
        for name, headers in {
            "none": {},
            "garbage": garbage,
            "unknown": unknown,
            "expired": expired,
            "revoked": revoked,
            "far": far,
            "narrow": narrow,
            "two": narrow | {"x-api-key": sender.key},
        }.items():
            answer = await anybody.post("/api/v1/messages/send", json=body, headers=headers)
            seen[name] = code_of(answer)
            assert (answer.status_code == 401) == (
                answer.headers.get("www-authenticate") == "Bearer"
            )

    assert seen == {
        "none": (401, "authentication_required"),
        "garbage": (401, "invalid_token"),
        "unknown": (401, "invalid_api_key"),
        "expired": (401, "api_key_expired"),
        "revoked": (401, "invalid_api_key"),
        "far": (403, "ip_not_allowed"),
        "narrow": (403, "insufficient_scope"),
        "two": (400, "ambiguous_credentials"),
    }


async def test_what_belongs_to_others_is_not_there(
    world: World, books: Books, account: Account, stranger: Account
) -> None:
    sent = await account.send(f"ada@{world.name()}")
    await account.settled(sent["id"])
    key_id, _ = await key_of(account)
    paths = [
        ("GET", f"/api/v1/messages/{sent['id']}"),
        ("POST", f"/api/v1/messages/{sent['id']}/cancel"),
        ("GET", f"/api/v1/domains/{account.domain_id}"),
        ("GET", f"/api/v1/domains/{account.domain}"),
        ("POST", f"/api/v1/domains/{account.domain_id}/verify"),
        ("POST", f"/api/v1/domains/{account.domain_id}/rotate-dkim"),
        ("DELETE", f"/api/v1/domains/{account.domain_id}"),
        ("GET", f"/api/v1/api-keys/{key_id}"),
        ("POST", f"/api/v1/api-keys/{key_id}/rotate"),
        ("DELETE", f"/api/v1/api-keys/{key_id}"),
    ]
    data = await account.graphql(
        "query ($m: ID!, $d: ID!) { organization { id message(id: $m) { id deliveries { id } } "
        "domain(ref: {id: $d}) { id } } }",
        {"m": sent["id"], "d": account.domain_id},
    )
    owned = data["organization"]
    ids = [owned["id"], owned["message"]["id"], owned["domain"]["id"]]
    ids += [each["id"] for each in owned["message"]["deliveries"]]

    async with books.unchanged():
        answers = [await stranger.http.request(method, path) for method, path in paths]
        nodes = await stranger.ask(
            "POST",
            "/graphql",
            {
                "query": "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
                "variables": {"ids": ids},
            },
        )
        listed = [
            (await stranger.ask("GET", f"/api/v1/{name}"))["data"]
            for name in ("messages", "domains", "api-keys")
        ]

    assert {code_of(answer) for answer in answers} == {(404, "not_found")}
    assert nodes["data"] == {"nodes": [None] * len(ids)}
    assert "errors" not in nodes
    assert listed == [[], [], []]
    mine = await account.graphql("query ($id: ID!) { node(id: $id) { id } }", {"id": ids[1]})
    assert mine == {"node": {"id": ids[1]}}


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(
            "{ __schema { types { fields { type {" + " ofType {" * 20 + " name" + "}" * 25,
            id="deep",
        ),
        pytest.param(
            "{ organization { messages(first: 500) { nodes { deliveries { attempts { code } } "
            "} } domains(first: 500) { nodes { records { name } } } } }",
            id="dear",
        ),
        pytest.param("#" * 100_001 + "\n{ viewer { platformAdmin } }", id="long"),
        pytest.param("{" + "".join(f" a{n}: __typename" for n in range(101)) + "}", id="aliases"),
    ],
)
async def test_a_document(books: Books, stranger: Account, query: str) -> None:
    async with books.unchanged():
        answer = await post(stranger, "/graphql", {"query": query})

    (error,) = answer.json()["errors"]
    assert "data" not in answer.json()
    assert error["extensions"]["code"] == "DOCUMENT_TOO_COMPLEX"
    assert error["extensions"]["requestId"] == answer.headers["x-request-id"]
