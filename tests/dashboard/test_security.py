"""The security pages: what is stopped and why, and forms that do what they say."""

import re
from typing import Any

import pytest

from postlane.blocklists.tables import Listing
from postlane.core.actor import Role
from postlane.core.database import fetch
from postlane.domains.tables import Domain
from postlane.protection.catalogue import all_rules
from postlane.protection.tables import Block
from postlane.vmtas.tables import Vmta
from tests.client import Client
from tests.dashboard.browser import member
from tests.dashboard.test_overseeing import operator
from tests.dashboard.test_pages import form_token_of
from tests.factories import make_domain, make_organization


async def stopped(organization_id: Any, **changes: Any) -> tuple[Block, Domain]:
    """Return a block of an organization's domain, as a rule would have made it."""
    domain = await make_domain(organization_id)
    block = Block(
        **{
            "organization_id": organization_id,
            "rule_key": "high_bounce_rate",
            "scope": "domain",
            "target_id": str(domain.id),
            "target_name": domain.name,
            "action": "block_sending",
            "status": "active",
            "metric_value": 8.25,
            "threshold": 5.0,
            "sample_size": 1_200,
            "reason": "Hard bounce rate 8.25 % over 1 hour (threshold 5 %).",
            "evidence": '{"delivered": 1101, "hard_bounced": 99, "zones": ["a.example"]}',
            **changes,
        }
    )
    await block.save()
    await fetch("UPDATE domains SET blocked_by = {} WHERE id = {}", block.id, domain.id)
    return block, domain


async def test_a_block_is_shown_with_why_and_released(client: Client) -> None:
    browser, organization = await member(client)
    block, domain = await stopped(organization.id)
    home = f"/o/{organization.slug}/security"

    shown = await browser.get(home)
    part = await browser.get(f"{home}?scope=VMTA", hx_request="true", hx_target="found")
    refused = await browser.submit(
        home, f"{home}/blocks/{block.id}/resolve", {"note": "x" * 501, "grace": "0"}
    )
    released = await browser.submit(
        home, f"{home}/blocks/{block.id}/resolve", {"note": "A list was bought", "grace": "0"}
    )
    rows = await fetch("SELECT * FROM auto_blocks WHERE id = {}", block.id)
    domains = await fetch("SELECT blocked_by FROM domains WHERE id = {}", domain.id)

    for said in (domain.name, "8.25 %", "1\u202f101", "a.example", "somebody releases it"):
        assert said in shown.text, said
    assert "Nothing of this kind is stopped" in part.text
    assert "<html" not in part.text
    assert refused.status_code == 422
    assert 'href="#note"' in refused.text
    assert 'aria-invalid="true"' in refused.text
    assert released.headers["location"] == f"{home}?done=block-resolved"
    assert (rows[0]["status"], rows[0]["note"]) == ("resolved", "A list was bought")
    assert domains[0]["blocked_by"] is None
    assert "No blocks" in (await browser.get(home)).text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
async def test_who_may_only_look_finds_no_form(client: Client, role: Role) -> None:
    browser, organization = await member(client, role=role)
    block, _ = await stopped(organization.id)
    home = f"/o/{organization.slug}/security"
    proof = form_token_of(await browser.get("/orgs"))

    pages = [await browser.get(home + path) for path in ("", "/rules", "/greylisting", "/scanning")]
    forced = [
        await browser.post(path, {"_csrf": proof})
        for path in (
            f"{home}/blocks/{block.id}/resolve",
            f"{home}/rules/high_bounce_rate",
            f"{home}/greylisting",
            f"{home}/scanning",
            f"{home}/blocklists/forget",
        )
    ]
    row = await Block.objects().get(Block.id == block.id)

    assert [page.status_code for page in pages] == [200] * 4
    assert not any("Release" in page.text or ">Save<" in page.text for page in pages)
    assert [answer.status_code for answer in forced] == [422] * 5
    assert all("may not" in answer.text or "role" in answer.text for answer in forced)
    assert row is not None
    assert row.status == "active"


async def test_a_strangers_block_is_not_there(client: Client) -> None:
    _, theirs = await member(client)
    block, domain = await stopped(theirs.id)
    browser, own = await member(client)
    home = f"/o/{own.slug}/security"
    proof = form_token_of(await browser.get("/orgs"))

    answer = await browser.post(f"{home}/blocks/{block.id}/resolve", {"_csrf": proof})
    row = await Block.objects().get(Block.id == block.id)

    assert answer.status_code == 422
    assert domain.name not in answer.text
    assert domain.name not in (await browser.get(home)).text
    assert row is not None
    assert row.status == "active"


async def test_a_rule_is_tried_and_switched(client: Client) -> None:
    browser, organization = await member(client)
    rules = f"/o/{organization.slug}/security/rules"

    shown = await browser.get(rules)
    tried = await browser.submit(rules, f"{rules}/high_bounce_rate", {"dry": "yes"})
    proof = form_token_of(shown)
    off = await browser.post(f"{rules}/deferral_spike", {"_csrf": proof, "enabled": "no"})
    absent = await browser.post(f"{rules}/no-such-rule", {"_csrf": proof, "enabled": "no"})
    switched = await fetch(
        "SELECT rule_key, enabled, dry_run FROM auto_block_switches WHERE organization_id = {} "
        "ORDER BY rule_key",
        organization.id,
    )

    assert all(rule.name in shown.text for rule in all_rules().values())
    assert tried.headers["location"] == off.headers["location"] == f"{rules}?done=rule-switched"
    assert absent.status_code == 422
    assert [tuple(row.values()) for row in switched] == [
        ("deferral_spike", False, False),
        ("high_bounce_rate", True, True),
    ]
    assert "Dry run" in (await browser.get(rules)).text


