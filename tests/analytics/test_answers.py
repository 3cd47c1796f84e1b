"""Every number that is told of a known campaign is the known one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.core import clock
from postlane.core.actor import Actor
from tests.client import Client
from tests.factories import make_actor, make_api_key, make_domain, make_organization, make_project

from .setup import Recipient, make_mail, roll_up_all, tell

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)

METRICS = """accepted sent delivered deferred bounced hardBounced softBounced blocked expired
    suppressed cancelled complained unsubscribed opens uniqueOpens clicks uniqueClicks
    deliveryRate bounceRate complaintRate openRate clickRate clickToOpenRate deferralRate"""
SUMMARY = f"""
    query ($period: String!, $from: DateTime, $to: DateTime, $filter: AnalyticsFilter,
           $zone: String!, $machine: Boolean!) {{
      organization {{ analytics(period: $period, from: $from, to: $to, filter: $filter,
                                timezone: $zone, includeMachine: $machine) {{
        period {{ from to label }}
        summary {{ metrics {{ {METRICS} }} latency {{ medianSeconds p95Seconds }}
          previous {{ accepted delivered bounced deliveryRate }}
          change {{ accepted delivered deliveryRate bounceRate }} }} }} }} }}
"""
EMPTY = {name: None if name.endswith("Rate") else 0 for name in METRICS.split()}


async def ask(client: Client, actor: Actor, document: str, **variables: Any) -> Any:
    asked = {"period": "7d", "zone": "UTC", "machine": False, **variables}
    data = await client.data(document, asked, actor=actor)
    return data["organization"]["analytics"]


def counts(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what is not empty."""
    return {name: value for name, value in metrics.items() if value}


async def campaign(actor: Actor, at: datetime, **message: Any) -> list[Recipient]:
    """Make 10 recipients: 6 delivered, 1 of them late, 1 bounced late, 4 that failed each way."""
    gmail = [f"g{n}@gmail.com" for n in range(4)]
    others = [f"o{n}@example.net" for n in range(6)]
    mail = await make_mail(actor, *gmail, *others, at=at, **message)
    await tell(*(each.queued() for each in mail[:9]))
    await tell(mail[9].event("suppressed", reason="hard_bounce"))
    google = {"mx_host": "gmail-smtp-in.l.google.com", "vmta": "tx-2"}
    await tell(*(each.delivered(after=0.5 + n, **google) for n, each in enumerate(mail[:4])))
    await tell(mail[4].deferred("mailbox_full"), mail[4].delivered(attempt=2, after=400))
    await tell(mail[5].delivered())
    await tell(mail[5].bounced("invalid_recipient", source="dsn", vmta=None))
    await tell(mail[6].bounced("invalid_recipient"), mail[7].bounced("reputation_block"))
    await tell(mail[8].deferred("rate_limited"))
    await tell(
        mail[8].event("expired", after=500, bounce_class="rate_limited", smtp_response="450 no")
    )
    await tell(mail[0].opened(first=True), mail[0].opened(), mail[1].opened(first=True))
    await tell(mail[2].opened(first=True, machine=True), mail[0].clicked(first=True))
    await tell(mail[1].event("complained", after=600), mail[0].event("unsubscribed", after=700))
    return mail


KNOWN = {
    "accepted": 10,
    "sent": 9,
    "delivered": 5,
    "deferred": 2,
    "bounced": 4,
    "hardBounced": 2,
    "softBounced": 1,
    "blocked": 1,
    "expired": 1,
    "suppressed": 1,
    "cancelled": 0,
    "complained": 1,
    "unsubscribed": 1,
    "opens": 3,
    "uniqueOpens": 2,
    "clicks": 1,
    "uniqueClicks": 1,
    "deliveryRate": 55.5556,
    "bounceRate": 44.4444,
    "complaintRate": 20,
    "openRate": 40,
    "clickRate": 20,
    "clickToOpenRate": 50,
    "deferralRate": 22.2222,
}


