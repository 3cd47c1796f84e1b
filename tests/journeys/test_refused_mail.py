"""Mail that is refused is refused whole: a clear answer, and no row more than before."""

from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .books import Books, code_of, details_of, post, send
from .stack import Account, World, open_account, register

pytestmark = pytest.mark.slow

MIB = 2**20
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
    for _ in range(10):
        sent = (await post(account, "/api/v1/messages/batch", batch)).json()
    assert (sent["credits_consumed"], sent["credits_remaining"]) == (1000, 0)
    # Whoever runs out is told so, by a look every ten seconds.
    await books.quiet(12)

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
