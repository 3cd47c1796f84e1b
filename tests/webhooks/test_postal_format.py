"""Calls in Postal's format: what they say, to the letter, and how receivers check them."""

import base64
import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from postlane.webhooks.postal import (
    TIMEOUT,
    WAITS,
    PostalEvent,
    PostalMessage,
    PostalServer,
    Told,
    postal_body,
    postal_event,
)
from postlane.webhooks.postal_signing import PostalKey, new_postal_key

AT = datetime(2026, 1, 5, 9, 30, 2, 250_000, tzinfo=UTC)
MESSAGE = PostalMessage(
    number=102,
    token="aB4kZ9sD7fGh2JkL",
    message_id="2f1c@example.com",
    recipient="Bob@example.org",
    sender="news@example.com",
    subject="Hi",
    created_at=AT - timedelta(seconds=2),
    tag=None,
)
SERVER = PostalServer(uuid.UUID(int=7), "Shop", "shop", "acme")
SHOWN = {
    "id": 102,
    "token": "aB4kZ9sD7fGh2JkL",
    "direction": "outgoing",
    "message_id": "2f1c@example.com",
    "to": "Bob@example.org",
    "from": "news@example.com",
    "subject": "Hi",
    "timestamp": AT.timestamp() - 2,
    "spam_status": "NotChecked",
    "tag": None,
}
REPLY = {"mx_host": "mx.example.org", "tls": "TLSv1.3", "duration_ms": 414}
ENTRY = ["message", "status", "details", "output", "sent_with_ssl", "timestamp", "time"]


def told(type: str, *, simulated: bool = False, of: Any = MESSAGE, **data: Any) -> Told:
    return Told(type, data, AT, simulated, of, SERVER)


def event(type: str, **more: Any) -> PostalEvent:
    found = postal_event(told(type, **more))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("type", "data", "name", "status"),
    [
        (
            "message.delivered",
            {"smtp_code": 250, "smtp_response": "250 2.0.0 OK", **REPLY},
            "MessageSent",
            "Sent",
        ),
        (
            "message.deferred",
            {"smtp_code": 451, "smtp_response": "451 later", **REPLY},
            "MessageDelayed",
            "SoftFail",
        ),
        (
            "message.bounced",
            {"smtp_code": 550, "smtp_response": "550 no", "source": "session", **REPLY},
            "MessageDeliveryFailed",
            "HardFail",
        ),
    ],
)
def test_what_servers_said_is_told(type: str, data: dict[str, Any], name: str, status: str) -> None:
    found = event(type, **data)

    payload = dict(found.payload)
    details = payload.pop("details")
    assert (found.name, list(found.payload)) == (name, ENTRY)
    assert 0 < len(details) <= 250
    assert payload == {
        "message": SHOWN,
        "status": status,
        "output": data["smtp_response"],
        "sent_with_ssl": True,
        "timestamp": AT.timestamp(),
        "time": 0.41,
    }
    assert list(payload["message"]) == list(SHOWN)


@pytest.mark.parametrize(
    ("type", "more", "name", "status"),
    [
        ("message.expired", {"smtp_response": "451 later"}, "MessageDeliveryFailed", "HardFail"),
        ("message.suppressed", {"reason": "manual"}, "MessageHeld", "Held"),
        ("message.queued", {"simulated": True}, "MessageHeld", "Held"),
        (
            "message.deferred",
            {"smtp_code": None, "smtp_response": "connection refused", "duration_ms": 9},
            "MessageDelayed",
            "SoftFail",
        ),
    ],
)
def test_where_nobody_was_contacted_output_is_empty_and_the_rest_null(
    type: str, more: dict[str, Any], name: str, status: str
) -> None:
    found = event(type, **more)

    payload = found.payload
    assert (found.name, payload["status"], list(payload)) == (name, status, ENTRY)
    assert (payload["output"], payload["sent_with_ssl"], payload["time"]) == ("", None, None)


def test_long_replies_are_cut() -> None:
    more = {"smtp_code": 451, "smtp_response": "451 " + "ü" * 400, **REPLY, "mx_host": "m" * 400}

    payload = event("message.deferred", **more).payload

    assert (len(payload["output"]), len(payload["details"])) == (250, 250)


def test_a_bounce_that_came_back_tells_of_two_messages() -> None:
    found = event("message.bounced", source="dsn", smtp_code=None, smtp_response="gone")

    assert (found.name, list(found.payload)) == ("MessageBounced", ["original_message", "bounce"])
    assert found.payload["original_message"] == SHOWN
    bounce = found.payload["bounce"]
    assert list(bounce) == list(SHOWN)
    assert (bounce["direction"], bounce["from"]) == ("incoming", None)


def test_opens_and_clicks_tell_of_the_browser() -> None:
    browser = {"ip": "192.0.2.7", "user_agent": "Mail/1.0"}

    load = event("message.opened", **browser)
    click = event("message.clicked", url="https://example.net/?a&b", link_index=3, **browser)
    other = event("message.clicked", url="https://example.net/?a&b", link_index=4, **browser)

    assert load.name == "MessageLoaded"
    assert list(load.payload) == ["message", "ip_address", "user_agent"]
    assert click.name == "MessageLinkClicked"
    assert list(click.payload) == ["message", "url", "token", "ip_address", "user_agent"]
    assert (click.payload["ip_address"], click.payload["user_agent"]) == tuple(browser.values())
    assert len(click.payload["token"]) == 16
    assert click.payload["token"].isalnum()
    assert click.payload["token"] != other.payload["token"]