async def test_a_known_campaign_is_summed_up_to_the_known_numbers(client: Client) -> None:
    with clock.frozen(NOW):
        actor = await make_actor()
        await campaign(actor, NOW - timedelta(days=2))
        await roll_up_all()

        told = await ask(client, actor, SUMMARY)
        machines = await ask(client, actor, SUMMARY, machine=True)

    assert told["period"] == {
        "from": "2026-05-25T12:00:00.000Z",
        "to": "2026-06-01T12:00:00.000Z",
        "label": "7d",
    }
    assert told["summary"]["metrics"] == KNOWN
    assert told["summary"]["latency"] == {"medianSeconds": 2.0, "p95Seconds": 720.0}
    assert told["summary"]["previous"] == {
        "accepted": 0,
        "delivered": 0,
        "bounced": 0,
        "deliveryRate": None,
    }
    assert told["summary"]["change"] == dict.fromkeys(
        ["accepted", "delivered", "deliveryRate", "bounceRate"]
    )
    assert machines["summary"]["metrics"] == KNOWN | {
        "opens": 4,
        "uniqueOpens": 3,
        "openRate": 60,
        "clickToOpenRate": 33.3333,
    }


async def test_a_range_is_compared_with_the_one_of_equal_length_before(client: Client) -> None:
    with clock.frozen(NOW):
        actor = await make_actor()
        await campaign(actor, NOW - timedelta(days=2))
        await campaign(actor, NOW - timedelta(days=3))
        [ada] = await make_mail(actor, "ada@example.net", at=NOW - timedelta(days=8))
        await tell(ada.queued(), ada.delivered())
        await roll_up_all()

        told = (await ask(client, actor, SUMMARY))["summary"]

    assert told["metrics"]["delivered"] == 10
    assert told["previous"] == {"accepted": 1, "delivered": 1, "bounced": 0, "deliveryRate": 100}
    assert told["change"] == {
        "accepted": 1900,
        "delivered": 900,
        "deliveryRate": -44.4444,
        "bounceRate": 44.4444,
    }


FILTERED = [
    ({"recipientDomains": ["GMAIL.com"]}, {"accepted": 4, "delivered": 4, "opens": 3}),
    ({"recipientDomains": ["gmail.com", "example.net"]}, {"accepted": 10, "delivered": 5}),
    ({"isps": ["GOOGLE"]}, {"accepted": 4, "delivered": 4}),
    ({"vmtas": ["tx-1"]}, {"accepted": 5, "delivered": 1, "bounced": 4}),
    ({"tags": ["a"]}, {"accepted": 10}),
    ({"tags": ["a", "b"]}, {"accepted": 10}),
    ({"tags": ["c"]}, {}),
    ({"pools": ["default"], "streams": ["TRANSACTIONAL"]}, {"accepted": 10, "delivered": 5}),
    ({"domains": ["example.com"], "isps": ["OTHER"]}, {"accepted": 6, "delivered": 1}),
    ({"vmtas": ["tx-2"], "isps": ["OTHER"]}, {}),
    ({"batchIds": ["b-1"], "tags": ["a", "b"], "isps": ["GOOGLE"]}, {"accepted": 4, "opens": 3}),
    ({"batchIds": ["b-2"]}, {}),
]


@pytest.mark.parametrize(("filter", "expected"), FILTERED, ids=str)
@pytest.mark.parametrize("end", [timedelta(0), timedelta(minutes=7)], ids=["whole", "cut"])
async def test_filters_are_joined(
    client: Client, filter: dict[str, Any], expected: dict[str, int], end: timedelta
) -> None:
    """The same from sums, and where a quarter of an hour is cut from the events."""
    with clock.frozen(NOW):
        actor = await make_actor()
        at = NOW - timedelta(days=2, minutes=20)
        await campaign(actor, at, tags=["a", "b"], batch_id="b-1")
        await roll_up_all()

        start, to = at - timedelta(minutes=2), NOW - timedelta(days=1) - end
        told = await ask(
            client,
            actor,
            SUMMARY,
            **{"from": start.isoformat(), "to": to.isoformat()},
            filter=filter,
        )

    found = told["summary"]["metrics"]
    assert {name: found[name] for name in expected or found} == (expected or EMPTY)


