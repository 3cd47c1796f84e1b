"""Templates on their pages: made, tried, kept in versions, and published."""

import json
from typing import Any

import pytest

from postlane.accounts.tables import Organization
from postlane.core.actor import Role
from postlane.core.database import fetch
from postlane.core.ids import new_id
from postlane.dashboard.drafts import read_value, shown_value
from postlane.dashboard.policy import PREVIEW
from tests.client import Client
from tests.dashboard.browser import Browser, form_values, member
from tests.dashboard.test_pages import form_token_of

MADE = {
    "slug": "receipt",
    "name": "Receipt <b>",
    "subject": "Thanks, {{ name }}",
    "html": "<p>Thanks, {{ name }}.</p>",
}


async def made(client: Client, **values: str) -> tuple[Browser, str]:
    """Return somebody, and the address of a template that they made on its page."""
    browser, organization = await member(client)
    new = f"/o/{organization.slug}/templates/new"
    # The page has one language to fill in, and room for some variables.
    answer = await browser.submit(new, new, {**MADE, **values})
    assert answer.status_code == 303, answer.text
    return browser, answer.headers["location"].partition("?")[0]


async def post(browser: Browser, page: str, action: str, values: dict[str, Any]) -> Any:
    """Send fields that may come more than once."""
    proof = form_token_of(await browser.get(page))
    return await browser.post(action, {"_csrf": proof, **values})


async def versions(at: str) -> list[dict[str, Any]]:
    return await fetch(
        "SELECT version.* FROM template_versions AS version WHERE template_id = {}::uuid "
        "ORDER BY number",
        at.rpartition("/")[2],
    )


async def test_a_template_is_made_listed_and_shown(client: Client) -> None:
    browser, at = await made(client, variable="name", given="yes")
    listed = (await browser.get(at.rpartition("/")[0])).text
    shown = (await browser.get(at)).text
    [version] = await versions(at)

    for page in (listed, shown):
        assert "Receipt &lt;b&gt;" in page
        assert "Published" in page
    assert "&lt;p&gt;Thanks, {{ name }}.&lt;/p&gt;" in shown
    assert json.loads(version["variables"]) == [{"name": "name", "default": None, "required": True}]


async def test_what_is_wrong_is_said_where_it_stands(client: Client) -> None:
    browser, organization = await member(client)
    new = f"/o/{organization.slug}/templates/new"
    texts = {
        "locale": ["", "not a language"],
        "subject": ["Hello", "Hallo"],
        "html": ["<p>{{ name</p>", "<p>Hallo</p>"],
        "text": ["", ""],
    }
    fields = {"slug": "hello", "variable": ["1 odd name"], "default": [""], "given": [""]}

    wrong = await post(browser, new, new, {**fields, **texts})
    texts["locale"] = ["", "de"]
    unread = await post(browser, new, new, {"slug": "hello", **texts})
    nothing = await post(browser, new, new, {"slug": "hello", "html": ""})

    assert wrong.status_code == unread.status_code == nothing.status_code == 422
    assert 'href="#locale-1"' in wrong.text
    assert 'href="#variable-0"' in wrong.text
    assert 'value="not a language"' in wrong.text
    assert 'href="#html-0"' in unread.text
    assert "Write at least one text." in nothing.text
    assert await fetch("SELECT FROM templates WHERE organization_id = {}", organization.id) == []


async def test_saving_keeps_every_language_and_default(client: Client) -> None:
    browser, at = await made(client)
    written = {
        "locale": ["", "de"],
        "subject": ["Hi", "Hallo"],
        "html": ["<p>Hi\r\nthere</p>", "<p>Hallo</p>"],
        "text": ["", "Hallo"],
        "variable": ["n", "word", "list", "quoted", ""],
        "default": ["5", "plain", '[1, "a"]', '"5"', ""],
        "given": ["", "", "", "", "yes"],
    }

    await post(browser, at, at, written)
    again = await browser.get(at)
    # The page as it is shown, sent without a change.
    shown = form_values(again.text, f"{at}?version=2")
    await post(browser, at, at, shown)
    first, second, third = await versions(at)

    assert json.loads(second["texts"])[""]["html"] == "<p>Hi\nthere</p>"
    assert [each["default"] for each in json.loads(second["variables"])] == [
        5,
        "plain",
        [1, "a"],
        "5",
    ]
    assert json.loads(third["texts"]) == json.loads(second["texts"])
    assert json.loads(third["variables"]) == json.loads(second["variables"])
    assert first["number"] == 1


@pytest.mark.parametrize(
    "value",
    ["plain", "", "5", "true", "null", '"quoted"', "[1", 5, 1.5, False, [1, {"a": None}]],
    ids=repr,
)
def test_a_default_is_read_as_it_was_shown(value: object) -> None:
    assert read_value(shown_value(value)) == value


