"""A domain's logo: set up, looked at as mailboxes do, and never a way into our network."""

import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from postlane.core.database import fetch
from postlane.domains.work import check
from tests.client import Client
from tests.dns_server import DnsServer
from tests.domains.marks import altered, make_mark
from tests.domains.setup import create, verify
from tests.domains.test_logo import GOOD
from tests.domains.web import BRAND, reachable_web
from tests.factories import make_actor
from tests.web_server import WebServer

UPDATE = """
    mutation ($input: UpdateDomainBimiInput!) { updateDomainBimi(input: $input) { domain {
      uuid checks { bimi }
      bimi { enabled selector logoUrl vmcUrl status vmcExpiresAt checkedAt
             issues { code message }
             record { purpose type name value required status } }
    } } }
"""


@pytest.fixture
def web(dns: DnsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    with reachable_web(dns, monkeypatch) as server:
        server.set("/logo.svg", GOOD.encode(), "image/svg+xml")
        yield server


async def update(client: Client, actor: Actor, name: str, **values: Any) -> dict[str, Any]:
    data = await client.data(UPDATE, {"input": {"domain": {"name": name}} | values}, actor=actor)
    found: dict[str, Any] = data["updateDomainBimi"]["domain"]
    return found


async def refused(client: Client, actor: Actor, name: str, **values: Any) -> list[tuple[str, str]]:
    """Return field and code of each detail of a refused change."""
    sent = {"input": {"domain": {"name": name}} | values}
    body = await client.graphql(UPDATE, sent, actor=actor)
    extensions = body["errors"][0]["extensions"]
    assert extensions["code"] == "INVALID_INPUT"
    return [(detail["field"], detail["code"]) for detail in extensions["details"]]


def codes(domain: dict[str, Any]) -> list[str]:
    return [issue["code"] for issue in domain["bimi"]["issues"]]


async def a_domain(client: Client, dns: DnsServer, name: str) -> Actor:
    """Return an actor with a domain whose DMARC policy is enforced."""
    actor = await make_actor()
    await create(client, actor, name)
    dns.set(f"_dmarc.{name}", "TXT", "v=DMARC1; p=reject")
    return actor


async def test_a_good_logo_waits_for_its_record_and_is_valid_then(
    client: Client, dns: DnsServer, web: WebServer, frozen: datetime
) -> None:
    actor = await a_domain(client, dns, "logo.example")
    url = f"https://{BRAND}:{web.port}/logo.svg"

    before = await update(client, actor, "logo.example", logoUrl=url)
    record = before["bimi"]["record"]
    dns.set(record["name"], record["type"], record["value"])
    with clock.frozen(frozen + timedelta(minutes=1)):
        await verify(client, actor, "logo.example")
        after = await update(client, actor, "logo.example")

    assert before["bimi"] == {
        "enabled": True,
        "selector": "default",
        "logoUrl": url,
        "vmcUrl": None,
        "status": "PENDING_DNS",
        "vmcExpiresAt": None,
        "checkedAt": "2026-06-01T12:00:00.000Z",
        "issues": [],
        "record": {
            "purpose": "BIMI",
            "type": "TXT",
            "name": "default._bimi.logo.example",
            "value": f"v=BIMI1; l={url}",
            "required": False,
            "status": "PENDING",
        },
    }
    assert (after["bimi"]["status"], after["checks"]["bimi"]) == ("VALID_WITHOUT_VMC", "VERIFIED")
    entries = await fetch(
        "SELECT action FROM audit_entries WHERE target_id = {} ORDER BY id", before["uuid"]
    )
    assert [row["action"] for row in entries] == [
        "domain.created",
        "domain.bimi_updated",
        "domain.bimi_updated",
    ]


async def test_a_mark_certificate_makes_it_valid(
    client: Client, dns: DnsServer, web: WebServer, frozen: datetime
) -> None:
    actor = await a_domain(client, dns, "mark.example")
    web.set("/vmc.pem", make_mark("mark.example", GOOD.encode(), at=frozen), "text/plain")
    base = f"https://{BRAND}:{web.port}"

    made = await update(
        client, actor, "mark.example", logoUrl=f"{base}/logo.svg", vmcUrl=f"{base}/vmc.pem"
    )
    record = made["bimi"]["record"]
    assert record["value"] == f"v=BIMI1; l={base}/logo.svg; a={base}/vmc.pem"
    dns.set(record["name"], "TXT", f"v=BIMI1;l={base}/logo.svg;a={base}/vmc.pem;")
    made = await update(client, actor, "mark.example")

    assert (codes(made), made["bimi"]["status"]) == ([], "VALID")
    assert made["bimi"]["vmcExpiresAt"] == "2027-06-01T12:00:00.000Z"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"domain": "other.example"}, "VMC_OTHER_NAME"),
        ({"logo": GOOD.replace("Shop", "Other").encode()}, "VMC_OTHER_LOGO"),
        ({"logo": b"\0" * 5_000_000}, "VMC_OTHER_LOGO"),
        ({"is_mark": False}, "VMC_NOT_A_MARK"),
        ({"days": -1}, "VMC_EXPIRED"),
        ({"is_signed": False}, "VMC_BROKEN_CHAIN"),
        ({"has_chain": False}, "VMC_BROKEN_CHAIN"),
        ({"issuer_may_sign": False}, "VMC_BROKEN_CHAIN"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_told(
    client: Client,
    dns: DnsServer,
    web: WebServer,
    frozen: datetime,
    values: dict[str, Any],
    code: str,
) -> None:
    actor = await a_domain(client, dns, "wrong.example")
    given = {"domain": "wrong.example", "logo": GOOD.encode(), "at": frozen} | values
    web.set("/vmc.pem", make_mark(given.pop("domain"), given.pop("logo"), **given), "text/plain")
    base = f"https://{BRAND}:{web.port}"

    made = await update(
        client, actor, "wrong.example", logoUrl=f"{base}/logo.svg", vmcUrl=f"{base}/vmc.pem"
    )

    assert (codes(made), made["bimi"]["status"]) == ([code], "INVALID")


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        # version [0] INTEGER 2, which is v3, as one that nobody knows
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", "VMC_NOT_A_CERTIFICATE"),
        # the curve of the signer's key, 1.2.840.10045.3.1.7, as one that there is not
        (b"\x86\x48\xce\x3d\x03\x01\x07", b"\x86\x48\xce\x3d\x03\x01\x7e", "VMC_BROKEN_CHAIN"),
    ],
)
async def test_a_certificate_that_nobody_understands_is_an_issue(
    client: Client,
    dns: DnsServer,
    web: WebServer,
    frozen: datetime,
    before: bytes,
    after: bytes,
    code: str,
) -> None:
    actor = await a_domain(client, dns, "strange.example")
    mark = make_mark("strange.example", GOOD.encode(), at=frozen)
    web.set("/vmc.pem", altered(mark, before, after), "text/plain")
    base = f"https://{BRAND}:{web.port}"

    made = await update(
        client, actor, "strange.example", logoUrl=f"{base}/logo.svg", vmcUrl=f"{base}/vmc.pem"
    )

    assert codes(made) == [code]