async def test_a_rule_says_one_time_and_three_times(client: Client) -> None:
    browser, organization = await member(client)

    shown = (await browser.get(f"/o/{organization.slug}/security/rules")).text

    cells = [re.sub(r"\s+", " ", cell) for cell in re.findall(r"<td>(.*?)</td>", shown, re.DOTALL)]
    assert "1 time its address is on a list by which many receivers refuse" in cells
    assert any(cell.startswith("5 % of what ended bounced hard") for cell in cells)
    assert not [cell for cell in cells if cell.startswith("1 ") and "times" in cell]


async def test_a_listing_leads_to_where_one_asks_to_be_taken_off(client: Client) -> None:
    browser, organization = await member(client)
    _, other = await member(client)
    for each, address in ((organization, "192.0.2.9"), (other, "192.0.2.77")):
        vmta = Vmta(organization_id=each.id, name="tx", hostname="tx.example.com")
        await vmta.save()
        await Listing(
            organization_id=each.id,
            vmta_id=vmta.id,
            ip_address=address,
            zone="zen.spamhaus.org",
            severity="high",
            codes=["127.0.0.2"],
            reason="Sends what nobody wants",
        ).save()

    shown = (await browser.get(f"/o/{organization.slug}/security/blocklists")).text

    assert "192.0.2.9" in shown
    assert "192.0.2.77" not in shown
    assert "Sends what nobody wants" in shown
    assert "Ask to be taken off" in shown


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        ("", "not a domain name"),
        ("not a name", "not a domain name"),
        ("10.0.0.1", "not public"),
        ("::1", "not public"),
    ],
)
async def test_what_no_list_can_know_is_refused_at_the_field(
    client: Client, subject: str, why: str
) -> None:
    browser, organization = await member(client)
    page = f"/o/{organization.slug}/security/blocklists"

    answer = await browser.submit(page, f"{page}/check", {"subject": subject})

    assert answer.status_code == 422
    assert 'href="#subject"' in answer.text
    assert why in answer.text


async def test_greylisting_keeps_what_is_said_and_leaves_the_rest_open(client: Client) -> None:
    browser, organization = await member(client)
    page = f"/o/{organization.slug}/security/greylisting"
    said = {"enabled": "yes", "delay": "120", "exempt": "Example.com\n198.51.100.0/24"}

    saved = await browser.submit(page, page, said)
    again = await browser.submit(page, page)
    refused = await browser.submit(page, page, {"delay": "soon", "exempt": "not a / domain"})
    row = (
        await fetch("SELECT * FROM greylist_policies WHERE organization_id = {}", organization.id)
    )[0]
    shown = (await browser.get(page)).text

    assert saved.headers["location"] == again.headers["location"] == f"{page}?done=saved"
    # Saved as it was shown, nothing of the deployment's has become the organization's own.
    assert (row["enabled"], row["delay_seconds"], row["max_age_seconds"]) == (True, 120, None)
    assert row["exempt"] == ["example.com", "198.51.100.0/24"]
    assert refused.status_code == 422
    assert 'href="#delay"' in refused.text
    assert 'href="#exempt"' in refused.text
    assert "not a / domain" in refused.text
    assert "example.com\n198.51.100.0/24</textarea>" in shown


async def test_a_scan_policy_asks_for_a_scanner_that_there_is(client: Client) -> None:
    browser, organization = await member(client)
    page = f"/o/{organization.slug}/security/scanning"

    without = await browser.submit(page, page, {"outgoing_virus": "yes"})
    wrong = await browser.submit(page, page, {"threshold": "many"})
    saved = await browser.submit(page, page, {"outgoing_spam": "no", "down": "PASS"})
    rows = await fetch("SELECT * FROM scan_policies WHERE organization_id = {}", organization.id)

    assert without.status_code == 422
    assert "virus scanner" in without.text
    assert wrong.status_code == 422
    assert 'href="#threshold"' in wrong.text
    assert saved.headers["location"] == f"{page}?done=saved"
    assert len(rows) == 1
    assert (rows[0]["outgoing_spam"], rows[0]["when_down"]) == (False, "pass")
    assert rows[0]["outgoing_virus"] is None


async def test_how_every_part_is_comes_as_a_part(client: Client) -> None:
    browser, organization = await member(client)
    home = f"/o/{organization.slug}/security"

    whole = await browser.get(f"{home}/status")
    part = await browser.get(f"{home}/status", hx_request="true", hx_target="parts")
    lead = await browser.get(home)

    assert "Virus scanner" in whole.text
    assert "This deployment has none." in part.text
    assert "<html" not in part.text
    assert f'hx-get="{home}/status"' in lead.text
    assert f'<noscript><p><a href="{home}/status">' in lead.text


async def test_an_operator_says_how_strictly_rules_judge(client: Client) -> None:
    browser, organization = await operator(client), await make_organization()
    page = f"/admin/orgs/{organization.slug}"

    saved = await browser.submit(page, f"{page}/judging", {"policy": "STRICT"})
    shown = await browser.get(page)
    stranger, _ = await member(client)
    refused = await stranger.post(
        f"{page}/judging",
        {
            "_csrf": form_token_of(await stranger.get("/orgs")),
            "id": str(organization.id),
            "policy": "NONE",
        },
    )
    rows = await fetch(
        "SELECT strictness FROM auto_block_strictness WHERE organization_id = {}", organization.id
    )

    assert saved.headers["location"] == f"{page}?done=organization-judged"
    assert '<option value="STRICT" selected>' in shown.text
    assert refused.status_code in (403, 404, 422)
    assert [row["strictness"] for row in rows] == ["strict"]
