"""Buying by curl where nobody collects payments: an open invoice, and an administrator."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import asyncpg

from postlane.server.embedded import running_url
from tests.server.running import Up

from .curl import Curl
from .stack import PASSWORD
from .test_buying import PACKAGE, download

MARK = (
    "mutation ($input: MarkInvoicePaidInput!) "
    "{ markInvoicePaid(input: $input) { invoice { number status } } }"
)


async def test_credits_are_bought_by_invoice_and_granted_once() -> None:
    # Not pytest's folder: every run of pytest closes that to other users, the database's too.
    with tempfile.TemporaryDirectory(prefix="postlane-invoice-") as folder:
        up = Up(
            Path(folder),
            web_workers="1",
            smtp_listen="",
            inbound_listen="",
            payment="manual",
            log_level="warning",
        )
        await up.start(within=120)
        try:
            await _buy(up)
        finally:
            code = await up.stop()
    assert code == 0, up.log.decode()
    assert b"Traceback" not in up.log, up.log.decode()


async def _buy(up: Up) -> None:
    # Whoever comes first looks after the deployment.
    administrator, customer = await sign_up(up, "admin"), await sign_up(up, "customer")
    url = running_url(up.data_dir / "postgres")
    assert url is not None
    database = await asyncpg.connect(url)
    await database.execute(PACKAGE)
    # Without a provider nobody is counted; whom the operator wants to count is put on a plan.
    await database.execute("UPDATE organizations SET plan = 'trial'")
    await database.close()
    body = {"type": "credits", "package_id": "email-100k", "quantity": 2}
    session = (await customer("POST", "/api/v1/billing/checkout", body, status=201)).body
    (offered,) = (await customer("GET", "/api/v1/billing/invoices")).body["data"]
    before = (await customer("GET", "/api/v1/credits/email")).body["balance"]

    sent = {"query": MARK, "variables": {"input": {"invoiceId": offered["id"]}}}
    refused = (await customer("POST", "/graphql", sent)).body
    answers = await asyncio.gather(*(administrator("POST", "/graphql", sent) for _ in range(4)))

    (paid,) = (await customer("GET", "/api/v1/billing/invoices")).body["data"]
    after = (await customer("GET", "/api/v1/credits/email")).body["balance"]
    assert (session["provider"], session["url"]) == ("manual", offered["hosted_url"])
    assert (offered["status"], offered["amount_due"]["amount"]) == ("open", 8_000)
    assert code_of(refused) == "INSUFFICIENT_ROLE"
    assert sorted(map(code_of, (each.body for each in answers))) == [""] + ["INVOICE_NOT_OPEN"] * 3
    assert (paid["number"], paid["status"]) == (offered["number"], "paid")
    assert after - before == 200_000
    assert (await download(customer, paid["pdf_url"])).startswith(b"%PDF-")
    stranger = await sign_up(up, "stranger")
    path = "/billing/" + paid["pdf_url"].partition("/billing/")[2]
    assert (await stranger("GET", path, status=404)).code == "not_found"


def code_of(answer: Any) -> str:
    """Return the code of a refusal, or nothing."""
    return str(answer["errors"][0]["extensions"]["code"]) if "errors" in answer else ""


async def sign_up(up: Up, name: str) -> Curl:
    """Register, and return curl with the token."""
    curl = Curl(up.url)
    body = {
        "email": f"{name}@example.com",
        "password": PASSWORD,
        "name": name.title(),
        "organization_name": f"Example {name}",
    }
    answer = await curl("POST", "/api/v1/auth/register", body, status=201)
    curl.headers.append(f"Authorization: Bearer {answer.body['token']}")
    return curl