@pytest.mark.parametrize("body", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"\0\xff"])
async def test_what_is_no_certificate_is_told(
    client: Client, dns: DnsServer, web: WebServer, body: bytes
) -> None:
    actor = await a_domain(client, dns, "nocert.example")
    web.set("/vmc.pem", body, "application/x-pem-file")
    base = f"https://{BRAND}:{web.port}"

    made = await update(
        client, actor, "nocert.example", logoUrl=f"{base}/logo.svg", vmcUrl=f"{base}/vmc.pem"
    )

    assert codes(made) == ["VMC_NOT_A_CERTIFICATE"]


@pytest.mark.parametrize(
    ("policy", "issues"),
    [
        ("v=DMARC1; p=reject", []),
        ("v=DMARC1; p=quarantine", []),
        ("v=DMARC1; p=quarantine; pct=100; sp=quarantine", []),
        ("v=DMARC1; p=quarantine; pct=99", ["DMARC_NOT_ENFORCED"]),
        ("v=DMARC1; p=none", ["DMARC_NOT_ENFORCED"]),
        ("v=DMARC1; p=reject; sp=none", ["DMARC_NOT_ENFORCED"]),
        ("v=DMARC1", ["DMARC_NOT_ENFORCED"]),
        ("junk", ["DMARC_NOT_ENFORCED"]),
    ],
)
async def test_dmarc_has_to_be_enforced(
    client: Client, dns: DnsServer, web: WebServer, policy: str, issues: list[str]
) -> None:
    actor = await a_domain(client, dns, "policy.example")
    dns.set("_dmarc.policy.example", "TXT", policy)

    made = await update(
        client, actor, "policy.example", logoUrl=f"https://{BRAND}:{web.port}/logo.svg"
    )

    assert codes(made) == issues


