"""A day with every kind of secret: none of them is anywhere but where it was handed over."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from postlane.core import tracing
from postlane.core.database import fetch
from tests.client import Client
from tests.core.test_tracing import Collector
from tests.mailbox import mailed
from tests.people import LOG_IN, PASSWORD, REGISTER, WHO, new_person
from tests.secrets_in import secrets_in
from tests.security.test_resets import ASK, NEW, RESET
from tests.security.test_second_factor import Person

HEADER = "a-header-that-only-the-receiver-knows"
MAKE_KEY = """
mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { key apiKey { uuid } } }
"""
ROTATE_KEY = """
mutation ($input: RotateApiKeyInput!) { rotateApiKey(input: $input) { key } }
"""
MAKE_WEBHOOK = """
mutation ($input: CreateWebhookInput!) { createWebhook(input: $input) { secret } }
"""
INVITE = """
mutation ($input: InviteMemberInput!) { inviteMember(input: $input) { invitation { id } } }
"""
MAKE_DOMAIN = """
mutation ($input: CreateDomainInput!) { createDomain(input: $input) { domain { uuid } } }
"""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that this process sends its spans to."""
    with Collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        tracing.start_tracing("test")
        yield running
        tracing.stop_tracing()
        running.shutdown()


async def a_day(client: Client) -> tuple[dict[str, str], list[str]]:
    """Return every secret by its name, and what those were told who had none or a wrong one."""
    sent = new_person()
    who = Person(client, (await client.data(REGISTER, {"input": sent}))["register"])
    secrets = {"password": PASSWORD, "token": who.token}
    await who.set_up()
    secrets |= {"authenticator": who.secret, "recovery code": who.recovery_codes[0]}
    secrets["second token"] = who.token
    asked = {"name": "Key", "scopes": ["messages:read"]}
    key = (await client.data(MAKE_KEY, {"input": asked}, token=who.token))["createApiKey"]
    rotated = await client.data(
        ROTATE_KEY, {"input": {"apiKeyId": key["apiKey"]["uuid"]}}, token=who.token
    )
    secrets |= {"API key": key["key"], "rotated key": rotated["rotateApiKey"]["key"]}
    hook = {
        "url": "https://acme.example/hooks",
        "events": ["*"],
        "headers": [{"name": "X-Secret", "value": HEADER}],
    }
    made = await client.data(MAKE_WEBHOOK, {"input": hook}, token=who.token)
    secrets |= {"webhook": made["createWebhook"]["secret"], "header": HEADER}
    name = f"{who.id[:8]}.example"
    await client.data(MAKE_DOMAIN, {"input": {"name": name}}, token=who.token)
    guest = f"guest-{who.id[:8]}@example.org"
    await client.data(INVITE, {"input": {"email": guest, "role": "VIEWER"}}, token=who.token)
    await client.data(ASK, {"input": {"email": who.email}})
    secrets |= {
        "invitation": (await mailed(guest))[-1].token,
        "reset": (await mailed(who.email))[-1].token,
    }
    told = [
        await client.graphql(WHO, token=who.token[:-4] + "AAAA"),
        await client.graphql(WHO, key=key["key"][:-4] + "AAAA"),
        await client.graphql(LOG_IN, who.log_in(totpCode="000000")),
        await client.graphql(LOG_IN, {"input": {"email": who.email, "password": PASSWORD + "!"}}),
        await client.graphql(f'{{ organization(token: "{who.token}") {{ name }} }}'),
    ]
    await client.get(f"/invite/{secrets['invitation']}")
    await client.get(f"/reset/{secrets['reset']}")
    await client.data(RESET, {"input": {"token": secrets["reset"], "newPassword": NEW}})
    secrets["new password"] = NEW
    return secrets, [json.dumps(each) for each in told]


async def tables_holding(secret: str) -> list[str]:
    """Return the tables with a row that holds *secret*, as text or as bytes."""
    tables = await fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = []
    for name in (row["tablename"] for row in tables):
        rows: Any = await fetch(
            f'SELECT 1 FROM "{name}" AS t WHERE position({{}} IN t::text) > 0 '
            "OR position({} IN t::text) > 0 LIMIT 1",
            secret,
            secret.encode().hex(),
        )
        found += [name] if rows else []
    return found


@pytest.mark.slow
async def test_no_secret_is_logged_stored_traced_or_told(
    client: Client, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        secrets, told = await a_day(client)
    tracing.stop_tracing()

    seen = {
        "logs": "\n".join(
            f"{record.getMessage()} {vars(record)} {record.exc_text}"
            for record in caplog.records
            if record.name != "httpx"  # the test's own client
        ),
        "spans": str(collector.spans),
        "answers": "\n".join(told),
    }
    found = [
        (name, place) for name, secret in secrets.items() for place in seen if secret in seen[place]
    ]
    assert len(collector.spans) > 100
    assert len(secrets) == 12
    assert found == []
    assert [(name, await tables_holding(secret)) for name, secret in secrets.items()] == [
        (name, []) for name in secrets
    ]
    assert [each for text in seen.values() for each in secrets_in(text)] == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Authorization: Bearer abcdefgh12345", "authorization"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "authorization"),
        ("postgresql://app:hunter2@db/postlane", "database's password"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "webhook's secret"),
        ("pmta_0a1b2c3d_" + "x" * 43, "API key"),
        ("cookie: __Host-session=eyJhbGciOiJFZERTQSJ9", "session"),
    ],
)
def test_the_scanner_knows_a_secret_when_it_sees_one(text: str, kind: str) -> None:
    found = list(secrets_in(f"before {text} after"))

    assert [re.match(r"[^']+(?:'s [a-z]+)? in", each) is not None for each in found] == [True]
    assert found[0].startswith(f"{kind} in")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://app:***@db/postlane",
        "postgresql:///postlane?host=/run",
        "the Authorization header is missing",
        "pmta_0a1b2c3d",
        "session=over",
    ],
)
def test_the_scanner_says_nothing_of_what_is_no_secret(text: str) -> None:
    assert list(secrets_in(text)) == []
