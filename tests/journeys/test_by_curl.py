"""A first day with Postlane over REST, typed with curl."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest

from tests.parts import CURL, needs, needs_npm_package

from .matching import DKIM, KEY, PREFIX, TIME, TOKEN, UUID, Like
from .shop import Shop, newcomer, person, sign_up, verify
from .signatures import verdicts
from .stack import HOSTNAME, PASSWORD, World

pytestmark = [pytest.mark.slow, needs(CURL)]


@pytest.fixture(scope="module")
async def shop(world: World) -> Shop:
    """Somebody with a verified domain and an API key, all of it made with curl."""
    owner = await sign_up(world)
    name = world.name()
    domain = (await owner("POST", "/api/v1/domains", {"domain": name}, status=201)).body
    records = world.publish(domain["records"])
    assert (await verify(owner, domain["id"]))["can_send"] is True
    asked = {"name": "Web shop", "scopes": ["*"]}
    made = (await owner("POST", "/api/v1/api-keys", asked, status=201)).body
    curl = owner.with_key(made["key"])
    return Shop(world, curl, owner, name, domain["id"], made["id"], records)


async def test_register_log_in_and_ask_who_one_is(world: World) -> None:
    curl, body = person(world), newcomer(world)
    user = {
        "id": UUID,
        "email": body["email"],
        "name": "Ada Admin",
        "role": "owner",
        "status": "active",
        "created_at": TIME,
    }
    organization = {
        "id": UUID,
        "name": body["organization_name"],
        "plan": "trial",
        "created_at": TIME,
    }
    signed_in = {
        "token": TOKEN,
        "token_type": "Bearer",
        "expires_in": 86400,
        "expires_at": TIME,
        "user": user,
        "organization": organization,
    }

    registered = await curl("POST", "/api/v1/auth/register", body, status=201)
    credentials = {"email": body["email"], "password": PASSWORD}
    logged_in = await curl("POST", "/api/v1/auth/login", credentials)
    bearer = f"Authorization: Bearer {logged_in.body['token']}"
    me = await curl("GET", "/api/v1/auth/me", None, bearer, "X-Request-Id: mine.1")

    assert registered.body == signed_in
    assert logged_in.body == signed_in
    assert me.headers["x-request-id"] == "mine.1"
    assert me.body == {
        "user": {
            **registered.body["user"],
            "timezone": "UTC",
            "platform_admin": me.body["user"]["platform_admin"],
            "last_login_at": TIME,
        },
        "organization": {
            "id": registered.body["organization"]["id"],
            "name": body["organization_name"],
            "plan": "trial",
            "status": "active",
        },
        "auth": {
            "method": "jwt",
            "api_key_id": None,
            "mode": "live",
            "scopes": ["*"],
            "expires_at": logged_in.body["expires_at"],
        },
    }


async def test_nobody_is_told_how_to_sign_in(world: World) -> None:
    answer = await person(world)("GET", "/api/v1/auth/me", status=401)

    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.body == {
        "error": {
            "code": "authentication_required",
            "message": Like(".+"),
            "status": 401,
            "details": [],
            "request_id": answer.headers["x-request-id"],
        }
    }


async def test_a_domain_is_pending_until_its_records_are_published(world: World) -> None:
    curl, name = await sign_up(world), world.name()

    created = await curl("POST", "/api/v1/domains", {"domain": name.upper()}, status=201)

    domain = created.body
    assert domain["domain"] == name
    assert (domain["status"], domain["can_send"], domain["verified_at"]) == ("pending", False, None)
    assert [
        (record["purpose"], record["type"], record["name"], record["value"], record["required"])
        for record in domain["records"]
    ] == [
        ("dkim", "TXT", f"pmta._domainkey.{name}", DKIM, True),
        ("return_path", "CNAME", f"bounce.{name}", f"bounce.{HOSTNAME}", True),
        ("spf", "TXT", name, f"v=spf1 include:_spf.{HOSTNAME} ~all", False),
        ("dmarc", "TXT", f"_dmarc.{name}", "v=DMARC1; p=none", False),
    ]
    assert {record["status"] for record in domain["records"]} == {"pending"}

    world.publish(domain["records"])
    checked = await verify(curl, domain["id"])
    stored = (await curl("GET", f"/api/v1/domains/{name}")).body
    listed = (await curl("GET", "/api/v1/domains?status=verified&q=" + name[:-4])).body

    assert (checked["status"], checked["can_send"]) == ("verified", True)
    assert {each["purpose"]: each["status"] for each in checked["records"]} == {
        "dkim": "verified",
        "return_path": "verified",
        "spf": "verified",
        "dmarc": "verified",
    }
    assert stored["status"] == "verified"
    assert [key["state"] for key in stored["dkim"]["keys"]] == ["active"]
    assert [(each["id"], each["checks"]["dkim"]) for each in listed["data"]] == [
        (domain["id"], "verified")
    ]
    assert listed["filters"] == {"status": "verified", "q": name[:-4]}


@needs_npm_package("mailauth")
async def test_a_message_from_being_accepted_to_the_inbox(world: World, shop: Shop) -> None:
    to, copy, blind = (f"{who}@{world.name()}" for who in ("ada", "bob", "eve"))
    body = shop.message(f"Ada Å <{to}>", cc=[copy], bcc=[blind], tags=["first"])

    accepted = await shop.curl("POST", "/api/v1/messages/send", body, status=202)
    message = await shop.final(accepted.body["id"])

    receipt = accepted.body
    assert receipt == {
        "id": UUID,
        "status": "queued",
        "message_id": f"<{receipt['id']}@{shop.domain}>",
        "batch_id": None,
        "mode": "live",
        "recipients": [
            {"id": UUID, "email": to, "kind": "to", "status": "queued"},
            {"id": UUID, "email": copy, "kind": "cc", "status": "queued"},
            {"id": UUID, "email": blind, "kind": "bcc", "status": "queued"},
        ],
        "accepted": 3,
        "suppressed": 0,
        "credits_consumed": 3,
        "credits_remaining": receipt["credits_remaining"],
        "send_at": None,
        "warnings": [],
        "created_at": TIME,
    }
    assert message["completed_at"] == TIME
    assert [each["last_response"]["text"] for each in message["recipients"]] == [
        "2.0.0 Taken",
        "2.0.0 Taken",
        "2.0.0 Taken",
    ]
    happened = [(each["recipient_id"], each["type"]) for each in message["events"]]
    for recipient in receipt["recipients"]:
        assert [type for whose, type in happened if whose == recipient["id"]] == [
            "message.queued",
            "message.sent",
            "message.delivered",
        ]

    (received,) = await world.mail_for(blind)
    for recipient in receipt["recipients"]:
        (copy_of_it,) = await world.mail_for(recipient["email"])
        assert copy_of_it.data == received.data
        path = rf"b\+{recipient['id']}\.[a-z2-7]{{16}}@bounce\.{shop.domain}"
        assert copy_of_it.envelope_from == Like(path)
    parsed = message_from_bytes(received.data, policy=policy.SMTP)
    assert parsed["To"] == f"Ada Å <{to}>"
    assert parsed["Cc"] == copy
    assert parsed["Bcc"] is None
    assert blind.encode() not in received.data
    assert parsed["Message-ID"] == receipt["message_id"]
    assert await verdicts(received.data, shop.records) == {"pmta": "pass"}
    altered = received.data.replace(b"Hello!", b"Hullo!")
    assert await verdicts(altered, shop.records) == {"pmta": "neutral"}


async def test_a_batch_takes_what_is_good_and_names_what_is_not(world: World, shop: Shop) -> None:
    good = f"ada@{world.name()}"
    messages = [shop.message(good), shop.message("not-an-address")]
    batch = f"campaign_{shop.domain}"

    sent = await shop.curl(
        "POST", "/api/v1/messages/batch", {"batch_id": batch, "messages": messages}, status=202
    )
    listed = (await shop.curl("GET", f"/api/v1/messages?batch_id={batch}")).body

    accepted, rejected = sent.body.pop("results")
    remaining = sent.body["credits_remaining"]
    assert sent.body == {
        "batch_id": batch,
        "total": 2,
        "accepted": 1,
        "rejected": 1,
        "credits_consumed": 1,
        "credits_remaining": remaining,
        "created_at": TIME,
    }
    assert accepted == {
        "index": 0,
        "id": UUID,
        "status": "queued",
        "message_id": f"<{accepted['id']}@{shop.domain}>",
        "accepted": 1,
        "suppressed": 0,
        "error": None,
    }
    assert (rejected["index"], rejected["id"], rejected["status"]) == (1, None, "rejected")
    assert rejected["error"]["code"] == "validation_failed"
    assert rejected["error"]["details"] == [
        {"field": "to[0]", "code": "invalid_email", "message": Like(".+")}
    ]
    assert [each["id"] for each in listed["data"]] == [accepted["id"]]
    await world.mail_for(good)


async def test_a_list_is_filtered_and_read_page_by_page(world: World, shop: Shop) -> None:
    tag = world.name()
    for number in range(5):
        body = shop.message(f"a{number}@{tag}", tags=[tag], metadata={"n": str(number)})
        await shop.curl("POST", "/api/v1/messages/send", body, status=202)

    pages, cursor = [], ""
    while True:
        path = f"/api/v1/messages?tag={tag}&limit=2&include_total=true{cursor}"
        page = (await shop.curl("GET", path)).body
        pages.append([each["to"] for each in page["data"]])
        assert page["pagination"]["total"] == 5
        if not page["pagination"]["has_more"]:
            break
        cursor = "&cursor=" + page["pagination"]["next_cursor"]
    one = (await shop.curl("GET", f"/api/v1/messages?to=A3@{tag}&metadata[n]=3")).body
    none = (await shop.curl("GET", f"/api/v1/messages?to=a3@{tag}&metadata[n]=4")).body
    elsewhere = await shop.curl("GET", f"/api/v1/messages?status=queued{cursor}", status=400)

    assert pages == [
        [[f"a4@{tag}"], [f"a3@{tag}"]],
        [[f"a2@{tag}"], [f"a1@{tag}"]],
        [[f"a0@{tag}"]],
    ]
    assert [each["to"] for each in one["data"]] == [[f"a3@{tag}"]]
    assert none["data"] == []
    assert elsewhere.code == "invalid_cursor"


async def test_a_scheduled_message_is_cancelled_and_its_credits_come_back(
    world: World, shop: Shop
) -> None:
    before = (await shop.curl("GET", "/api/v1/credits/email")).body
    later = (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    address = f"ada@{world.name()}"
    body = shop.message(address, send_at=later)
    sent = (await shop.curl("POST", "/api/v1/messages/send", body, status=202)).body
    during = (await shop.curl("GET", "/api/v1/credits")).body["data"][0]

    path = f"/api/v1/messages/{sent['id']}/cancel"
    cancelled = (await shop.curl("POST", path, {"reason": "Too early."})).body
    again = (await shop.curl("POST", path)).body
    after = (await shop.curl("GET", "/api/v1/credits/email")).body

    assert (sent["status"], sent["send_at"]) == ("scheduled", later)
    assert during["balance"] == before["balance"] - 1
    assert during["used_this_period"] == before["used_this_period"] + 1
    assert cancelled == {
        "id": sent["id"],
        "status": "cancelled",
        "cancelled": 1,
        "in_progress": 0,
        "already_final": 0,
        "credits_refunded": 1,
        "cancelled_at": TIME,
    }
    assert (again["status"], again["credits_refunded"]) == ("cancelled", 0)
    assert after["balance"] == before["balance"]
    assert [lot["granted"] for lot in after["lots"]] == [10000]


async def test_a_rotated_key_works_on_and_a_deleted_one_never_again(
    world: World, shop: Shop
) -> None:
    asked = {"name": "Temporary", "scopes": ["messages:send", "messages:read", "credits:read"]}
    made = (await shop.person("POST", "/api/v1/api-keys", asked, status=201)).body
    old = shop.person.with_key(made["key"])
    path = f"/api/v1/api-keys/{made['id']}"

    rotated = (await shop.person("POST", f"{path}/rotate", {"grace_period_seconds": 600})).body
    new = shop.person.with_key(rotated["key"])
    seen = [(await each("GET", "/api/v1/credits/email")).status for each in (old, new)]
    listed = (await shop.person("GET", "/api/v1/api-keys?status=rotating")).body["data"]
    deleted = (await shop.person("DELETE", path)).body
    refused = [await each("GET", "/api/v1/credits/email", status=401) for each in (old, new)]
    absent = await shop.person("DELETE", path, status=404)

    assert made == {
        "id": UUID,
        "name": "Temporary",
        "key": KEY,
        "prefix": made["key"][:13],
        "scopes": asked["scopes"],
        "mode": "live",
        "status": "active",
        "expires_at": None,
        "allowed_ips": [],
        "allowed_domains": [],
        "rate_limit_per_minute": None,
        "created_by": UUID,
        "last_used_at": None,
        "created_at": TIME,
    }
    assert rotated == {
        "id": made["id"],
        "name": "Temporary",
        "key": KEY,
        "prefix": PREFIX,
        "status": "rotating",
        "previous_key": {"prefix": made["prefix"], "expires_at": TIME},
        "rotated_at": TIME,
    }
    assert seen == [200, 200]
    assert [each["id"] for each in listed] == [made["id"]]
    assert deleted == {"id": made["id"], "deleted": True}
    assert [answer.code for answer in refused] == ["invalid_api_key", "invalid_api_key"]
    assert absent.code == "not_found"


@needs_npm_package("mailauth")
async def test_a_new_dkim_key_signs_once_its_record_is_seen(world: World, shop: Shop) -> None:
    path = f"/api/v1/domains/{shop.domain_id}"
    rotated = (await shop.curl("POST", f"{path}/rotate-dkim", {"selector": "next"})).body
    assert [(key["selector"], key["state"]) for key in rotated["dkim"]["keys"]] == [
        ("pmta", "active"),
        ("next", "pending"),
    ]
    in_progress = await shop.curl("POST", f"{path}/rotate-dkim", {}, status=409)
    before = f"ada@{world.name()}"
    await shop.curl("POST", "/api/v1/messages/send", shop.message(before), status=202)
    (old,) = await world.mail_for(before)

    shop.records |= world.publish(rotated["records"])
    assert (await verify(shop.curl, shop.domain_id))["status"] == "verified"
    keys = (await shop.curl("GET", path)).body["dkim"]["keys"]

    async def selectors() -> dict[str, str]:
        address = f"ada@{world.name()}"
        await shop.curl("POST", "/api/v1/messages/send", shop.message(address), status=202)
        (received,) = await world.mail_for(address)
        return await verdicts(received.data, shop.records)

    deadline = time.monotonic() + 30
    while (signed := await selectors()) != {"next": "pass"}:
        # Until every worker has heard of it, mail is signed with the old key, which is good.
        assert signed == {"pmta": "pass"}
        assert time.monotonic() < deadline
        await asyncio.sleep(1)

    assert in_progress.code == "rotation_in_progress"
    assert await verdicts(old.data, shop.records) == {"pmta": "pass"}
    assert {(key["selector"], key["state"]) for key in keys} == {
        ("pmta", "retiring"),
        ("next", "active"),
    }