async def test_a_missing_policy_is_told_as_the_contract_says(
    client: Client, dns: DnsServer, web: WebServer
) -> None:
    actor = await a_domain(client, dns, "said.example")
    dns.set("_dmarc.said.example", "TXT", "v=DMARC1; p=none")

    made = await update(
        client, actor, "said.example", logoUrl=f"https://{BRAND}:{web.port}/logo.svg"
    )

    assert made["bimi"]["issues"] == [
        {
            "code": "DMARC_NOT_ENFORCED",
            "message": "DMARC policy is p=none; BIMI needs quarantine or reject.",
        }
    ]


@pytest.mark.parametrize(
    ("svg", "content_type", "code"),
    [
        (GOOD, "text/html", "LOGO_WRONG_TYPE"),
        (GOOD + " " * 40_000, "image/svg+xml", "LOGO_TOO_LARGE"),
        ("<svg><script/></svg>", "image/svg+xml", "LOGO_NOT_SVG"),
        (
            '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + GOOD,
            "image/svg+xml",
            "LOGO_NOT_SVG",
        ),
        (GOOD.replace("</svg>", "<script/></svg>"), "image/svg+xml", "LOGO_HAS_SCRIPT"),
    ],
)
async def test_a_hostile_logo_is_an_issue(
    client: Client, dns: DnsServer, web: WebServer, svg: str, content_type: str, code: str
) -> None:
    actor = await a_domain(client, dns, "hostile.example")
    web.set("/bad.svg", svg.encode(), content_type)

    made = await update(
        client, actor, "hostile.example", logoUrl=f"https://{BRAND}:{web.port}/bad.svg"
    )

    assert (codes(made), made["bimi"]["status"]) == ([code], "INVALID")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"])
async def test_a_name_with_a_private_address_is_not_reached(
    client: Client, dns: DnsServer, web: WebServer, address: str
) -> None:
    actor = await a_domain(client, dns, "private.example")
    dns.set("inside.example", "A", address)

    made = await update(
        client, actor, "private.example", logoUrl=f"https://inside.example:{web.port}/logo.svg"
    )

    assert made["bimi"]["issues"] == [
        {
            "code": "LOGO_UNREACHABLE",
            "message": "The logo: inside.example is not a public address.",
        }
    ]
    assert web.asked == []


async def test_a_redirect_to_a_private_address_is_not_followed(
    client: Client, dns: DnsServer, web: WebServer
) -> None:
    actor = await a_domain(client, dns, "redirect.example")
    web.redirect("/away.svg", "https://169.254.169.254/latest/meta-data")

    made = await update(
        client, actor, "redirect.example", logoUrl=f"https://{BRAND}:{web.port}/away.svg"
    )

    assert codes(made) == ["LOGO_UNREACHABLE"]