async def test_a_range_is_cut_to_the_minute(client: Client) -> None:
    with clock.frozen(NOW):
        actor = await make_actor()
        at = NOW - timedelta(days=2) + timedelta(minutes=4)
        for minute in range(5):
            [ada] = await make_mail(actor, "ada@gmail.com", at=at + timedelta(minutes=minute))
            await tell(ada.queued(), ada.delivered(mx_host="mx.google.com"))
        await roll_up_all()
        window = {
            "from": (at + timedelta(minutes=1)).isoformat(),
            "to": (at + timedelta(minutes=4)).isoformat(),
        }

        everything = await ask(client, actor, SUMMARY, **window)
        some = await ask(client, actor, SUMMARY, **window, filter={"isps": ["GOOGLE"]})

    assert everything["summary"]["metrics"]["delivered"] == 3
    assert some["summary"]["metrics"] == everything["summary"]["metrics"]


async def test_nothing_is_told_of_others_nor_of_other_projects(client: Client) -> None:
    with clock.frozen(NOW):
        organization = await make_organization()
        other_project = await make_project(organization)
        actor = await make_actor(organization=organization)
        await campaign(actor, NOW - timedelta(days=2))
        domain = await make_domain(organization.id)
        stranger = await make_actor()
        bound = await make_actor(organization=organization, project_id=other_project.id)
        await roll_up_all()

        theirs = await ask(client, stranger, SUMMARY)
        elsewhere = await ask(client, bound, SUMMARY)
        named = await ask(client, stranger, SUMMARY, filter={"domains": [str(domain.id)]})
        own = await ask(client, actor, SUMMARY)

    for told in (theirs, elsewhere, named):
        assert counts(told["summary"]["metrics"]) == {}
    assert own["summary"]["metrics"]["accepted"] == 10


SERIES = f"""
    query ($period: String!, $from: DateTime, $to: DateTime, $filter: AnalyticsFilter,
           $zone: String!, $machine: Boolean!, $interval: AnalyticsInterval) {{
      organization {{ analytics(period: $period, from: $from, to: $to, filter: $filter,
                                timezone: $zone, includeMachine: $machine) {{
        series(interval: $interval) {{ interval points {{ timestamp metrics {{ {METRICS} }} }} }}
      }} }} }}
"""


async def test_a_series_has_every_bucket(client: Client) -> None:
    with clock.frozen(NOW):
        actor = await make_actor()
        await campaign(actor, NOW - timedelta(days=2, hours=3))
        await roll_up_all()

        told = await ask(client, actor, SERIES, period="4d")

    points = told["series"]["points"]
    assert told["series"]["interval"] == "DAY"
    assert [point["timestamp"] for point in points] == [
        "2026-05-28T12:00:00.000Z",
        "2026-05-29T00:00:00.000Z",
        "2026-05-30T00:00:00.000Z",
        "2026-05-31T00:00:00.000Z",
        "2026-06-01T00:00:00.000Z",
    ]
    assert [point["metrics"] for point in points] == [EMPTY, EMPTY, KNOWN, EMPTY, EMPTY]


