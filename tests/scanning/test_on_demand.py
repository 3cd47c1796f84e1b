"""Scans on demand, by the real rspamd and the real clamd."""

import base64
import hashlib
import io
import zipfile
from datetime import datetime, timedelta
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.actor import Actor, Mode, OrganizationId, Role
from postlane.core.database import fetch, transaction
from postlane.credits.lots import grant
from postlane.credits.rules import CreditType, LotSource
from tests.billing.setup import settings_with
from tests.client import Client
from tests.factories import make_actor, make_organization
from tests.parts import CLAMD, RSPAMD, needs
from tests.scanners import EICAR, GTUBE, MOST_BYTES

SCORE = """
    mutation ($input: CheckSpamInput!) { checkSpam(input: $input) {
      score threshold verdict isSpam engine engineVersion creditsConsumed
      rules { name score } suggestions { code } } }
"""
SCAN = """
    mutation ($input: ScanFileInput!) { scanFile(input: $input) {
      verdict infected threats { name file } sizeBytes sha256 engine engineVersion
      signaturesUpdatedAt creditsConsumed } }
"""
NOWHERE = "127.0.0.1:9"


async def trial(*, credits: int = 5, **values: Any) -> Actor:
    """Return somebody whose credits are counted, and who has so many of both kinds."""
    organization: Organization = await make_organization(plan="trial")
    for type in (CreditType.SPAM_CHECK, CreditType.AV_SCAN):
        if credits:
            async with transaction() as tx:
                await grant(
                    tx,
                    OrganizationId(organization.id),
                    amount=credits,
                    source=LotSource.PURCHASE,
                    credit_type=type,
                )
    return await make_actor(organization, **values)


async def left(actor: Actor, type: CreditType) -> int:
    rows = await fetch(
        "SELECT coalesce(sum(remaining), 0)::int AS n FROM credit_shares "
        "WHERE organization_id = {} AND type = {}",
        actor.organization_id,
        type.value,
    )
    found: int = rows[0]["n"]
    return found


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def scan(client: Client, actor: Actor, content: bytes, name: str = "a.bin") -> Any:
    variables = {"input": {"filename": name, "content": encoded(content)}}
    return (await client.data(SCAN, variables, actor=actor))["scanFile"]


@needs(CLAMD)
async def test_a_virus_is_found_and_costs_a_credit(client: Client, clamd: str) -> None:
    actor = await trial()

    found = await scan(client, actor, EICAR, "eicar.com")

    assert found == {
        "verdict": "INFECTED",
        "infected": True,
        "threats": [{"name": "Eicar-Test-Signature.UNOFFICIAL", "file": "eicar.com"}],
        "sizeBytes": 68,
        "sha256": "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f",
        "engine": "clamav",
        "engineVersion": found["engineVersion"],
        "signaturesUpdatedAt": None,
        "creditsConsumed": 1,
    }
    assert found["engineVersion"].startswith(("0.", "1."))
    assert await left(actor, CreditType.AV_SCAN) == 4
    kept = await fetch(
        "SELECT sha256, verdict FROM scanned_files WHERE organization_id = {}",
        actor.organization_id,
    )
    assert [(row["sha256"], row["verdict"]) for row in kept] == [
        (hashlib.sha256(EICAR).digest(), "infected")
    ]


@needs(CLAMD)
async def test_a_virus_is_found_in_an_archive_and_over_tcp(
    client: Client, clamd_places: tuple[str, str]
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/eicar.com", EICAR)

    with settings_with(clamd=clamd_places[1]):
        found = await scan(client, await trial(), packed.getvalue(), "a.zip")

    assert found["verdict"] == "INFECTED"


@needs(CLAMD)
@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        (b"Nothing here.", "CLEAN"),
        (bytes(range(256)) * 4000, "CLEAN"),
        (b"x" * (MOST_BYTES + 1), "UNSCANNABLE"),
    ],
)
async def test_what_is_no_virus_is_clean_and_what_is_too_large_is_not_scanned(
    client: Client, clamd: str, content: bytes, verdict: str
) -> None:
    found = await scan(client, await trial(), content)

    assert (found["verdict"], found["infected"]) == (verdict, False)