@pytest.mark.slow
async def test_a_logo_that_never_ends_takes_five_seconds(
    client: Client, dns: DnsServer, web: WebServer
) -> None:
    actor = await a_domain(client, dns, "drip.example")
    web.drip("/drip.svg", seconds=0.2, content_type="image/svg+xml")
    started = time.monotonic()

    made = await update(
        client, actor, "drip.example", logoUrl=f"https://{BRAND}:{web.port}/drip.svg"
    )

    assert codes(made) == ["LOGO_UNREACHABLE"]
    assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    ("values", "details"),
    [
        ({}, [("logoUrl", "REQUIRED")]),
        ({"logoUrl": None}, [("logoUrl", "REQUIRED")]),
        ({"logoUrl": "http://x.example/a.svg"}, [("logoUrl", "INVALID_URL")]),
        ({"logoUrl": "https://x.example/a.png"}, [("logoUrl", "INVALID_URL")]),
        ({"logoUrl": "https://x.example/a.svg;l=x"}, [("logoUrl", "INVALID_URL")]),
        ({"logoUrl": "https://x.example/a,b.svg"}, [("logoUrl", "INVALID_URL")]),
        ({"logoUrl": "https://me:pw@x.example/a.svg"}, [("logoUrl", "INVALID_URL")]),
        ({"logoUrl": "https:///a.svg"}, [("logoUrl", "INVALID_URL")]),
        ({"logoUrl": "javascript:alert(1)//a.svg"}, [("logoUrl", "INVALID_URL")]),
        ({"logoUrl": "https://x.example/\n.svg"}, [("logoUrl", "INVALID_URL")]),
        ({"logoUrl": "https://x.example/" + "a" * 2_048 + ".svg"}, [("logoUrl", "TOO_LONG")]),
        ({"logoUrl": "https://127.0.0.1/a.svg"}, [("logoUrl", "NOT_PUBLIC_IP")]),
        ({"logoUrl": "https://[::ffff:127.0.0.1]/a.svg"}, [("logoUrl", "NOT_PUBLIC_IP")]),
        ({"logoUrl": "https://169.254.169.254/a.svg"}, [("logoUrl", "NOT_PUBLIC_IP")]),
        ({"logoUrl": "https://2130706433/a.svg"}, [("logoUrl", "NOT_PUBLIC_IP")]),
        (
            {"logoUrl": "https://x.example/a.svg", "vmcUrl": "ftp://x.example/v.pem"},
            [("vmcUrl", "INVALID_URL")],
        ),
        (
            {"logoUrl": "https://x.example/a.svg", "selector": "a.b"},
            [("selector", "INVALID_FORMAT")],
        ),
        (
            {"enabled": None, "selector": None, "logoUrl": "https://x.example/a.svg"},
            [("enabled", "REQUIRED"), ("selector", "REQUIRED")],
        ),
    ],
)
async def test_a_malformed_logo_is_refused_and_nothing_is_kept(
    client: Client, dns: DnsServer, values: dict[str, Any], details: list[tuple[str, str]]
) -> None:
    actor = await make_actor()
    made = await create(client, actor, "malformed.example")

    assert await refused(client, actor, "malformed.example", **values) == details

    kept = await fetch("SELECT FROM domain_bimi WHERE domain_id = {}", uuid.UUID(made["uuid"]))
    assert kept == []


async def test_a_logo_is_switched_off_and_on_again_as_it_was(
    client: Client, dns: DnsServer, web: WebServer
) -> None:
    actor = await a_domain(client, dns, "off.example")
    url = f"https://{BRAND}:{web.port}/logo.svg"
    await update(client, actor, "off.example", logoUrl=url, selector="summer")

    off = await update(client, actor, "off.example", enabled=False)
    on = await update(client, actor, "off.example", enabled=True)

    assert (off["bimi"]["status"], off["bimi"]["record"]) == ("DISABLED", None)
    assert (on["bimi"]["logoUrl"], on["bimi"]["record"]["name"]) == (
        url,
        "summer._bimi.off.example",
    )


async def test_a_logo_that_goes_bad_is_found_in_the_background(
    client: Client, dns: DnsServer, web: WebServer, frozen: datetime
) -> None:
    actor = await a_domain(client, dns, "later.example")
    url = f"https://{BRAND}:{web.port}/logo.svg"
    made = await update(client, actor, "later.example", logoUrl=url)
    web.set("/logo.svg", b"gone", "text/plain", status=410)

    with clock.frozen(frozen + timedelta(hours=1)):
        await check(uuid.UUID(made["uuid"]))

    rows = await fetch(
        "SELECT issues->0->>'code' AS code FROM domain_bimi WHERE domain_id = {}",
        uuid.UUID(made["uuid"]),
    )
    assert rows == [{"code": "logo_unreachable"}]


async def test_what_a_customer_names_is_not_fetched_without_end(
    client: Client, dns: DnsServer, web: WebServer
) -> None:
    actor = await a_domain(client, dns, "again.example")
    logo_url = f"https://{BRAND}:{web.port}/logo.svg"
    for _ in range(10):
        await update(client, actor, "again.example", logoUrl=logo_url)

    sent = {"input": {"domain": {"name": "again.example"}, "logoUrl": f"{logo_url}?2"}}
    refused = await client.graphql(UPDATE, sent, actor=actor)
    off = await update(client, actor, "again.example", enabled=False)

    assert refused["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert off["bimi"]["logoUrl"] == logo_url
    assert len(web.asked) == 10
