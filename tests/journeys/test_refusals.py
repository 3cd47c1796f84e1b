"""What is refused is refused whole: a clear answer, and no row more than before."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from .stack import PASSWORD, Account, World, connect, open_account, register

pytestmark = pytest.mark.slow

NOT_COUNTED = frozenset({"rate_buckets", "api_key_uses"})
"""How often somebody came, which a refusal does not undo; beside the job queue's tables."""
MIB = 2**20
FAR_NETWORK = "198.51.100.0/24"


class Books:
    """The database from the side: how many rows each table has."""

    def __init__(self, connection: asyncpg.Connection, tables: list[str]) -> None:
        self._connection = connection
        self._query = " UNION ALL ".join(
            f"SELECT '{table}' AS name, count(*) AS rows FROM {table}" for table in tables
        )

    async def counts(self) -> dict[str, int]:
        """Return the number of rows by table."""
        rows = await self._connection.fetch(self._query)
        return {row["name"]: row["rows"] for row in rows}

    @asynccontextmanager
    async def unchanged(self, **more: int) -> AsyncIterator[None]:
        """Fail if something inside leaves rows behind, except these *more* by table."""
        before = await self.counts()
        yield
        after = await self.counts()
        grown = {name: after[name] - before[name] for name in after}
        assert {name: rows for name, rows in grown.items() if rows} == more


@pytest.fixture(scope="module")
async def books(world: World) -> AsyncIterator[Books]:
    connection = await connect(world)
    rows = await connection.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^saq'"
    )
    tables = sorted({row["tablename"] for row in rows} - NOT_COUNTED)
    assert {"messages", "deliveries", "contents", "events", "credit_entries"} <= set(tables)
    yield Books(connection, tables)
    await connection.close()


@pytest.fixture(scope="module")
async def sender(world: World) -> AsyncIterator[Account]:
    """Somebody who may send, and of whom everything is refused."""
    opened = await open_account(world)
    yield opened
    await opened.http.aclose()


