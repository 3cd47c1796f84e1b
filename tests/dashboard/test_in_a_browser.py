"""The core pages in Chromium: no fault of accessibility, policy or script, in every look."""

from datetime import timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from postlane.accounts.tables import Organization
from postlane.core import clock
from postlane.core.database import fetch
from postlane.templates.operations import NewTemplate, create_template
from postlane.templates.rules import NewVersion, TemplateText, Variable
from postlane.vmtas.tables import Vmta, VmtaWarmup, WarmupDay
from tests.dashboard.chromium import LOOKS, Watched, signed_in
from tests.dashboard.test_pages import SIMPLE
from tests.dashboard.test_security import stopped
from tests.factories import make_actor, make_ingress_mailbox, make_webhook
from tests.parts import CHROMIUM, NODE, needs, needs_npm_package
from tests.people import PASSWORD, new_person

pytestmark = [needs(CHROMIUM), needs(NODE), needs_npm_package("axe-core"), pytest.mark.slow]


async def signed_up(page: Page, url: str) -> str:
    """Register somebody through the pages and return where they land."""
    new = new_person()
    await page.goto(f"{url}/register")
    await page.fill("#name", new["name"])
    await page.fill("#organization", new["organizationName"])
    await page.fill("#email", new["email"])
    await page.fill("#password", PASSWORD)
    await page.click("button.main")
    await page.wait_for_url("**/o/**")
    return page.url


@pytest.mark.parametrize("look", LOOKS)
async def test_the_core_pages_are_sound(chromium: Browser, url: str, look: str) -> None:
    context = await chromium.new_context(**LOOKS[look])  # type: ignore[arg-type]
    watched = Watched(await context.new_page())
    page = watched.page
    found: dict[str, list[str]] = {}

    for path in ("/login", "/register", "/reset"):
        await page.goto(url + path)
        found[path] = await watched.faults()
    home = await signed_in(context, url, operator=True)
    await page.goto(f"{home}/domains")
    await page.fill("#name", f"{look}-{home.rpartition('-')[2]}.example")
    await page.click("main button.main")
    await page.wait_for_url("**/domains/*")
    found["domain"] = await watched.faults()
    paths = [*SIMPLE, "/messages?q=nothing", "/queues?domain=nothing.example"]
    for path in paths:
        await page.goto(home + path)
        found[path or "overview"] = await watched.faults()
    slug = home.rpartition("/")[2]
    vmta = await make_vmta(slug)
    organization = await Organization.objects().where(Organization.slug == slug).first()
    assert organization is not None
    hook, _, _ = await make_webhook(organization, "https://hooks.example/mail")
    mailbox, _, _ = await make_ingress_mailbox(organization.id, "desk")
    for path in (
        f"/vmtas/{vmta}",
        f"/webhooks/{hook}/try",
        f"/mailboxes/{mailbox}",
        "/explorer?type=Nonsense",
        "/developers?tab=node",
    ):
        await page.goto(home + path)
        found[path] = await watched.faults()
    template = await make_template(slug)
    await make_block(slug)
    for path in (f"/templates/{template}", "/security", "/security?scope=QUEUE"):
        await page.goto(home + path)
        await page.wait_for_load_state("networkidle")
        found[path] = await watched.faults()
    for path in (*OUTSIDE, "/gallery", "/gallery?theme=dark"):
        await page.goto(url + path)
        found[path] = await watched.faults()
    for path in (f"/admin/orgs/{slug}", "/admin/orgs?search=nothing+like+it"):
        await page.goto(url + path)
        found[path] = await watched.faults()
    await context.close()

    assert {path: faults for path, faults in found.items() if faults} == {}
    assert watched.complaints == []


async def test_from_sign_up_to_a_key_without_script(chromium: Browser, url: str) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()

    home = await signed_up(page, url)
    await page.click("nav.side >> text=API keys")
    await page.fill("#name", "Shop")
    await page.click("main button.main")
    secret = await page.text_content("code.secret")
    await page.click("text=Sign out")

    assert home.startswith(f"{url}/o/")
    assert secret is not None
    assert secret.startswith("pmta_")
    assert page.url == f"{url}/login?done=signed-out"
    await context.close()


async def test_by_keyboard_alone(chromium: Browser, url: str) -> None:
    context = await chromium.new_context()
    page = await context.new_page()
    home = await signed_in(context, url)

    await page.goto(f"{home}/messages")
    await page.keyboard.press("Tab")
    skipped = await page.evaluate("document.activeElement.textContent")
    await page.keyboard.press("/")
    searching = await page.evaluate("document.activeElement.id")
    await page.keyboard.type("to:nobody.example")
    await page.wait_for_selector("text=Nothing matches")
    address = page.url
    await page.go_back()
    await page.wait_for_selector("text=No messages yet")

    assert skipped == "To the content"
    assert searching == "q"
    assert "q=to%3Anobody.example" in address
    await context.close()


async def test_what_cannot_be_taken_back_is_asked_first(chromium: Browser, url: str) -> None:
    context = await chromium.new_context()
    page = await context.new_page()
    home = await signed_in(context, url)
    await page.goto(f"{home}/keys")
    await page.fill("#name", "Shop")
    await page.click("main button.main")

    await page.goto(f"{home}/keys")
    await page.click("main >> text=Rotate")
    await page.click("dialog >> text=Leave it")
    kept = await page.locator("th[scope=row]").count()
    await page.click("main >> text=Rotate")
    await page.click("dialog >> text=Yes, do it")
    await page.wait_for_selector("code.secret")

    assert kept == 1
    await context.close()


