"""Numbers of invoices: one after another, whatever happens to those who take them."""

import asyncio
import base64
import random
from io import BytesIO

import pytest
from pypdf import PdfReader

from postlane.billing.documents import as_html, as_pdf
from postlane.billing.tables import InvoiceLine
from postlane.core.actor import OrganizationId
from postlane.core.database import fetch, transaction
from tests.billing.setup import make_invoice, new_invoice
from tests.client import Client
from tests.factories import make_actor, make_organization

HOSTILE = '"><script>alert(1)</script> #eval("1+1") $x^2$ *bold* @ref \\ Żółć Ὀδυσσεύς Привет'


class Undone(Exception):
    """Something goes wrong after the number was taken."""


async def numbers(organization_id: OrganizationId) -> list[int]:
    rows = await fetch(
        "SELECT nth FROM invoices WHERE organization_id = {} ORDER BY nth", organization_id
    )
    return [row["nth"] for row in rows]


async def last() -> int:
    rows = await fetch("SELECT coalesce(max(nth), 0) AS n FROM invoices")
    found: int = rows[0]["n"]
    return found


async def test_numbers_have_no_gaps_under_parallel_creation_and_rollback(database: None) -> None:
    owners = [OrganizationId((await make_organization()).id) for _ in range(4)]
    before, random_ = await last(), random.Random(7)

    async def make(owner: OrganizationId, *, fails: bool) -> None:
        async with transaction() as tx:
            await new_invoice(tx, owner)
            await asyncio.sleep(random_.random() / 100)
            if fails:
                raise Undone

    done = await asyncio.gather(
        *(make(owners[n % 4], fails=n % 3 == 0) for n in range(48)), return_exceptions=True
    )

    made = sorted([n for owner in owners for n in await numbers(owner)])
    assert sum(isinstance(each, Undone) for each in done) == 16
    assert [each for each in done if each is not None and not isinstance(each, Undone)] == []
    assert made == list(range(before + 1, before + 33))


async def test_an_invoice_keeps_whom_it_was_made_out_to(client: Client) -> None:
    organization = await make_organization(name="Old Name")
    actor = await make_actor(organization)
    invoice = await make_invoice(OrganizationId(organization.id))
    await client.data(
        "mutation ($input: UpdateBillingDetailsInput!) { updateBillingDetails(input: $input) "
        "{ details { legalName address { city country } } } }",
        {"input": {"legalName": "New Name Ltd", "city": "London", "country": "GB"}},
        actor=actor,
    )

    later = await make_invoice(OrganizationId(organization.id))

    assert "Old Name" in as_html(invoice, [])
    assert "New Name Ltd" in as_html(later, [])


async def test_what_people_call_themselves_is_data_in_page_and_pdf(database: None) -> None:
    organization = await make_organization(name=HOSTILE[:100])
    invoice = await make_invoice(OrganizationId(organization.id), name=HOSTILE)
    lines = await InvoiceLine.objects().where(InvoiceLine.invoice_id == invoice.id)

    page = as_html(invoice, lines)
    pdf = base64.b64decode(await as_pdf(invoice, lines))
    text = "".join(each.extract_text() for each in PdfReader(BytesIO(pdf)).pages)

    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert '#eval("1+1")' in text
    assert "Привет" in text
    assert invoice.number in text
    assert "USD 40.00" in text


async def test_the_same_invoice_is_the_same_file(database: None) -> None:
    invoice = await make_invoice(OrganizationId((await make_organization()).id))

    assert await as_pdf(invoice, []) == await as_pdf(invoice, [])


async def test_a_long_invoice_has_several_pages(database: None) -> None:
    invoice = await make_invoice(OrganizationId((await make_organization()).id))
    (line,) = await InvoiceLine.objects().where(InvoiceLine.invoice_id == invoice.id)

    pdf = base64.b64decode(await as_pdf(invoice, [line] * 60))

    assert len(PdfReader(BytesIO(pdf)).pages) == 3


@pytest.mark.parametrize(
    ("input", "field"),
    [
        ({"country": "Britain"}, "country"),
        ({"billingEmail": "nobody"}, "billingEmail"),
        ({"legalName": "x" * 201}, "legalName"),
        ({"line1": "a\nb"}, "line1"),
    ],
)
async def test_details_that_cannot_be_are_refused(
    client: Client, input: dict[str, str], field: str
) -> None:
    actor = await make_actor()

    body = await client.graphql(
        "mutation ($input: UpdateBillingDetailsInput!) { updateBillingDetails(input: $input) "
        "{ details { legalName } } }",
        {"input": input},
        actor=actor,
    )

    assert body["errors"][0]["extensions"]["details"][0]["field"] == field


async def test_names_of_every_script_are_in_the_file_or_stand_as_boxes(database: None) -> None:
    name = "中文有限公司 شركة 😀 עברית"
    organization = await make_organization(name=name)
    invoice = await make_invoice(OrganizationId(organization.id), name=name)
    lines = await InvoiceLine.objects().where(InvoiceLine.invoice_id == invoice.id)

    page = as_html(invoice, lines)
    pdf = base64.b64decode(await as_pdf(invoice, lines))
    (sheet,) = PdfReader(BytesIO(pdf)).pages

    assert name in page
    text = sheet.extract_text()
    assert text.count("شركة") == text.count("עברית") == 2
    # The fonts have neither Chinese nor emoji; what is missing is drawn all the same, as glyph 0.
    assert sheet["/Contents"].get_data().count(b"<0000") + text.count("\0") >= 2


async def test_files_cost_more_than_what_is_written_in_them(client: Client) -> None:
    actor = await make_actor()
    asked = "{ organization { billing { invoices(first: 100) { nodes { %s } } } } }"

    number, pdf = [
        (await client.graphql(asked % name, actor=actor))["extensions"]["cost"]["requested"]
        for name in ("number", "pdf")
    ]

    assert pdf - number == 1_900
