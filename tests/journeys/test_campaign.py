"""A campaign whose every event is known, while workers and web processes are killed.

A thousand recipients; a robot opens, clicks, complains and leaves. What really happened is noted
beside it (`campaign.py`) and compared with every number that analytics tell.
"""

import asyncio
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from .campaign import (
    CLASSES,
    COUNTS,
    METRICS,
    RATES,
    TYPES,
    Person,
    bounds_of,
    broken_down,
    floor,
    metrics,
    per_cent,
    series,
)
from .campaigning import Campaign, campaigning
from .mailing import BATCHES, read_time
from .reacting import MINUTE

RECIPIENTS = 1_000
SAFE_AFTER = 1.1
"""Seconds after its answer from which on a hit is never lost."""
NOT_READ_YET = 2.5
"""Nobody reads mail in the moment in which it arrives."""
HOUR = timedelta(hours=1)
SENT_BACK = 8
MOMENT = timedelta(milliseconds=100)
"""Between when a batch was accepted and each of its messages."""


@pytest.mark.slow(seconds=120)
async def test_every_number_is_the_known_one_whatever_is_killed() -> None:
    async with campaigning() as campaign:
        await campaign.prepare()
        for number in range(BATCHES):
            sending = asyncio.create_task(campaign.send(number))
            if number in (1, 3):
                await campaign.more_received(10)
                await campaign.kill("worker")
            if number in (2, 5):
                await asyncio.sleep(0.05)
                await campaign.kill("web")
            await sending
        assert len(campaign.people) == RECIPIENTS

        # What died with its worker comes again after a minute; meanwhile people read.
        await campaign.some_delivered(300)
        await asyncio.sleep(NOT_READ_YET)
        await campaign.act(scale=10)
        await asyncio.sleep(SAFE_AFTER)
        await campaign.kill("web")
        await campaign.kill("worker")
        await campaign.world.up.healthy()
        await campaign.complain(6)
        await campaign.send_back(SENT_BACK)
        await campaign.leave(12)
        await campaign.await_fates()
        await campaign.reopen()
        await asyncio.sleep(NOT_READ_YET)
        await campaign.act(scale=3)
        await asyncio.sleep(SAFE_AFTER)
        await campaign.kill("worker")

        summary = await campaign.counted()
        await compare_summary(campaign, summary)
        await compare_series(campaign)
        await compare_breakdowns(campaign)
        await compare_providers(campaign)
        await compare_trends(campaign)
        await compare_reasons(campaign)
        await compare_report(campaign)
        await compare_files(campaign)


async def compare_summary(campaign: Campaign, summary: Any) -> None:
    assert summary["totals"] == campaign.known(COUNTS)
    assert summary["rates"] == campaign.known(tuple(RATES))
    assert set(summary["previous"]["totals"].values()) == {0}
    assert set(summary["previous"]["rates"].values()) == {None}
    assert set(summary["change"].values()) == {None}
    with_machines = await campaign.ask("summary", include_machine="true", compare="false")
    assert with_machines["totals"] == campaign.known(COUNTS, with_machines=True)
    assert with_machines["rates"] == campaign.known(tuple(RATES), with_machines=True)
    google, other = campaign.receivers[2][0], campaign.senders[1]
    filters: list[tuple[dict[str, str], Callable[[Person], bool]]] = [
        ({"isp": "google"}, lambda p: p.keys("isp") == ["google"]),
        ({"recipient_domain": google}, lambda p: p.keys("recipient_domain") == [google]),
        ({"tag": "vip"}, lambda p: "vip" in p.keys("tag")),
        ({"tag": "vip,spring"}, lambda p: True),
        ({"pool": "tx", "domain": other}, lambda p: _is(p, pool="tx", domain=other)),
        ({"vmta": "bulk-1"}, lambda p: _is(p, vmta="bulk-1")),
        (
            {"stream": "marketing", "batch_id": "second", "isp": "google,microsoft"},
            lambda p: _is(p, stream="marketing", batch_id="second") and p.keys("isp") != ["other"],
        ),
    ]
    for query, is_meant in filters:
        found = await campaign.ask("summary", period="24h", **query)
        expected = metrics(filter(is_meant, campaign.people))
        assert found["totals"] | found["rates"] == expected, query
        assert set(found["filters"]) == set(query)


