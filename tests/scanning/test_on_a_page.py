"""A message and a file looked at from the dashboard, by the real rspamd and the real clamd."""

import pytest

from postlane.core.actor import Role
from tests.client import Client
from tests.dashboard.browser import Browser, form_fields, member
from tests.parts import CLAMD, RSPAMD, needs
from tests.scanners import EICAR, GTUBE


async def upload(browser: Browser, page: str, content: bytes, *, name: str) -> str:
    """Send a file as a browser does, and return the page that follows."""
    fields = form_fields((await browser.get(page)).text, f"{page}/file")
    fields.pop("file")
    answer = await browser._client.request(
        "POST",
        f"{page}/file",
        headers={"cookie": f"session={browser.session}", "sec-fetch-site": "same-origin"},
        data=fields,
        files={"file": (name, content, "application/octet-stream")},
    )
    return f"{answer.status_code} {answer.text}"


@pytest.mark.slow
@needs(RSPAMD)
async def test_a_message_is_scored(client: Client, rspamd: str) -> None:
    browser, organization = await member(client)
    page = f"/o/{organization.slug}/security/scanning"

    composed = await browser.submit(
        page,
        f"{page}/message",
        {"sender": "shop@example.com", "subject": "Hello", "text": f"Hello.\n{GTUBE}"},
    )
    raw = f"From: shop@example.com\nSubject: Hi\n\nHello.\n{GTUBE}\n"
    whole = await browser.submit(page, f"{page}/message", {"raw": raw})
    nothing = await browser.submit(page, f"{page}/message")

    for answer in (composed, whole):
        assert answer.status_code == 201, answer.text
        assert ">Spam</span>" in answer.text
        assert "GTUBE" in answer.text
    assert nothing.status_code == 422
    assert 'href="#raw"' in nothing.text


@needs(CLAMD)
async def test_a_file_is_scanned(client: Client, clamd: str) -> None:
    browser, organization = await member(client)
    page = f"/o/{organization.slug}/security/scanning"

    bad = await upload(browser, page, b"x" * 100 + EICAR, name="<b>invoice.exe")
    good = await upload(browser, page, b"Hello.", name="hello.txt")
    empty = await upload(browser, page, b"", name="empty.txt")
    large = await upload(browser, page, b"x" * (27 * 2**20), name="large.bin")

    assert bad.startswith("201")
    assert ">Infected</span>" in bad
    assert "Eicar-Test-Signature" in bad
    assert "&lt;b&gt;invoice.exe" in bad
    assert good.startswith("201")
    assert ">Clean</span>" in good
    assert empty.startswith("422")
    assert "The file is empty." in empty
    assert large.startswith("413")
    assert "This is too large" in large


@pytest.mark.parametrize("role", [Role.VIEWER, Role.BILLING])
async def test_who_may_not_scan_is_told_so(client: Client, role: Role) -> None:
    browser, organization = await member(client, role=role)

    answer = await browser.get(f"/o/{organization.slug}/security/scanning")

    if role is Role.BILLING:
        assert answer.status_code == 403
    else:
        assert "Your role does not see scans of single messages and files" in answer.text
        assert "/scanning/file" not in answer.text
