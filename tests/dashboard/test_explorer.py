"""The API explorer: documents run as who is signed in, guarded like a form."""

import gzip
import json
import re

from postlane.domains.tables import Domain
from tests.client import Client
from tests.dashboard.browser import Browser, member
from tests.dashboard.test_pages import form_token_of

NAME = "{ organization { name slug } }"


async def ask(browser: Browser, slug: str, body: object, **headers: str) -> object:
    """Run a document as the explorer does."""
    return await browser._ask(
        "POST", f"/o/{slug}/graphql", {"sec-fetch-site": "same-origin", **headers}, json=body
    )


async def test_a_document_runs_for_the_organization_in_the_path(client: Client) -> None:
    browser, organization = await member(client)
    proof = form_token_of(await browser.get(f"/o/{organization.slug}"))

    answer = await ask(browser, organization.slug, {"query": NAME}, x_csrf_token=proof)

    assert answer.status_code == 200
    assert answer.json()["data"]["organization"]["slug"] == organization.slug
    assert answer.json()["extensions"]["cost"]["requested"] > 0


async def test_a_document_needs_the_proof_of_a_page_of_ours(client: Client) -> None:
    browser, organization = await member(client)
    proof = form_token_of(await browser.get(f"/o/{organization.slug}"))
    body = {"query": 'mutation { createDomain(input: {name: "new.example"}) { domain { name } } }'}

    without = await ask(browser, organization.slug, body)
    foreign = await ask(
        browser, organization.slug, body, x_csrf_token=proof, sec_fetch_site="cross-site"
    )
    nobody = await ask(Browser(client), organization.slug, body, x_csrf_token=proof)

    assert [a.status_code for a in (without, foreign, nobody)] == [403, 403, 403]
    assert not await Domain.exists().where(Domain.organization_id == organization.id)


async def test_a_stranger_runs_nothing(client: Client) -> None:
    stranger, _ = await member(client)
    _, organization = await member(client)
    proof = form_token_of(await stranger.get("/orgs"))

    answer = await ask(stranger, organization.slug, {"query": NAME}, x_csrf_token=proof)

    assert answer.status_code in (401, 404)
    assert "data" not in answer.json()
    assert organization.name not in answer.text


async def test_the_limits_are_those_of_every_client(client: Client) -> None:
    browser, organization = await member(client)
    proof = form_token_of(await browser.get(f"/o/{organization.slug}"))
    deep = "{ organization " + "{ node(id: 1) " * 40 + "{ id }" + "}" * 40 + "}"

    for query in (deep, "{ nonsense }", "{", ""):
        answer = await ask(browser, organization.slug, {"query": query}, x_csrf_token=proof)
        assert answer.json()["errors"]
        assert "Traceback" not in answer.text


async def test_the_reference_shows_types_with_what_they_mean(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}/explorer"

    root = (await browser.get(home)).text
    message = await browser.get(f"{home}?type=Message", hx_request="true", hx_target="reference")
    enum = (await browser.get(f"{home}?type=MessageStatus")).text
    nothing = (await browser.get(f"{home}?type=Nonsense")).text

    assert "<code>organization</code>" in root
    assert "<html" not in message.text
    assert "<code>subject</code>" in message.text
    assert f'href="{home}?type=MessageStatus#schema"' in message.text
    assert "<code>DELIVERED</code>" in enum
    assert "The schema has no type of the name Nonsense." in nothing


async def test_the_schema_is_for_who_is_signed_in(client: Client) -> None:
    browser, organization = await member(client)
    path = f"/o/{organization.slug}/explorer/schema"

    found = await browser.get(path)
    nobody = await Browser(client).get(path)
    stranger, _ = await member(client)

    assert {"__schema"} == set(found.json())
    assert found.headers["cache-control"].startswith("private")
    assert nobody.status_code == 303
    assert (await stranger.get(path)).status_code == 404
    names = {each["name"] for each in found.json()["__schema"]["types"]}
    assert {"Message", "Organization"} <= names
    assert len(gzip.compress(json.dumps(found.json()).encode())) < 250_000


async def test_the_files_of_the_editor_are_loaded_there_alone(client: Client) -> None:
    browser, organization = await member(client)

    there = (await browser.get(f"/o/{organization.slug}/explorer")).text
    elsewhere = (await browser.get(f"/o/{organization.slug}")).text

    assert re.search(r'src="/static/editor\.min\.[0-9a-f]+\.js" integrity="sha384-', there)
    assert "editor.min" not in elsewhere