def _is(person: Person, **values: str) -> bool:
    return all(value in person.keys(name) for name, value in values.items())


async def compare_series(campaign: Campaign) -> None:
    for interval, step in (("minute", MINUTE), ("hour", HOUR)):
        period = "2h" if interval == "minute" else "24h"
        query = {"period": period, "interval": interval, "metrics": ",".join(METRICS)}
        found = await campaign.ask("timeseries", **query)
        starts = [read_time(each["timestamp"]) for each in found["data"]]
        assert all(floor(at, step) == at for at in starts[1:])
        assert {later - earlier for earlier, later in pairwise(starts[1:])} == {step}
        _compare_buckets(campaign, found, starts)
    query = {"period": "24h", "interval": "day", "timezone": "Asia/Kolkata"}
    found = await campaign.ask("timeseries", **query, metrics=",".join(METRICS))
    starts = [read_time(each["timestamp"]) for each in found["data"]]
    zone = ZoneInfo("Asia/Kolkata")
    assert all(f"{at.astimezone(zone):%H:%M}" == "00:00" for at in starts[1:])
    _compare_buckets(campaign, found, starts)


def _compare_buckets(campaign: Campaign, found: Any, starts: Sequence[datetime]) -> None:
    for bucket, expected in zip(
        found["data"],
        series(campaign.people, starts),
        strict=True,
    ):
        assert {name: bucket[name] for name in METRICS} == expected, bucket["timestamp"]


async def compare_breakdowns(campaign: Campaign) -> None:
    dimensions = (
        *("domain", "recipient_domain", "isp", "vmta", "pool", "tag", "batch_id", "stream"),
        *("api_key", "bounce_class", "template"),
    )
    for dimension in dimensions:
        query = {"dimension": dimension, "metrics": ",".join(METRICS), "period": "24h"}
        found = await campaign.ask("breakdown", **query)
        expected = broken_down(campaign.people, dimension, METRICS)
        told = {part["key"]: {name: part[name] for name in METRICS} for part in found["data"]}
        assert told == expected, dimension
        for part in found["data"]:
            assert part["share"] == per_cent(part["accepted"], RECIPIENTS)
        assert found["other"] == {"keys": 0} | dict.fromkeys(COUNTS, 0)
    labels = {part["key"]: part["label"] for part in (await keys(campaign))["data"]}
    assert sorted(labels.values()) == ["News", "Shop"]
    cut = await campaign.ask("breakdown", dimension="recipient_domain", limit=1, sort="-clicks")
    rest = [p for p in campaign.people if p.keys("recipient_domain") != [cut["data"][0]["key"]]]
    assert cut["other"]["keys"] == 3
    assert cut["other"]["accepted"] == metrics(rest)["accepted"]
    assert cut["other"]["delivered"] == metrics(rest)["delivered"]


async def keys(campaign: Campaign) -> Any:
    return await campaign.ask("breakdown", dimension="api_key")


async def compare_providers(campaign: Campaign) -> None:
    found = await campaign.ask("isp", period="24h")
    names = (
        *("accepted", "delivered", "bounced", "deferred", "blocked", "complained"),
        *("delivery_rate", "bounce_rate", "deferral_rate", "complaint_rate", "open_rate"),
    )
    expected = broken_down(campaign.people, "isp", names)
    assert {each["isp"]: {n: each[n] for n in names} for each in found["data"]} == expected
    assert {each["name"] for each in found["data"]} == {"Google", "Microsoft", "Others"}
    for each in found["data"]:
        classes = Counter(
            p.bounce_class for p in campaign.people if p.mx_isp == each["isp"] and p.bounce_class
        )
        assert classes[each["top_bounce_class"]] == max(classes.values())
        assert each["queues_in_backoff"] == 0
        assert each["health"] == _health(each)