@needs(CLAMD)
async def test_a_file_is_known_again_for_a_day(
    client: Client, clamd: str, frozen: datetime
) -> None:
    """A repeat costs a credit and asks clamd for its version only."""
    actor = await trial()
    await scan(client, actor, EICAR)
    await fetch(
        "UPDATE scanned_files SET threats = ARRAY['Known'] WHERE organization_id = {}",
        actor.organization_id,
    )

    again = await scan(client, actor, EICAR)
    with clock.frozen(frozen + timedelta(hours=25)):
        later = await scan(client, actor, EICAR)

    assert [each["name"] for each in again["threats"]] == ["Known"]
    assert [each["name"] for each in later["threats"]] == ["Eicar-Test-Signature.UNOFFICIAL"]
    assert await left(actor, CreditType.AV_SCAN) == 2


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({"filename": "a", "content": "%%%"}, ("content", "INVALID_FORMAT")),
        ({"filename": "a", "content": ""}, ("content", "REQUIRED")),
        ({"filename": "", "content": "YQ=="}, ("filename", "TOO_LONG")),
        ({"filename": "a" * 256, "content": "YQ=="}, ("filename", "TOO_LONG")),
    ],
)
async def test_what_is_no_file_is_refused(
    client: Client, values: dict[str, str], detail: tuple[str, str]
) -> None:
    body = await client.graphql(SCAN, {"input": values}, actor=await make_actor())

    (found,) = body["errors"][0]["extensions"]["details"]
    assert (found["field"].removeprefix("input."), found["code"]) == detail


async def test_a_missing_setting_is_named_and_nothing_is_charged(client: Client) -> None:
    actor = await trial()
    file = {"input": {"filename": "a", "content": "YQ=="}}
    message = {"input": {"raw": encoded(b"Subject: Hi\r\n\r\nHello\r\n")}}

    scanned = await client.graphql(SCAN, file, actor=actor)
    scored = await client.graphql(SCORE, message, actor=actor)

    for body, setting in ((scanned, "POSTLANE_CLAMD"), (scored, "POSTLANE_RSPAMD_URL")):
        (error,) = body["errors"]
        assert error["extensions"]["code"] == "SCANNER_UNAVAILABLE"
        assert f"{setting} is not set" in error["message"]
    assert await left(actor, CreditType.AV_SCAN) == 5
    assert await left(actor, CreditType.SPAM_CHECK) == 5


async def test_a_scanner_that_is_down_charges_nothing(client: Client) -> None:
    actor = await trial()
    with settings_with(clamd=NOWHERE, rspamd_url=f"http://{NOWHERE}"):
        scanned = await client.refusal(
            SCAN, {"input": {"filename": "a", "content": "YQ=="}}, actor=actor
        )
        scored = await client.refusal(SCORE, {"input": {"raw": "YQ=="}}, actor=actor)

    assert (scanned, scored) == ("SCANNER_UNAVAILABLE", "SCANNER_UNAVAILABLE")
    assert await left(actor, CreditType.AV_SCAN) == 5
    assert await left(actor, CreditType.SPAM_CHECK) == 5


@needs(CLAMD)
async def test_who_has_no_credit_left_gets_no_scan(client: Client, clamd: str) -> None:
    actor = await trial(credits=0)

    code = await client.refusal(SCAN, {"input": {"filename": "a", "content": "YQ=="}}, actor=actor)

    assert code == "INSUFFICIENT_CREDITS"
    assert (
        await fetch("SELECT FROM scanned_files WHERE organization_id = {}", actor.organization_id)
        == []
    )


@needs(CLAMD)
async def test_a_sandbox_key_scans_for_nothing(client: Client, clamd: str) -> None:
    actor = await trial(credits=0, mode=Mode.SANDBOX)

    found = await scan(client, actor, EICAR)

    assert (found["verdict"], found["creditsConsumed"]) == ("INFECTED", 0)


async def test_a_viewer_scans_nothing(client: Client) -> None:
    viewer = await make_actor(role=Role.VIEWER)

    code = await client.refusal(SCAN, {"input": {"filename": "a", "content": "YQ=="}}, actor=viewer)

    assert code == "INSUFFICIENT_ROLE"


@needs(RSPAMD)
async def test_spam_is_told_and_costs_a_credit(client: Client, rspamd: str) -> None:
    actor = await trial()
    message = f"From: a@example.com\r\nTo: b@example.net\r\nSubject: Hi\r\n\r\n{GTUBE}\r\n"

    data = await client.data(SCORE, {"input": {"raw": encoded(message.encode())}}, actor=actor)

    found = data["checkSpam"]
    assert (found["verdict"], found["isSpam"], found["engine"]) == ("FAIL", True, "rspamd")
    assert found["score"] >= 15
    assert found["creditsConsumed"] == 1
    assert await left(actor, CreditType.SPAM_CHECK) == 4