@pytest.mark.parametrize(
    ("zone", "start", "end", "lengths"),
    [
        # The clock is put forward and back; and in Lord Howe by half an hour.
        ("Europe/Berlin", "2026-03-28T23:00Z", "2026-03-30T22:00Z", [23, 24]),
        ("Europe/Berlin", "2025-10-24T22:00Z", "2025-10-26T23:00Z", [24, 25]),
        ("Australia/Lord_Howe", "2026-04-03T13:00Z", "2026-04-05T13:30Z", [24, 24.5]),
        # Days that begin at half past and at a quarter to.
        ("Asia/Kolkata", "2026-05-01T18:30Z", "2026-05-03T18:30Z", [24, 24]),
        ("Asia/Kathmandu", "2026-05-01T18:15Z", "2026-05-03T18:15Z", [24, 24]),
        # Midnight is skipped: the day begins at one.
        ("Africa/Cairo", "2026-04-22T22:00Z", "2026-04-24T21:00Z", [24, 23]),
    ],
)
async def test_days_are_those_of_the_zone(
    client: Client, zone: str, start: str, end: str, lengths: list[float]
) -> None:
    with clock.frozen(NOW):
        actor = await make_actor()
        first, last = (datetime.fromisoformat(text) for text in (start, end))
        at = first + timedelta(minutes=7)
        while at < last:
            [ada] = await make_mail(actor, "ada@example.net", at=at)
            await tell(ada.queued())
            at += timedelta(minutes=30)
        await roll_up_all()

        told = await ask(
            client,
            actor,
            SERIES,
            **{"from": first.isoformat(), "to": last.isoformat()},
            zone=zone,
            interval="DAY",
        )

    assert [point["metrics"]["accepted"] for point in told["series"]["points"]] == [
        hours * 2 for hours in lengths
    ]


@pytest.mark.parametrize("filter", [None, {"isps": ["OTHER"]}, {"tags": ["x", "y"]}], ids=str)
@pytest.mark.parametrize("interval", ["MINUTE", "HOUR"])
async def test_short_buckets_are_told_of_all_mail_and_of_some(
    client: Client, filter: dict[str, Any] | None, interval: str
) -> None:
    with clock.frozen(NOW):
        actor = await make_actor()
        start = NOW - timedelta(hours=30)
        for minutes in (0, 1, 1, 65, 119):
            at = start + timedelta(minutes=minutes, seconds=3)
            [ada] = await make_mail(actor, "ada@example.net", at=at, tags=["x"])
            await tell(ada.queued())
        await roll_up_all()

        told = await ask(
            client,
            actor,
            SERIES,
            **{"from": start.isoformat(), "to": (start + timedelta(hours=2)).isoformat()},
            interval=interval,
            filter=filter,
        )

    found = [point["metrics"]["accepted"] for point in told["series"]["points"]]
    assert {n: count for n, count in enumerate(found) if count} == (
        {0: 1, 1: 2, 65: 1, 119: 1} if interval == "MINUTE" else {0: 3, 1: 2}
    )
    assert len(found) == (120 if interval == "MINUTE" else 2)


BREAKDOWN = """
    query ($period: String!, $zone: String!, $machine: Boolean!, $by: MailDimension!,
           $first: Int!, $sort: MailMetric!, $filter: AnalyticsFilter) {
      organization { analytics(period: $period, timezone: $zone, includeMachine: $machine,
                               filter: $filter) {
        breakdown(dimension: $by, first: $first, sortBy: $sort) {
          parts { key label share metrics { accepted delivered bounced deliveryRate } }
          other { keys metrics { accepted delivered bounced } } } } } }
"""