def test_what_json_does_not_have_stays_a_text() -> None:
    assert [read_value(text) for text in ("NaN", "-Infinity", "[" * 100_000)] == [
        "NaN",
        "-Infinity",
        "[" * 100_000,
    ]


async def test_a_draft_is_tried_and_nothing_is_kept(client: Client) -> None:
    browser, at = await made(client, variable="name", given="yes")
    draft = {"html": "<p>{{ name }}</p><script>1</script>", "values": '{"name": "A<b>"}'}

    tried = await post(browser, at, f"{at}/try", draft)
    new = await post(
        browser, at, f"{at.rpartition('/')[0]}/new/try", {"html": "{{a}}", "syntax": "BRACES"}
    )
    wrong = await post(browser, at, f"{at}/try", {"html": "<p>{{ name</p>"})
    odd = await post(browser, at, f"{at}/try", {"html": "Hi", "values": "no object"})
    stored = await browser.get(f"{at}/preview?version=1")

    assert tried.status_code == 201
    assert 'srcdoc="&lt;!doctype html&gt;' in tried.text
    assert "&gt;&lt;p&gt;A&amp;lt;b&amp;gt;&lt;/p&gt;&lt;script&gt;" in tried.text
    assert "<script>" not in tried.text
    assert new.status_code == 201
    assert (wrong.status_code, odd.status_code, stored.status_code) == (422, 422, 200)
    assert "Nothing comes of it" in wrong.text
    assert "Write an object." in odd.text
    assert "A message has to give: name." in stored.text
    for answer in (tried, new, wrong, odd, stored):
        assert answer.headers["content-security-policy"] == PREVIEW
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert len(await versions(at)) == 1


async def test_a_version_is_published_and_the_one_before_again(client: Client) -> None:
    browser, at = await made(client)
    saved = await post(browser, at, at, {"subject": "New", "html": "<p>New</p>"})
    draft = (await browser.get(at)).text

    published = await post(browser, at, f"{at}/publish", {"number": "2"})
    old = await post(browser, at, f"{at}/publish", {"number": "1"})
    absent = await post(browser, at, f"{at}/publish", {"number": "3"})
    rows = await fetch("SELECT latest, published FROM templates WHERE id = {}::uuid", at[-36:])

    assert saved.headers["location"] == f"{at}?done=template-saved"
    assert "Publish version 2" in draft
    assert published.headers["location"] == old.headers["location"]
    assert absent.status_code == 422
    assert (rows[0]["latest"], rows[0]["published"]) == (2, 1)
    first = (await browser.get(f"{at}?version=1")).text
    assert "Thanks, {{ name }}" in first
    assert "Publish version 1" not in first


async def test_a_template_is_renamed_and_deleted(client: Client) -> None:
    browser, at = await made(client)

    unnamed = await browser.submit(at, f"{at}/rename", {"name": ""})
    renamed = await browser.submit(at, f"{at}/rename", {"name": "Bill"})
    deleted = await browser.submit(at, f"{at}/delete")

    assert unnamed.status_code == 422
    assert 'href="#name"' in unnamed.text
    assert renamed.headers["location"] == f"{at}?done=saved"
    assert deleted.headers["location"] == f"{at.rpartition('/')[0]}?done=template-deleted"
    assert (await browser.get(at)).status_code == 404


async def test_who_may_only_read_sees_sources_and_no_form(client: Client) -> None:
    owner, at = await made(client)
    slug = at.split("/")[2]
    organization = await Organization.objects().get(Organization.slug == slug)
    assert organization is not None
    viewer, _ = await member(client, organization, role=Role.VIEWER)
    billing, _ = await member(client, organization, role=Role.BILLING)

    shown = await viewer.get(at)
    forced = await post(viewer, "/orgs", f"{at}/publish", {"number": "1"})
    tried = await viewer.get(f"{at}/preview")

    assert "&lt;p&gt;Thanks, {{ name }}.&lt;/p&gt;" in shown.text
    assert "<textarea" not in shown.text
    assert forced.status_code == 422
    assert tried.status_code == 200
    assert (await billing.get(at)).status_code == 403
    assert (await owner.get(at)).status_code == 200


async def test_a_strangers_template_is_not_there(client: Client) -> None:
    _, theirs = await made(client)
    browser, organization = await member(client)
    id, home = theirs[-36:], f"/o/{organization.slug}/templates"

    looks = [
        await browser.get(f"{home}/{id}{path}") for path in ("", "?version=1", "/preview?version=1")
    ]
    absent = await browser.get(f"{home}/{new_id()}")
    forms = [
        await post(browser, "/orgs", f"{home}/{id}{path}", {"html": "x", "number": "1"})
        for path in ("", "/try", "/publish", "/rename", "/delete")
    ]

    assert [look.status_code for look in looks] == [404, 404, 404]
    assert absent.status_code == 404
    assert "Thanks" not in "".join(each.text for each in (*looks, *forms))
    assert all(form.status_code in (404, 422) for form in forms)
    assert len(await versions(theirs)) == 1
