"""Buying by curl: a page of the provider's, a webhook, credits, and the invoice as a file."""

import asyncio
import json

from tests.stripe_server import signed

from .curl import Curl
from .shop import sign_up
from .stack import World, connect

PACKAGE = """
INSERT INTO credit_packages (id, code, name, type, quantity, price_amount, price_currency,
    validity_days, available, created_at, updated_at)
VALUES (gen_random_uuid(), 'email-100k', '100,000 emails', 'email', 100000, 4000, 'USD', 365,
    true, now(), now())
ON CONFLICT DO NOTHING
"""


async def test_credits_are_bought_and_the_invoice_is_downloaded(world: World) -> None:
    database = await connect(world)
    await database.execute(PACKAGE)
    await database.close()
    curl = await sign_up(world)
    body = {"type": "credits", "package_id": "email-100k"}
    session = (await curl("POST", "/api/v1/billing/checkout", body, status=201)).body
    before = (await curl("GET", "/api/v1/credits/email")).body

    told = world.stripe.pay(session["url"].rpartition("/")[2])
    text = json.dumps(told)
    header = f"Stripe-Signature: {signed(text.encode())}"
    first, second = [
        await Curl(world.url)("POST", "/internal/billing/stripe", told, header) for _ in range(2)
    ]

    after = (await curl("GET", "/api/v1/credits/email")).body
    (invoice,) = (await curl("GET", "/api/v1/billing/invoices")).body["data"]
    assert [first.body["outcome"], second.body["outcome"]] == ["done", "seen"]
    assert (before["balance"], after["balance"]) == (10_000, 110_000)
    assert (invoice["status"], invoice["total"]) == ("paid", {"amount": 4000, "currency": "USD"})
    assert (await download(curl, invoice["pdf_url"])).startswith(b"%PDF-")
    assert invoice["number"].encode() in await download(curl, invoice["hosted_url"])


async def download(curl: Curl, url: str) -> bytes:
    """Return what curl fetches from an address of the deployment."""
    path = "/billing/" + url.partition("/billing/")[2]
    headers = [word for header in curl.headers for word in ("-H", header)]
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "-f", *headers, curl.url + path, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out