@pytest.mark.parametrize("filter", [None, {"pools": ["default"]}], ids=["all", "some"])
@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        ("RECIPIENT_DOMAIN", {"example.net": (6, 1, 4), "gmail.com": (4, 4, 0)}),
        ("ISP", {"other": (6, 1, 4), "google": (4, 4, 0)}),
        ("VMTA", {"tx-1": (5, 1, 4), "tx-2": (4, 4, 0)}),
        ("DOMAIN", {"example.com": (10, 5, 4)}),
        ("POOL", {"default": (10, 5, 4)}),
        ("TAG", {"a": (10, 5, 4), "b": (10, 5, 4)}),
        ("BATCH_ID", {"b-1": (10, 5, 4)}),
        ("STREAM", {"transactional": (10, 5, 4)}),
        (
            "BOUNCE_CLASS",
            {
                "invalid_recipient": (0, 0, 2),
                "rate_limited": (0, 0, 1),
                "reputation_block": (0, 0, 1),
                "mailbox_full": (0, 0, 0),
            },
        ),
    ],
)
async def test_mail_is_told_apart_by_every_dimension(
    client: Client,
    dimension: str,
    expected: dict[str, tuple[int, int, int]],
    filter: dict[str, Any] | None,
) -> None:
    with clock.frozen(NOW):
        actor = await make_actor()
        await campaign(actor, NOW - timedelta(days=2), tags=["a", "b"], batch_id="b-1")
        await roll_up_all()

        told = await ask(
            client, actor, BREAKDOWN, by=dimension, first=50, sort="ACCEPTED", filter=filter
        )

    parts = told["breakdown"]["parts"]
    assert {
        part["key"]: tuple(part["metrics"][n] for n in ("accepted", "delivered", "bounced"))
        for part in parts
    } == expected
    assert [part["share"] for part in parts] == [part["metrics"]["accepted"] * 10 for part in parts]
    assert told["breakdown"]["other"]["keys"] == 0


async def test_an_api_key_is_told_by_its_name(client: Client) -> None:
    with clock.frozen(NOW):
        organization = await make_organization()
        actor = await make_actor(organization=organization)
        key = (await make_api_key(organization, name="Web shop")).row
        [ada] = await make_mail(
            actor, "ada@example.net", at=NOW - timedelta(hours=1), api_key_id=key.id
        )
        await tell(ada.queued())
        await roll_up_all()

        told = await ask(client, actor, BREAKDOWN, by="API_KEY", first=50, sort="ACCEPTED")

    [part] = told["breakdown"]["parts"]
    assert (part["key"], part["label"]) == (str(key.id), "Web shop")


async def test_what_is_cut_off_a_breakdown_is_summed_up(client: Client) -> None:
    with clock.frozen(NOW):
        actor = await make_actor()
        await campaign(actor, NOW - timedelta(days=2))
        await roll_up_all()

        told = await ask(client, actor, BREAKDOWN, by="RECIPIENT_DOMAIN", first=1, sort="DELIVERED")

    assert [part["key"] for part in told["breakdown"]["parts"]] == ["gmail.com"]
    assert told["breakdown"]["other"] == {
        "keys": 1,
        "metrics": {"accepted": 6, "delivered": 1, "bounced": 4},
    }


PROVIDERS = """
    query ($period: String!, $zone: String!, $machine: Boolean!) {
      organization { analytics(period: $period, timezone: $zone, includeMachine: $machine) {
        providers { isp name health topBounceClass queuesInBackoff medianLatencySeconds
          metrics { accepted delivered bounced blocked deferred deliveryRate openRate } } } } }
"""


async def test_providers_are_told_with_their_health(client: Client) -> None:
    with clock.frozen(NOW):
        actor = await make_actor()
        await campaign(actor, NOW - timedelta(days=2))
        await roll_up_all()

        told = await ask(client, actor, PROVIDERS)

    assert told["providers"] == [
        {
            "isp": "OTHER",
            "name": "Others",
            "health": "CRITICAL",
            "topBounceClass": "INVALID_RECIPIENT",
            "queuesInBackoff": 0,
            "medianLatencySeconds": 2.0,
            "metrics": {
                "accepted": 6,
                "delivered": 1,
                "bounced": 4,
                "blocked": 1,
                "deferred": 2,
                "deliveryRate": 20,
                "openRate": 0,
            },
        },
        {
            "isp": "GOOGLE",
            "name": "Google",
            "health": "CRITICAL",
            "topBounceClass": None,
            "queuesInBackoff": 0,
            "medianLatencySeconds": 2.0,
            "metrics": {
                "accepted": 4,
                "delivered": 4,
                "bounced": 0,
                "blocked": 0,
                "deferred": 0,
                "deliveryRate": 100,
                "openRate": 50,
            },
        },
    ]