@needs(RSPAMD)
async def test_a_composed_message_is_scored_as_it_would_be_sent(
    client: Client, rspamd: str
) -> None:
    actor = await trial()
    plain = {"from": "Ada <ada@example.com>", "to": ["bob@example.net"], "subject": "Hello"}

    both = await client.data(
        SCORE, {"input": plain | {"text": "Hello Bob.", "html": "<p>Hello Bob.</p>"}}, actor=actor
    )
    html = await client.data(
        SCORE,
        {"input": {"from": "ada@example.com", "html": "<p>Hello</p>", "threshold": 1.0}},
        actor=actor,
    )

    assert both["checkSpam"]["verdict"] == "PASS"
    assert both["checkSpam"]["suggestions"] == []
    names = [each["name"] for each in html["checkSpam"]["rules"]]
    assert "MIME_HTML_ONLY" in names
    assert "missing_text_part" in [each["code"] for each in html["checkSpam"]["suggestions"]]
    assert html["checkSpam"]["score"] > both["checkSpam"]["score"]
    assert html["checkSpam"]["threshold"] == 1.0


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({}, ("raw", "REQUIRED")),
        ({"raw": "YQ==", "from": "a@example.com"}, ("raw", "MUTUALLY_EXCLUSIVE")),
        ({"raw": "%"}, ("raw", "INVALID_FORMAT")),
        ({"raw": ""}, ("raw", "REQUIRED")),
        ({"raw": "YQ==", "threshold": 0.5}, ("threshold", "TOO_SMALL")),
        ({"raw": "YQ==", "threshold": 20.1}, ("threshold", "TOO_LARGE")),
        ({"from": "a@example.com"}, ("html", "REQUIRED")),
        ({"from": "nobody", "text": "a"}, ("from", "INVALID_EMAIL")),
        (
            {"from": "a@example.com", "text": "a", "subject": "a\nb"},
            ("subject", "INVALID_FORMAT"),
        ),
    ],
)
async def test_what_is_no_message_is_refused(
    client: Client, values: dict[str, Any], detail: tuple[str, str]
) -> None:
    body = await client.graphql(SCORE, {"input": values}, actor=await make_actor())

    (found,) = body["errors"][0]["extensions"]["details"]
    assert (found["field"].removeprefix("input."), found["code"]) == detail


async def test_an_upload_is_a_form_or_json_and_nothing_else(client: Client) -> None:
    actor = await make_actor()
    path, who = "/api/v1/security/av-scan", client.as_actor(actor)

    form = await client.post(path, files={"file": ("a.txt", b"a")}, headers=who)
    two = await client.post(path, files=[("file", ("a", b"a")), ("file", ("b", b"b"))], headers=who)
    none = await client.post(path, files={"other": ("a.txt", b"a")}, headers=who)
    broken = await client.post(
        path,
        content=b"--x\r\n",
        headers=who | {"content-type": "multipart/form-data; boundary=x"},
    )
    text = await client.post(path, content=b"a", headers=who | {"content-type": "text/plain"})
    elsewhere = await client.post(
        "/api/v1/security/spam-score", files={"file": ("a", b"a")}, headers=who
    )

    assert (form.status_code, form.json()["error"]["code"]) == (503, "scanner_unavailable")
    assert (two.status_code, two.json()["error"]["code"]) == (400, "invalid_request")
    assert none.status_code == 422
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_request")
    assert (text.status_code, elsewhere.status_code) == (415, 415)


@needs(CLAMD)
async def test_a_form_and_json_say_the_same(client: Client, clamd: str) -> None:
    actor = await make_actor()
    path, who = "/api/v1/security/av-scan", client.as_actor(actor)

    form = await client.post(path, files={"file": ("eicar.com", EICAR)}, headers=who)
    json = await client.post(
        path, json={"filename": "eicar.com", "content": encoded(EICAR)}, headers=who
    )

    assert form.status_code == json.status_code == 200
    for each in (form, json):
        assert each.json()["threats"] == [
            {"name": "Eicar-Test-Signature.UNOFFICIAL", "file": "eicar.com"}
        ]