def _health(provider: Any) -> str:
    for health, delivery, deferral, complaint in (
        ("critical", 90, 40, 0.3),
        ("warning", 97, 15, 0.1),
    ):
        if (
            provider["delivery_rate"] < delivery
            or provider["deferral_rate"] > deferral
            or (provider["complaint_rate"] or 0) > complaint
        ):
            return health
    return "good"


async def compare_trends(campaign: Campaign) -> None:
    found = await campaign.ask("trend", period="24h", interval="hour", metrics=",".join(METRICS))
    assert [each["metric"] for each in found["data"]] == list(METRICS)
    starts = [read_time(point["timestamp"]) for point in found["data"][0]["points"]]
    buckets = series(campaign.people, starts)
    for trend in found["data"]:
        values = [bucket[trend["metric"]] for bucket in buckets]
        assert [point["value"] for point in trend["points"]] == values, trend["metric"]
        assert [point["moving_average"] for point in trend["points"]] == [
            _mean(values[max(0, nth - 6) : nth + 1]) for nth in range(len(values))
        ]
        assert trend["current"] == _mean(values)
        assert trend["previous"] == (None if trend["metric"] in RATES else 0)
        assert trend["change_percent"] is None
        assert trend["direction"] == "flat"
        assert trend["slope"] == _slope(values), trend["metric"]
        assert trend["anomalies"] == []


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.fmean(known), 4) if known else None