BOUNCES = """
    query ($period: String!, $zone: String!, $machine: Boolean!, $type: BounceType,
           $deferrals: Boolean!, $filter: AnalyticsFilter) {
      organization { analytics(period: $period, timezone: $zone, includeMachine: $machine,
                               filter: $filter) {
        bounceReasons(type: $type, includeDeferrals: $deferrals) {
          total hard soft block
          classes { class type count percent suppressed topIsps { isp count }
            samples { code enhancedCode text count } } } } } }
"""


async def test_reasons_of_failures_come_with_what_was_said(client: Client) -> None:
    with clock.frozen(NOW):
        actor = await make_actor()
        await campaign(actor, NOW - timedelta(days=2))
        [ada] = await make_mail(actor, "ada@example.net", at=NOW - timedelta(days=1))
        reply = "550 5.1.1 <ada@example.net>: No such user"
        await tell(ada.queued(), ada.bounced("invalid_recipient", smtp_response=reply))
        await roll_up_all()

        told = await ask(client, actor, BOUNCES, deferrals=False)
        filtered = await ask(
            client, actor, BOUNCES, deferrals=False, filter={"domains": ["example.com"]}
        )
        soft = await ask(client, actor, BOUNCES, deferrals=True, type="SOFT")

    assert told["bounceReasons"] == {
        "total": 5,
        "hard": 3,
        "soft": 1,
        "block": 1,
        "classes": [
            {
                "class": "INVALID_RECIPIENT",
                "type": "HARD",
                "count": 3,
                "percent": 60,
                "suppressed": 3,
                "topIsps": [{"isp": "OTHER", "count": 3}],
                "samples": [
                    {"code": 550, "enhancedCode": "5.1.1", "text": "No", "count": 2},
                    {
                        "code": 550,
                        "enhancedCode": "5.1.1",
                        "text": "<<address>>: No such user",
                        "count": 1,
                    },
                ],
            },
            {
                "class": "RATE_LIMITED",
                "type": "SOFT",
                "count": 1,
                "percent": 20,
                "suppressed": 0,
                "topIsps": [{"isp": "OTHER", "count": 1}],
                "samples": [{"code": None, "enhancedCode": None, "text": "no", "count": 1}],
            },
            {
                "class": "REPUTATION_BLOCK",
                "type": "BLOCK",
                "count": 1,
                "percent": 20,
                "suppressed": 0,
                "topIsps": [{"isp": "OTHER", "count": 1}],
                "samples": [{"code": 550, "enhancedCode": "5.1.1", "text": "No", "count": 1}],
            },
        ],
    }
    assert filtered["bounceReasons"] == told["bounceReasons"]
    assert [(each["class"], each["count"]) for each in soft["bounceReasons"]["classes"]] == [
        ("RATE_LIMITED", 2),
        ("MAILBOX_FULL", 1),
    ]


TREND = """
    query ($period: String!, $zone: String!, $machine: Boolean!, $metrics: [MailMetric!]) {
      organization { analytics(period: $period, timezone: $zone, includeMachine: $machine) {
        trends(metrics: $metrics) { metric current previous changePercent slope direction
          assessment points { value movingAverage } anomalies { timestamp value } } } } }
"""