@pytest.mark.parametrize(
    "of",
    [
        told("message.queued"),
        told("message.sent"),
        told("message.cancelled"),
        told("message.complained"),
        told("message.unsubscribed"),
        told("message.opened", implied=True),
        told("domain.verified", of=None),
        told("credits.low", of=None),
        told("webhook.test", of=None),
    ],
    ids=lambda of: of.type,
)
def test_what_postal_has_no_word_for_makes_no_call(of: Told) -> None:
    assert postal_event(of) is None


@pytest.mark.parametrize("type", ["domain.degraded", "domain.failed"])
def test_a_broken_domain_is_told_with_each_kind_of_record(type: str) -> None:
    records = [
        {"purpose": "dkim", "type": "TXT", "name": "new._domainkey.x", "status": "pending"},
        {"purpose": "dkim", "type": "TXT", "name": "old._domainkey.x", "status": "verified"},
        {"purpose": "spf", "type": "TXT", "name": "x", "status": "mismatch"},
        {"purpose": "return_path", "type": "CNAME", "name": "bounce.x", "status": "pending"},
        {"purpose": "tracking", "type": "CNAME", "name": "t.x", "status": "verified"},
    ]

    found = event(type, of=None, domain_id="d-1", domain="x", records=records)

    assert found.name == "DomainDNSError"
    checked = ("spf", "dkim", "mx", "return_path")
    assert list(found.payload) == [
        *("server", "domain", "uuid", "dns_checked_at"),
        *(f"{kind}_{what}" for kind in checked for what in ("status", "error")),
    ]
    assert found.payload["server"] == {
        "uuid": str(uuid.UUID(int=7)),
        "name": "Shop",
        "permalink": "shop",
        "organization": "acme",
    }
    assert found.payload["uuid"] == "d-1"
    assert (found.payload["dkim_status"], found.payload["dkim_error"]) == ("OK", None)
    assert found.payload["spf_status"] == "Invalid"
    assert found.payload["return_path_status"] == found.payload["mx_status"] == "Missing"
    assert "bounce.x" in found.payload["return_path_error"]


def test_the_envelope_has_its_keys_in_order_and_no_markup() -> None:
    id = uuid.uuid4()
    text = "<b>&\u2028ü"

    body = postal_body(PostalEvent("MessageHeld", {"details": text}), id=id, queued_at=AT)

    assert list(json.loads(body)) == ["event", "timestamp", "payload", "uuid"]
    assert json.loads(body)["payload"] == {"details": text}
    assert body == (
        b'{"event":"MessageHeld","timestamp":1767605402.25,"payload":{"details":'
        b'"\\u003cb\\u003e\\u0026\\u2028\xc3\xbc"},"uuid":"' + str(id).encode() + b'"}'
    )


def test_six_attempts_take_36_minutes() -> None:
    assert [wait.total_seconds() / 60 for wait in WAITS] == [2, 3, 6, 10, 15]
    assert sum(WAITS, timedelta()) == timedelta(minutes=36)
    assert timedelta(seconds=5) == TIMEOUT


@pytest.fixture(scope="module")
def key() -> PostalKey:
    """The key of an installation."""
    return PostalKey(new_postal_key())


BODY = '{"event":"MessageSent","uuid":"ü"}'.encode()


def of_jwks(key: PostalKey) -> rsa.RSAPublicKey:
    """Return the public key as a receiver gets it from the JSON document."""
    (entry,) = key.jwks()["keys"]
    assert list(entry) == ["kty", "n", "e", "kid", "use", "alg"]
    assert (entry["e"], entry["kid"]) == ("AQAB", key.id)
    found = jwt.PyJWK(json.loads(json.dumps(entry))).key
    assert isinstance(found, rsa.RSAPublicKey)
    return found


def of_dns(key: PostalKey) -> rsa.RSAPublicKey:
    """Return the public key as a receiver gets it from the record, wrapped in lines of PEM."""
    record = dict(part.split("=", 1) for part in key.dkim_record().rstrip(";").split("; "))
    assert list(record) == ["v", "t", "h", "p"]
    lines = [record["p"][start : start + 64] for start in range(0, len(record["p"]), 64)]
    pem = "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----"])
    found = load_pem_public_key(pem.encode())
    assert isinstance(found, rsa.RSAPublicKey)
    return found


@pytest.mark.parametrize("read", [of_jwks, of_dns])
def test_both_signatures_are_good_by_the_published_key(key: PostalKey, read: Any) -> None:
    public, headers = read(key), key.signed_headers(BODY)

    assert list(headers) == [
        "X-Postal-Signature",
        "X-Postal-Signature-256",
        "X-Postal-Signature-KID",
    ]
    assert headers == key.signed_headers(BODY)
    for name, algorithm in (
        ("X-Postal-Signature", hashes.SHA1()),
        ("X-Postal-Signature-256", hashes.SHA256()),
    ):
        signature = base64.b64decode(headers[name], validate=True)
        assert "\n" not in headers[name]
        public.verify(signature, BODY, padding.PKCS1v15(), algorithm)
        with pytest.raises(InvalidSignature):
            public.verify(signature, BODY + b" ", padding.PKCS1v15(), algorithm)


def test_the_id_of_a_key_follows_from_its_numbers(key: PostalKey) -> None:
    der = of_jwks(key).public_bytes(Encoding.DER, PublicFormat.PKCS1)

    assert key.id == hashlib.sha256(der).hexdigest()
    assert key.signed_headers(BODY)["X-Postal-Signature-KID"] == key.id
    assert PostalKey(new_postal_key()).id != key.id


def test_the_record_holds_the_whole_public_key(key: PostalKey) -> None:
    assert key.dkim_record() == f"v=DKIM1; t=s; h=sha256; p={key.dkim_p};"
    assert load_der_public_key(base64.b64decode(key.dkim_p)) == of_jwks(key)