def _slope(values: Sequence[float | None]) -> float | None:
    known = [(nth, value) for nth, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return None
    xs, ys = zip(*known, strict=True)
    return round(statistics.linear_regression(xs, ys).slope, 4)


async def compare_reasons(campaign: Campaign) -> None:
    found = await campaign.ask("bounce-reasons", period="24h", limit=5)
    failed = [person for person in campaign.people if person.bounce_class]
    counts = Counter(person.bounce_class for person in failed)
    types = Counter(TYPES[CLASSES[str(person.bounce_class)]] for person in failed)
    assert found["total"] == len(failed)
    assert found["by_type"] == {name: types[name] for name in ("hard", "soft", "block")}
    assert [each["count"] for each in found["data"]] == sorted(counts.values(), reverse=True)
    for each in found["data"]:
        of_class = [person for person in failed if person.bounce_class == each["class"]]
        assert each["type"] == TYPES[CLASSES[each["class"]]]
        assert each["count"] == len(of_class)
        assert each["percent"] == per_cent(len(of_class), len(failed))
        assert each["suppressed"] == (len(of_class) if each["type"] == "hard" else 0)
        assert {top["isp"]: top["count"] for top in each["top_isps"]} == Counter(
            person.mx_isp for person in of_class
        )
        assert sum(sample["count"] for sample in each["samples"]) == len(of_class)
        assert "@" not in str(each["samples"])
    said = {each["class"]: {s["text"] for s in each["samples"]} for each in found["data"]}
    assert said["invalid_recipient"] == {"No such user here", "User unknown"}
    with_deferrals = await campaign.ask("bounce-reasons", period="24h", include_deferrals="true")
    [deferred] = [e for e in with_deferrals["data"] if e["class"] == "temporary_failure"]
    assert deferred["count"] == sum(person.deferrals for person in campaign.people)
    assert with_deferrals["total"] == len(failed) + deferred["count"]
    hard = await campaign.ask("bounce-reasons", period="24h", type="hard")
    assert hard["total"] == types["hard"]


async def compare_report(campaign: Campaign) -> None:
    report = await campaign.ask("report", period="24h")
    told = report["sections"]
    assert told["summary"]["totals"] == campaign.known(COUNTS)
    assert told["summary"]["rates"] == campaign.known(tuple(RATES))
    starts = [read_time(each["timestamp"]) for each in told["timeseries"]["data"]]
    _compare_buckets(campaign, told["timeseries"], starts)
    parts = {part["key"]: part["accepted"] for part in told["breakdown"]}
    by_domain = broken_down(campaign.people, "recipient_domain", ["accepted"])
    assert parts == {key: found["accepted"] for key, found in by_domain.items()}
    by_isp = broken_down(campaign.people, "isp", ["delivered", "open_rate"])
    assert {e["isp"]: {n: e[n] for n in ("delivered", "open_rate")} for e in told["isp"]} == by_isp
    failed = Counter(p.bounce_class for p in campaign.people if p.bounce_class)
    assert {each["class"]: each["count"] for each in told["bounce_reasons"]} == failed
    [opens] = [each for each in told["trend"] if each["metric"] == "open_rate"]
    assert [p["value"] for p in opens["points"] if p["value"] is not None]
    assert (
        told["reputation"]["complaint_rate"] == campaign.known(["complaint_rate"])["complaint_rate"]
    )


async def compare_files(campaign: Campaign) -> None:
    rows = await campaign.table("timeseries", interval="hour", metrics=",".join(METRICS))
    starts = [read_time(row["timestamp"]) for row in rows]
    known = series(campaign.people, starts)
    for row, expected in zip(rows, known, strict=True):
        assert {n: _number(row[n]) for n in METRICS} == expected
    rows = await campaign.table("breakdown", dimension="stream", metrics=",".join(METRICS))
    assert {row["key"]: {n: _number(row[n]) for n in METRICS} for row in rows} == broken_down(
        campaign.people, "stream", METRICS
    )
    rows = await campaign.table("bounce_reasons")
    assert {row["class"]: int(row["count"]) for row in rows} == Counter(
        person.bounce_class for person in campaign.people if person.bounce_class
    )
    messages, events = await campaign.table("messages"), await campaign.table("events")
    await _compare_messages(campaign, messages)
    await _compare_events(campaign, events)
    exports = [await campaign.start_export(subject) for subject in ("messages", "events")]
    assert [await campaign.exported(id) for id in exports] == [messages, events]


def _number(text: str) -> float | None:
    return float(text) if text else None


async def _compare_messages(campaign: Campaign, rows: Sequence[dict[str, str]]) -> None:
    by_message: dict[str, list[Person]] = {}
    for person in campaign.people:
        by_message.setdefault(person.message_id, []).append(person)
    assert sorted(row["id"] for row in rows) == sorted(by_message)
    for row in rows:
        people = by_message[row["id"]]
        assert sorted(row["to"].split()) == sorted(person.address for person in people)
        assert row["tags"] == " ".join(people[0].traits["tag"])
        assert abs(read_time(row["created_at"]) - people[0].accepted_at) < MOMENT
        for name in ("opens", "clicks"):
            acts = [a for p in people for a in p.acts if a.kind == name and not a.is_machine]
            assert int(row[name]) == len(acts), row


async def _compare_events(campaign: Campaign, rows: Sequence[dict[str, str]]) -> None:
    assert len({row["id"] for row in rows}) == len(rows)
    people = campaign.people
    acts = Counter(act.kind for person in people for act in person.acts)
    expected = {
        "message.queued": sum(p.fate != "suppressed" for p in people),
        "message.suppressed": sum(p.fate == "suppressed" for p in people),
        "message.sent": sum(p.was_tried for p in people),
        "message.delivered": sum(p.is_delivered for p in people) + SENT_BACK,
        "message.deferred": sum(p.deferrals for p in people),
        "message.bounced": sum(p.bounce_class is not None for p in people),
        "message.cancelled": sum(p.fate == "cancelled" for p in people),
        "message.complained": sum(p.complained_at is not None for p in people),
        "message.unsubscribed": sum(p.has_left for p in people),
        "message.opened": acts["opens"],
        "message.clicked": acts["clicks"],
    }
    assert Counter(row["type"] for row in rows) == expected
    accepted = {person.message_id: person.accepted_at for person in people}
    latencies = [
        (read_time(row["timestamp"]) - accepted[row["message_id"]]).total_seconds()
        for row in rows
        if row["type"] == "message.delivered"
    ]
    told = (await campaign.ask("summary", period="24h"))["latency"]
    for name, share in (("median_seconds", 0.5), ("p95_seconds", 0.95)):
        least, most = bounds_of(latencies, share)
        assert least <= told[name] <= most