async def test_a_trend_tells_where_it_goes_and_what_stands_out(client: Client) -> None:
    midnight = datetime(2026, 6, 1, tzinfo=UTC)
    with clock.frozen(midnight):
        actor = await make_actor()
        for day in range(1, 21):
            # Two a day and three every other day; on the last one ten.
            count = 10 if day == 1 else 2 + day % 2
            at = midnight - timedelta(days=day, hours=-5)
            mail = await make_mail(actor, *(f"a{n}@example.net" for n in range(count)), at=at)
            await tell(*(each.queued() for each in mail))
        await roll_up_all()

        told = await ask(client, actor, TREND, period="20d", metrics=["ACCEPTED", "BOUNCE_RATE"])

    accepted, bounce_rate = told["trends"]
    assert accepted["current"] == 2.85
    assert accepted["previous"] == 0
    assert accepted["changePercent"] is None
    assert accepted["direction"] == "FLAT"
    assert [point["value"] for point in accepted["points"]][-3:] == [3, 2, 10]
    assert accepted["points"][-1]["movingAverage"] == 3.5714
    assert accepted["anomalies"] == [{"timestamp": "2026-05-31T00:00:00.000Z", "value": 10}]
    assert bounce_rate["assessment"] == "INSUFFICIENT_DATA"
    assert bounce_rate["current"] is None


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"period": "0d"}, "INVALID_PERIOD"),
        ({"period": "7y"}, "INVALID_PERIOD"),
        ({"period": "٧d"}, "INVALID_PERIOD"),
        ({"period": "800d"}, "RANGE_TOO_LARGE"),
        ({"period": "99999m"}, "RANGE_TOO_LARGE"),
        ({"zone": "Mars/Olympus"}, "INVALID_PERIOD"),
        ({"zone": "../../etc/passwd"}, "INVALID_PERIOD"),
        ({"from": "2026-05-01T00:00:00Z"}, "INVALID_PERIOD"),
        ({"from": "2026-05-02T00:00:00Z", "to": "2026-05-01T00:00:00Z"}, "INVALID_PERIOD"),
        ({"from": "2020-05-02T00:00:00Z", "to": "2026-05-01T00:00:00Z"}, "RANGE_TOO_LARGE"),
        ({"from": "0001-01-01T00:00:00Z", "to": "0001-02-01T00:00:00Z"}, "INVALID_PERIOD"),
        ({"from": "9999-12-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}, "INVALID_PERIOD"),
        ({"period": "7h", "interval": "MINUTE"}, "INVALID_INTERVAL"),
        ({"period": "32d", "interval": "HOUR"}, "INVALID_INTERVAL"),
        (
            {"period": "6m", "zone": "Europe/Berlin", "filter": {"tags": ["a"]}},
            "RANGE_TOO_LARGE",
        ),
    ],
    ids=str,
)
async def test_ranges_that_make_no_sense_are_refused(
    client: Client, variables: dict[str, Any], code: str
) -> None:
    actor = await make_actor()

    answer = await client.graphql(
        SERIES, {"period": "7d", "zone": "UTC", "machine": False, **variables}, actor=actor
    )

    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


async def test_who_may_not_read_analytics_reads_none(client: Client) -> None:
    actor = await make_actor(permissions=frozenset())

    answer = await client.graphql(
        SERIES, {"period": "7d", "zone": "UTC", "machine": False}, actor=actor
    )

    assert answer["errors"][0]["extensions"]["code"].startswith("INSUFFICIENT_")


@pytest.mark.parametrize(
    ("period", "zone", "start", "end"),
    [
        ("today", "UTC", "2026-06-01T00:00", "2026-06-01T12:00"),
        ("today", "Asia/Tokyo", "2026-05-31T15:00", "2026-06-01T12:00"),
        ("yesterday", "Europe/Berlin", "2026-05-30T22:00", "2026-05-31T22:00"),
        ("this_month", "America/New_York", "2026-06-01T04:00", "2026-06-01T12:00"),
        ("last_month", "UTC", "2026-05-01T00:00", "2026-06-01T00:00"),
        ("2w", "UTC", "2026-05-18T12:00", "2026-06-01T12:00"),
        ("1m", "UTC", "2026-05-02T12:00", "2026-06-01T12:00"),
    ],
)
async def test_periods_are_stretches_of_time(
    client: Client, period: str, zone: str, start: str, end: str
) -> None:
    actor = await make_actor()

    with clock.frozen(NOW + timedelta(seconds=42)):
        told = await ask(client, actor, SUMMARY, period=period, zone=zone)

    assert told["period"] == {
        "from": f"{start}:00.000Z",
        "to": f"{end}:00.000Z",
        "label": period,
    }