async def test_what_is_removed_is_taken_back(chromium: Browser, url: str) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    home = await signed_in(context, url)
    await page.goto(f"{home}/suppressions")
    await page.click("text=Stop sending to an address")
    await page.fill("#address", "gone@example.net")
    await page.click("form[action$='/suppressions'] >> text=Stop sending")
    await page.wait_for_url("**/suppressions?done=suppression-added")

    await page.click("td >> text=Remove")
    await page.wait_for_url("**/suppressions?done=removal-begun")
    waiting = await page.text_content("tbody")
    await page.click("text=Undo")
    await page.wait_for_url("**/suppressions?done=removal-undone")

    assert waiting is not None
    assert "Is being removed" in waiting
    assert await page.locator("td >> text=Remove").count() == 1
    await context.close()


OUTSIDE = ("/orgs", "/account", "/explorer", "/admin/orgs", "/admin/health")
"""Pages of no organization."""


async def make_template(slug: str) -> str:
    """Give an organization a template with two languages, and return its id."""
    organization = await Organization.objects().get(Organization.slug == slug)
    texts = [
        TemplateText(None, "Thanks, {{ name }}", "<h1>Thanks, {{ name }}</h1>"),
        TemplateText("de", "Danke", "<script>alert(1)</script><p>Danke, {{ name }}</p>"),
    ]
    version = NewVersion(
        texts=texts,
        variables=[Variable("name", is_required=True), Variable("company", "Shop Ltd")],
        sender="Shop <shop@example.com>",
    )
    row = await create_template(
        await make_actor(organization), NewTemplate(slug="receipt", version=version)
    )
    return str(row.id)


async def make_block(slug: str) -> None:
    """Give an organization a block of one of its domains."""
    rows = await fetch("SELECT id FROM organizations WHERE slug = {}", slug)
    await stopped(rows[0]["id"])


async def make_vmta(slug: str) -> str:
    """Give an organization a vMTA that is warmed up, and return its id."""
    rows = await fetch("SELECT id FROM organizations WHERE slug = {}", slug)
    vmta = Vmta(organization_id=rows[0]["id"], name="tx-1", hostname="tx-1.example.com")
    await vmta.save()
    today = clock.now().date()
    await VmtaWarmup(
        vmta_id=vmta.id,
        schedule="standard",
        target_daily_volume=50_000,
        start_on=today - timedelta(days=4),
        state="active",
        day=5,
        day_on=today,
    ).save()
    for day, sent in enumerate((80, 97, 100, 180), start=1):
        await WarmupDay(
            vmta_id=vmta.id,
            ended_on=today - timedelta(days=5 - day),
            day=day,
            sent=sent,
            rerouted=0,
            action="advance",
        ).save()
    return str(vmta.id)


async def test_the_palette_goes_anywhere_by_keys(chromium: Browser, url: str) -> None:
    context = await chromium.new_context(reduced_motion="reduce")
    watched = Watched(await context.new_page())
    page = watched.page
    home = await signed_in(context, url)
    await page.goto(home)

    await page.keyboard.press("Control+k")
    await page.wait_for_selector("#palette #jump a")
    faults = await watched.faults()
    await page.keyboard.type("suppr")
    await expect(page.locator("#jump a")).to_have_count(1)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/suppressions")
    await page.keyboard.press("g")
    await page.keyboard.press("m")
    await page.wait_for_url("**/messages")
    await page.keyboard.press("?")
    await page.wait_for_selector("dialog[open] >> text=Go to a page")
    helped = await watched.faults()
    await page.keyboard.press("Escape")

    assert (faults, helped, watched.complaints) == ([], [], [])
    await context.close()


async def test_single_keys_can_be_switched_off(chromium: Browser, url: str) -> None:
    context = await chromium.new_context()
    page = await context.new_page()
    home = await signed_in(context, url)
    await page.goto(f"{url}/account")
    await page.uncheck("[name=shortcuts]")
    await page.click("form[action='/account/looks'] button")
    await page.wait_for_url("**/account?done=saved")
    await page.goto(home)

    await page.keyboard.press("g")
    await page.keyboard.press("m")
    await page.keyboard.press("?")
    await page.wait_for_timeout(300)
    stayed, helped = page.url, await page.locator("dialog[open]").count()
    await page.keyboard.press("Control+k")

    assert (stayed, helped) == (home, 0)
    assert await page.locator("#palette[open]").count() == 1
    await context.close()


async def test_a_document_is_written_completed_and_run(chromium: Browser, url: str) -> None:
    context = await chromium.new_context()
    watched = Watched(await context.new_page())
    page = watched.page
    home = await signed_in(context, url)
    await page.goto(f"{home}/explorer")
    editor = page.locator("#document .cm-content")
    await editor.wait_for()

    await editor.click()
    await page.keyboard.press("Control+a")
    await page.keyboard.type("{ organization { slu")
    await page.locator("#document .cm-tooltip-autocomplete >> text=slug").first.wait_for()
    # A key that comes at once is taken for typing, not for an answer to what has just appeared.
    await page.wait_for_timeout(500)
    await page.keyboard.press("Enter")
    await expect(editor).to_contain_text("slug")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#answer")).to_contain_text("slug")
    answer = await page.text_content("#answer")
    faults = await watched.faults()
    await page.reload()
    await editor.wait_for()
    kept = await page.locator("#history option").count()
    await editor.click()
    await page.keyboard.press("Control+a")
    await page.keyboard.type("mutation M { logOut { loggedOut } }")
    await page.click("#run")
    told = await page.text_content("#told")

    assert answer is not None
    assert f'"slug": "{home.rpartition("/")[2]}"' in answer
    assert kept == 2
    assert told == "This changes things. Tick \u201cLet it change things\u201d if it should."
    assert (faults, watched.complaints) == ([], [])
    await context.close()