@pytest.fixture(scope="module")
async def stranger(world: World) -> AsyncIterator[Account]:
    """Somebody of another organization."""
    registered = await register(world)
    yield registered
    await registered.http.aclose()


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of a refusal, which has the contract's shape."""
    body = answer.json()
    assert list(body) == ["error"]
    error = body["error"]
    assert list(error) == ["code", "message", "status", "details", "request_id"]
    assert error["status"] == answer.status_code
    assert error["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, error["code"]


def details_of(answer: httpx.Response) -> list[tuple[str, str]]:
    """Return the fields that a refusal names, each with what is wrong."""
    return [(each["field"], each["code"]) for each in answer.json()["error"]["details"]]


async def post(account: Account, path: str, body: Any, **options: Any) -> httpx.Response:
    """Send a request; wait and send it again where it was only one too many in a minute."""
    while True:
        answer = await account.http.post(path, json=body, **options)
        if answer.status_code != 429 or answer.json()["error"]["code"] != "rate_limited":
            return answer
        await asyncio.sleep(int(answer.headers["retry-after"]))


async def send(account: Account, **fields: Any) -> httpx.Response:
    body = {
        "from": f"shop@{account.domain}",
        "to": ["ada@nobody.example"],
        "subject": "Hello",
        "text": "Hello.",
    }
    return await post(account, "/api/v1/messages/send", body | fields)


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

    # The contract wants each failure in the audit trail, and counts them to lock the account.
    async with books.unchanged(audit_entries=5, login_attempts=1):
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


CRLF = "x\r\nBcc: eve@example.org"
REFUSED: list[tuple[str, dict[str, Any], Any]] = [
    ("domain", {"from": "a@not-mine.example"}, (403, "domain_not_verified")),
    ("address", {"to": ["not-an-address"]}, "to[0] invalid_email"),
    ("twice", {"to": ["a@x.example"], "cc": ["A@X.example"]}, "cc[0] duplicate"),
    ("51", {"bcc": [f"b{n}@x.example" for n in range(50)]}, "to too_many"),
    ("nobody", {"to": []}, "to required"),
    ("text", {"text": None}, "html required"),
    ("subject", {"subject": CRLF}, "subject invalid_format"),
    ("from name", {"from": f"{CRLF} <a@x.example>"}, "from invalid_email"),
    ("to name", {"to": [f"{CRLF} <a@x.example>"]}, "to[0] invalid_email"),
    ("cc name", {"cc": [f"{CRLF} <a@x.example>"]}, "cc[0] invalid_email"),
    ("bcc", {"bcc": [f"a@x.example{CRLF[1:]}"]}, "bcc[0] invalid_email"),
    ("reply to", {"reply_to": f"{CRLF} <a@x.example>"}, "reply_to[0] invalid_email"),
    ("header", {"headers": {"X-Shop": CRLF}}, None),
    ("header name", {"headers": {"X-Shop: 1\r\nBcc": "eve@example.org"}}, None),
    ("our header", {"headers": {"DKIM-Signature": "v=1"}}, None),
    ("tag", {"tags": ["a\r\nb"]}, "tags[0] invalid_format"),
    ("batch", {"batch_id": CRLF}, "batch_id invalid_format"),
    ("file", {"attachments": [{"filename": "a.txt", "content": "%%%"}]}, None),
    ("file name", {"attachments": [{"filename": CRLF, "content": "YQ=="}]}, None),
    ("late", {"send_at": "2099-01-01T00:00:00Z"}, "send_at too_far_ahead"),
    ("vmta", {"vmta": "no-such"}, "vmta not_found"),
    ("type", {"to": {"a": 1}}, None),
]


@pytest.mark.parametrize(
    ("fields", "wrong"), [pytest.param(fields, wrong, id=name) for name, fields, wrong in REFUSED]
)
async def test_a_message(books: Books, sender: Account, fields: dict[str, Any], wrong: Any) -> None:
    async with books.unchanged():
        answer = await send(sender, **fields)

    if isinstance(wrong, tuple):
        assert code_of(answer) == wrong
        return
    assert code_of(answer) == (422, "validation_failed")
    found = details_of(answer)
    assert len(found) == 1
    if wrong:
        assert " ".join(found[0]) == wrong


async def test_bodies_that_are_too_large_or_no_json(books: Books, sender: Account) -> None:
    async def stream(size: int) -> AsyncIterator[bytes]:
        yield b'{"text": "'
        for _ in range(size // MIB):
            yield b"x" * MIB
        yield b'"}'

    small, large = "/api/v1/domains", "/api/v1/messages/send"
    headers = {"content-type": "application/json"}
    announced = b64encode(b"x" * 8 * MIB)
    seen = {}
    async with books.unchanged():
        for name, path, content in (
            ("streamed", large, stream(36 * MIB)),
            ("streamed small", small, stream(2 * MIB)),
            ("announced", small, announced),
            ("cut", large, b'{"from": "a@'),
            ("no object", large, b"[]"),
            ("no UTF-8", large, b'{"subject": "\xff\xfe"}'),
            ("surrogate", large, b'{"subject": "\\ud800"}'),
            ("number", large, b'{"subject": 1e999}'),
            ("deep", large, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
            ("empty", large, b""),
        ):
            answer = await sender.http.post(path, content=content, headers=headers)
            seen[name] = code_of(answer)
        form = await sender.http.post(large, data={"from": "a@x.example"})

    assert seen == {
        "streamed": (413, "payload_too_large"),
        "streamed small": (413, "payload_too_large"),
        "announced": (413, "payload_too_large"),
        "cut": (400, "invalid_json"),
        "no object": (400, "invalid_json"),
        "no UTF-8": (400, "invalid_json"),
        "surrogate": (400, "invalid_json"),
        "number": (400, "invalid_json"),
        "deep": (400, "invalid_json"),
        "empty": (400, "invalid_json"),
    }
    assert code_of(form) == (415, "unsupported_media_type")


async def test_a_key_for_once_that_comes_with_another_body(
    world: World, books: Books, account: Account
) -> None:
    headers = {"idempotency-key": world.name()}
    path, address = "/api/v1/messages/send", f"ada@{world.name()}"
    body = {"from": f"a@{account.domain}", "to": address, "subject": "One", "text": "x"}
    first = await post(account, path, body, headers=headers)
    await account.settled(first.json()["id"])

    async with books.unchanged():
        again = await post(account, path, body, headers=headers)
        other = await post(account, path, body | {"subject": "Two"}, headers=headers)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert code_of(other) == (422, "idempotency_key_reuse")
    assert len(await world.mail_for(address)) == 1


async def test_a_batch_without_one_good_message(books: Books, sender: Account) -> None:
    good = {"from": f"a@{sender.domain}", "to": "ada@x.example", "subject": "x", "text": "x"}
    bad = good | {"to": "nobody"}
    path = "/api/v1/messages/batch"

    async with books.unchanged():
        none_good = await post(sender, path, {"messages": [bad, bad]})
        all_or_none = await post(sender, path, {"messages": [good, bad], "atomic": True})
        too_many = await post(sender, path, {"messages": [good] * 101})

    assert code_of(none_good) == (422, "batch_rejected")
    assert code_of(all_or_none) == (422, "batch_rejected")
    assert details_of(all_or_none) == [("messages[1].to[0]", "invalid_email")]
    assert code_of(too_many) == (422, "validation_failed")
    assert details_of(too_many) == [("messages", "too_many")]


async def test_sending_before_the_domain_is_verified(world: World, books: Books) -> None:
    account = await register(world)
    account.domain = world.name()
    await account.ask("POST", "/api/v1/domains", {"domain": account.domain}, expect=201)

    async with books.unchanged():
        answer = await send(account)
        again = await post(account, "/api/v1/domains", {"domain": account.domain})

    assert code_of(answer) == (403, "domain_not_verified")
    assert code_of(again) == (409, "domain_exists")
    await account.http.aclose()


async def test_sending_without_credits(world: World, books: Books) -> None:
    account = await open_account(world)
    later = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    mass = {
        "from": f"a@{account.domain}",
        "to": [f"a{number}@nobody.example" for number in range(50)],
        "subject": "x",
        "text": "x",
        "send_at": later,
    }
    batch = {"messages": [mass] * 20}
    sent = await account.ask("POST", "/api/v1/messages/batch", batch, expect=202)
    assert (sent["credits_consumed"], sent["credits_remaining"]) == (1000, 0)

    async with books.unchanged():
        one = await send(account)
        many = await post(account, "/api/v1/messages/batch", batch)

    assert code_of(one) == (402, "insufficient_credits")
    assert code_of(many) == (402, "insufficient_credits")
    first = sent["results"][0]["id"]
    cancelled = await account.ask("POST", f"/api/v1/messages/{first}/cancel", {})
    assert cancelled["credits_refunded"] == 50
    accepted = (await send(account)).json()
    assert accepted["credits_remaining"] == 49
    await account.settled(accepted["id"])
    await account.http.aclose()


async def test_cancelling_what_is_delivered(world: World, books: Books, account: Account) -> None:
    sent = await account.send(f"ada@{world.name()}")
    await account.settled(sent["id"])

    async with books.unchanged():
        answer = await post(account, f"/api/v1/messages/{sent['id']}/cancel", {})

    assert code_of(answer) == (409, "not_cancellable")


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
