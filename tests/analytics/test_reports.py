"""Reports and leave to write files: complete, logged, limited."""

import base64
from datetime import timedelta
from typing import Any

import pytest

from postlane.analytics.charts import bars
from postlane.core import clock
from postlane.core.database import fetch
from tests.client import Client
from tests.factories import make_actor, make_domain

from .setup import make_mail, roll_up_all, tell
from .test_answers import NOW, campaign

REPORT = """
    mutation ($input: GenerateAnalyticsReportInput!) {
      generateAnalyticsReport(input: $input) { report {
      uuid organizationName period { from to label }
      summary { metrics { accepted delivered } previous { accepted } }
      series { interval points { metrics { accepted } } }
      providers { isp health } breakdown { parts { key } }
      bounceReasons { total } trends { metric assessment }
      reputation { complaintRate domainsNotEnforcingDmarc }
      findings { severity code message } html pdf } } }
"""
EXPORT = """
    mutation ($input: ExportAnalyticsInput!) { exportAnalytics(input: $input) {
      dataset rows period { label } } }
"""


async def logged(organization_id: object, action: str) -> list[dict[str, Any]]:
    rows = await fetch(
        "SELECT target_id, changes FROM audit_entries WHERE organization_id = {} AND action = {}",
        organization_id,
        action,
    )
    return [dict(row) for row in rows]


async def test_a_report_tells_everything_and_is_logged(client: Client) -> None:
    with clock.frozen(NOW):
        actor = await make_actor()
        domain = await make_domain(actor.organization_id)
        await fetch(
            "INSERT INTO domain_records (id, domain_id, purpose, type, name, value, required, "
            "status, found, checked_at) VALUES (gen_random_uuid(), {}, 'dmarc', 'TXT', '', '', "
            "false, 'verified', ARRAY['v=DMARC1; p=none'], now())",
            domain.id,
        )
        await campaign(actor, NOW - timedelta(days=2), tags=["<b>#x"])
        [eve] = await make_mail(actor, "eve@x--script-.example", at=NOW - timedelta(days=1))
        await tell(eve.queued(), eve.bounced("bad_domain", smtp_response="550 <script>#panic()"))
        await roll_up_all()

        data = await client.data(REPORT, {"input": {}}, actor=actor)

    report = data["generateAnalyticsReport"]["report"]
    assert report["period"]["label"] == "7d"
    assert report["summary"]["metrics"] == {"accepted": 11, "delivered": 5}
    assert sum(each["metrics"]["accepted"] for each in report["series"]["points"]) == 11
    assert {each["isp"]: each["health"] for each in report["providers"]} == {
        "OTHER": "CRITICAL",
        "GOOGLE": "CRITICAL",
    }
    assert report["bounceReasons"]["total"] == 5
    assert report["reputation"] == {
        "complaintRate": 20,
        "domainsNotEnforcingDmarc": [domain.name],
    }
    codes = [finding["code"] for finding in report["findings"]]
    assert codes[:3] == ["high_bounce_rate", "high_complaint_rate", "provider_refuses_mail"]
    assert "dmarc_not_enforced" in codes
    assert "<script>" not in report["html"]
    assert "&lt;script&gt;#panic()" in report["html"]
    assert report["html"].count("<svg") == 3
    assert base64.b64decode(report["pdf"]).startswith(b"%PDF-")
    [entry] = await logged(actor.organization_id, "analytics.report_generated")
    assert entry["target_id"] == report["uuid"]


async def test_a_report_of_nothing_is_one_too(client: Client) -> None:
    actor = await make_actor()

    data = await client.data(REPORT, {"input": {"period": "24h"}}, actor=actor)

    report = data["generateAnalyticsReport"]["report"]
    assert report["findings"] == []
    assert report["providers"] == []
    assert "Nothing." in report["html"]


async def test_more_than_92_days_are_no_report(client: Client) -> None:
    actor = await make_actor()

    code = await client.refusal(REPORT, {"input": {"period": "93d"}}, actor=actor)

    assert code == "RANGE_TOO_LARGE"
    assert await logged(actor.organization_id, "analytics.report_generated") == []


async def test_ten_reports_an_hour_and_no_more(client: Client) -> None:
    actor = await make_actor()
    short = REPORT.replace("html pdf", "")

    for _ in range(10):
        await client.data(short, {"input": {"period": "1h"}}, actor=actor)
    code = await client.refusal(short, {"input": {"period": "1h"}}, actor=actor)

    assert code == "RATE_LIMITED"
    assert len(await logged(actor.organization_id, "analytics.report_generated")) == 10


async def test_files_are_logged_with_what_they_are_about(client: Client) -> None:
    with clock.frozen(NOW):
        actor = await make_actor()
        await campaign(actor, NOW - timedelta(days=2))
        await campaign(actor, NOW - timedelta(days=3))

        sums = await client.data(EXPORT, {"input": {}}, actor=actor)
        mail = await client.data(EXPORT, {"input": {"dataset": "EVENTS"}}, actor=actor)

    assert sums["exportAnalytics"]["rows"] is None
    assert mail["exportAnalytics"]["rows"] == 2
    entries = await logged(actor.organization_id, "analytics.exported")
    assert {entry["target_id"] for entry in entries} == {"timeseries", "events"}


@pytest.mark.parametrize("document", [REPORT, EXPORT])
async def test_who_may_not_read_analytics_gets_no_file(client: Client, document: str) -> None:
    actor = await make_actor(permissions=frozenset())

    code = await client.refusal(document, {"input": {}}, actor=actor)

    assert code.startswith("INSUFFICIENT_")


def test_a_chart_says_what_it_shows() -> None:
    chart = bars("A <b>", ["Mon", "Tue & Wed", "Thu"], [1, None, 1200])

    assert "<title>A &lt;b&gt;</title>" in chart
    assert "<desc>From 1 (Mon) to 1,200 (Thu).</desc>" in chart
    assert chart.count("<rect") == 3
    assert "Tue &amp; Wed" in chart


def test_a_chart_of_nothing_is_empty() -> None:
    chart = bars("A", [], [])

    assert "<desc>Nothing.</desc>" in chart
    assert "<rect" not in chart
