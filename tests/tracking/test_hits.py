"""Opens and clicks: answered at once, and what is written down of them afterwards."""

import asyncio
import base64
import time
import uuid
from datetime import datetime, timedelta

import pytest

from postlane.core import clock
from postlane.core.actor import OrganizationId, ProjectId
from postlane.core.database import fetch, transaction
from postlane.mail.links import LONGEST_TARGET
from postlane.tracking.machines import HitKind
from postlane.tracking.rules import Tracks
from postlane.tracking.tokens import (
    Mark,
    Recipient,
    click_token,
    make_token,
    mark_of,
    read_click,
    read_open,
)
from postlane.tracking.work import erasing, recording, repeats
from postlane.tracking.work.erasing import ERASED, Erased, forget_recipient
from postlane.tracking.work.recording import RECORDER
from postlane.tracking.work.repeats import Repeats
from postlane.tracking.work.settling import MOST_EVENTS
from tests.client import Client
from tests.factories import default_project, make_organization
from tests.statements import count_statements
from tests.tracking.hits import PERSON, Mailed, ask, mailed, settle

LATER = timedelta(minutes=10)


@pytest.fixture(autouse=True)
def nobody_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with a process that has read nothing: other tests have read by another clock."""
    fresh = Erased()
    for name in ("_known", "_until", "_tried_at", "_looking"):
        monkeypatch.setattr(ERASED, name, getattr(fresh, name))


async def test_an_open_is_answered_with_a_picture_and_becomes_an_event(
    client: Client, frozen: datetime
) -> None:
    mail = await mailed()

    answer = await ask(client, mail.pixel, at=frozen)
    await settle(at=frozen + LATER)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["cache-control"] == "no-store, private, max-age=0"
    assert "set-cookie" not in answer.headers
    assert len(answer.content) == 43
    assert answer.content[:6] == b"GIF89a"
    assert await mail.events() == [
        (
            "message.opened",
            {
                "user_agent": PERSON,
                "ip": network(client.address),
                "machine_open": False,
                "first": True,
                "implied": False,
            },
        )
    ]


def network(address: str) -> str:
    """Return the network of a test's address, of which 48 bits are left."""
    first, second, third, *_ = address.split(":")
    return f"{first}:{second}:{third}::"


async def test_a_click_leads_on_and_shows_an_open_too(client: Client, frozen: datetime) -> None:
    mail = await mailed()

    answer = await ask(client, mail.link(3, "https://shop.example/a?x=1#y"), at=frozen)
    await settle(at=frozen + LATER)

    assert answer.status_code == 302
    assert answer.headers["location"] == "https://shop.example/a?x=1#y"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    (opened, what), (clicked, how) = await mail.events()
    assert (opened, what["implied"], what["first"]) == ("message.opened", True, True)
    assert (clicked, how) == (
        "message.clicked",
        {
            "url": "https://shop.example/a?x=1#y",
            "link_index": 3,
            "user_agent": PERSON,
            "ip": network(client.address),
            "bot": False,
            "first": True,
        },
    )


async def test_a_click_shows_no_open_where_opens_are_not_tracked(
    client: Client, frozen: datetime
) -> None:
    mail = await mailed(tracks=Tracks.CLICKS)

    await ask(client, mail.link(), at=frozen)
    await settle(at=frozen + LATER)

    assert [type for type, _ in await mail.events()] == ["message.clicked"]


async def test_opens_within_a_minute_are_one_and_later_ones_are_repeats(
    client: Client, frozen: datetime
) -> None:
    mail = await mailed()

    for seconds in (0, 30, 59, 61, 62, 200):
        await ask(client, mail.pixel, at=frozen + timedelta(seconds=seconds))
    await settle(at=frozen + LATER)
    await ask(client, mail.pixel, at=frozen + timedelta(seconds=250))
    await ask(client, mail.pixel, at=frozen + timedelta(seconds=270))
    await settle(at=frozen + LATER)

    assert [data["first"] for _, data in await mail.events()] == [True, False, False, False]


async def test_asking_for_the_head_only_is_answered_and_not_counted(
    client: Client, frozen: datetime
) -> None:
    mail = await mailed()

    answers = [await client.head(mail.pixel), await client.head(mail.link())]
    await settle(at=frozen + LATER)

    assert [answer.status_code for answer in answers] == [200, 302]
    assert answers[1].headers["location"] == "https://shop.example/a"
    assert [answer.content for answer in answers] == [b"", b""]
    assert await mail.events() == []


async def test_other_methods_are_refused(client: Client, frozen: datetime) -> None:
    mail = await mailed()

    answers = [await client.post(mail.pixel), await client.request("OPTIONS", mail.link())]
    await settle(at=frozen + LATER)

    assert [(a.status_code, a.headers["allow"]) for a in answers] == [(405, "GET, HEAD")] * 2
    assert await mail.events() == []


def broken_tokens(token: str) -> dict[str, str]:
    """Return what is not the token any more, by what was done to it."""

    def altered(at: int) -> str:
        return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]

    return {
        "nothing": "",
        "cut": token[:-1],
        "cut far": token[:30],
        "longer": token + "A",
        "altered": altered(-2),
        "altered nonce": altered(5),
        "altered version": altered(0),
        "garbage": "%C3%28%00",
        "unicode": "ü" * 20,
        "dots": "..",
        "address": base64.urlsafe_b64encode(b"https://evil.example/").decode(),
        "huge": "A" * 60_000,
    }


@pytest.mark.parametrize("how", list(broken_tokens("A" * 40)))
async def test_a_token_that_is_not_ours_leads_nowhere(
    client: Client, frozen: datetime, how: str
) -> None:
    mail = await mailed()
    click = broken_tokens(mail.link().rpartition("/")[2])[how]
    open_ = broken_tokens(mail.pixel.rpartition("/")[2].removesuffix(".gif"))[how]

    clicked = await client.get(f"/track/click/{click}", headers={"accept": "*/*"})
    opened = await client.get(f"/track/open/{open_}.gif")
    await settle(at=frozen + LATER)

    assert "location" not in clicked.headers
    assert clicked.status_code == 404
    assert clicked.json()["error"]["code"] in ("invalid_tracking_token", "not_found")
    if how != "dots":
        assert clicked.json()["error"]["message"] == "This link is not valid."
        assert (opened.status_code, len(opened.content)) == (200, 43)
    assert await mail.events() == []


async def test_a_token_is_good_for_one_thing_only(client: Client, frozen: datetime) -> None:
    mail = await mailed()
    pixel = mail.pixel.rpartition("/")[2].removesuffix(".gif")
    link = mail.link().rpartition("/")[2]
    leave = make_token(mail.recipient, purpose="unsubscribe")

    clicked = [await client.get(f"/track/click/{token}") for token in (pixel, leave)]
    left = [await client.post(f"/track/unsubscribe/{token}") for token in (pixel, link)]
    for token in (link, leave):
        await client.get(f"/track/open/{token}")
    await settle(at=frozen + LATER)

    assert [answer.status_code for answer in (*clicked, *left)] == [404] * 4
    assert await mail.events() == []
    assert read_open(link) is None
    assert read_click(pixel) is None


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "https://a.example/\r\nSet-Cookie: x=1",
        "https://a.example/ x",
    ],
)
async def test_even_a_sealed_address_leads_to_sites_only(
    client: Client, frozen: datetime, url: str
) -> None:
    mail = await mailed()
    token = click_token(mail.links.mark, url=url, link_index=0)

    answer = await client.get(f"/track/click/{token}")

    assert answer.status_code == 404
    assert "location" not in answer.headers


async def test_links_live_for_a_year(client: Client, frozen: datetime) -> None:
    mail = await mailed()

    before = await ask(client, mail.link(), at=frozen + timedelta(days=364))
    after = await ask(client, mail.link(), at=frozen + timedelta(days=366), accept="text/html")
    pixel = await ask(client, mail.pixel, at=frozen + timedelta(days=366))
    await settle(at=frozen + timedelta(days=367))

    assert before.status_code == 302
    assert after.status_code == 410
    assert "<h1>This link no longer works</h1>" in after.text
    assert "default-src 'none'" in after.headers["content-security-policy"]
    assert pixel.status_code == 200
    assert [type for type, _ in await mail.events()] == ["message.opened", "message.clicked"]


async def test_a_long_address_is_led_to_whole(client: Client, frozen: datetime) -> None:
    mail = await mailed()
    target = "https://shop.example/" + "x" * (LONGEST_TARGET - 21)

    answer = await client.get(mail.link(0, target))

    assert answer.headers["location"] == target
    assert len(mail.link(0, target)) < 3_000


async def test_mail_of_somebody_who_was_erased_is_answered_plainly_and_not_counted(
    client: Client, frozen: datetime
) -> None:
    mail = await mailed("Ada@dest.example")
    ids = mail.recipient.organization_id, mail.recipient.project_id
    other = await mailed("bob@dest.example", organization_id=ids[0], project_id=ids[1])

    # Asked for just before, and settled afterwards.
    await ask(client, mail.link(), at=frozen)
    async with transaction() as tx:
        await forget_recipient(tx, ids[0], "ada@dest.example")
    await ERASED.look()
    clicked = await ask(client, mail.link(), at=frozen)
    opened = await ask(client, mail.pixel, at=frozen)
    await ask(client, other.link(), at=frozen)
    with clock.frozen(frozen + timedelta(days=1)):
        again = await mailed("ada@dest.example", organization_id=ids[0], project_id=ids[1])
    new = await ask(client, again.link(), at=frozen + timedelta(days=2))
    await settle(at=frozen + timedelta(days=3))

    assert clicked.status_code == 410
    assert clicked.json()["error"]["code"] == "tracking_link_expired"
    assert (opened.status_code, new.status_code) == (200, 302)
    assert await mail.events() == []
    assert len(await other.events()) == len(await again.events()) == 2


async def test_who_was_erased_is_known_to_the_first_click_after_a_quiet_hour(
    client: Client, frozen: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = await mailed("ada@dest.example")
    before = await ask(client, mail.link(), at=frozen)
    async with transaction() as tx:
        await forget_recipient(tx, mail.recipient.organization_id, "ada@dest.example")

    an_hour_passes(monkeypatch)
    clicked = await ask(client, mail.link(), at=frozen)

    assert (before.status_code, clicked.status_code) == (302, 410)


async def test_who_was_erased_is_read_while_somebody_asks_and_once_for_all(
    client: Client, frozen: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = await mailed()
    await ask(client, mail.link(), at=frozen)
    with count_statements() as soon:
        await ask(client, mail.link(1), at=frozen)

    an_hour_passes(monkeypatch)
    with count_statements() as later:
        await asyncio.gather(*(client.get(mail.link(n)) for n in range(2, 8)))
        await ERASED.keep_fresh()

    assert [len([each for each in sent if "erased" in each]) for sent in (soon, later)] == [0, 1]


async def test_links_lead_on_while_who_was_erased_cannot_be_read(
    client: Client, frozen: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = await mailed()
    tries: list[float] = []

    async def hang(*_: object) -> list[dict[str, object]]:
        tries.append(time.monotonic())
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(erasing, "fetch", hang)
    monkeypatch.setattr(erasing, "PATIENCE_SECONDS", 0.2)
    an_hour_passes(monkeypatch)
    try:
        answers, took = [], []
        for number in range(3):
            started = time.monotonic()
            answers.append((await ask(client, mail.link(number), at=frozen)).status_code)
            took.append(time.monotonic() - started >= 0.2)
    finally:
        await ERASED.stop()

    assert answers == [302, 302, 302]
    assert took == [True, False, False]
    assert len(tries) == 1


def an_hour_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is known of who was erased be an hour old."""
    monkeypatch.setattr(ERASED, "_tried_at", time.monotonic() - 3_600)


async def test_links_at_once_are_a_machine_and_links_one_by_one_a_person(
    client: Client, frozen: datetime
) -> None:
    scanned, read = await mailed(), await mailed()

    for number in range(4):
        at = frozen + timedelta(milliseconds=500 * number)
        await ask(client, scanned.link(number), at=at)
        await ask(client, read.link(number), at=frozen + timedelta(seconds=3 * number))
        await ask(client, read.link(0), at=frozen + timedelta(seconds=30 + number / 10))
    await settle(at=frozen + LATER)

    assert [(type, d["bot"], d["machine"]) for type, d in await scanned.events()] == [
        ("message.clicked", True, "burst")
    ] * 4
    clicks = [d for type, d in await read.events() if type == "message.clicked"]
    assert [d["bot"] for d in clicks] == [False] * 8
    assert [d["first"] for d in clicks] == [True] + [False] * 7


async def test_links_at_once_are_recognised_over_two_batches(
    client: Client, frozen: datetime
) -> None:
    mail = await mailed()

    await ask(client, mail.link(0), at=frozen)
    await ask(client, mail.link(1), at=frozen + timedelta(seconds=1))
    await ask(client, mail.link(2), at=frozen + timedelta(seconds=2))
    # The first is old enough now, and the others are not.
    await settle(at=frozen + timedelta(seconds=4))
    assert len(await mail.events()) == 1
    await settle(at=frozen + LATER)

    assert [d["bot"] for _, d in await mail.events()] == [True] * 3


async def test_machines_are_counted_apart(client: Client, frozen: datetime) -> None:
    mail = await mailed()
    machines = {
        "Mozilla/5.0": "apple_mail_privacy",
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com "
        "GoogleImageProxy)": "gmail_image_proxy",
        "YahooMailProxy; https://help.yahoo.com": "yahoo_mail_proxy",
    }

    for number, agent in enumerate(machines):
        at = frozen + timedelta(minutes=2 * number)
        await ask(client, mail.pixel, at=at, agent=agent)
    await ask(client, mail.pixel, at=frozen + timedelta(minutes=8), agent=PERSON)
    await settle(at=frozen + LATER)

    found = await mail.events()
    assert [d.get("machine") for _, d in found] == [*machines.values(), None]
    assert [d["machine_open"] for _, d in found] == [True, True, True, False]
    # The first by a machine, and the first by a person.
    assert [d["first"] for _, d in found] == [True, False, False, True]


async def test_what_is_opened_as_it_arrives_was_not_read(client: Client, frozen: datetime) -> None:
    mail = await mailed()

    await ask(client, mail.pixel, at=mail.delivered_at + timedelta(seconds=1.9))
    await ask(client, mail.pixel, at=mail.delivered_at + timedelta(seconds=2.1))
    await settle(at=frozen + LATER)

    assert [d.get("machine") for _, d in await mail.events()] == ["too_soon", None]


async def test_an_open_waits_for_what_became_of_its_mail(client: Client, frozen: datetime) -> None:
    mail = await mailed(delivered=False)

    await ask(client, mail.pixel, at=frozen)
    await settle(at=frozen + timedelta(seconds=60))
    assert await mail.events() == []
    await settle(at=frozen + timedelta(seconds=121))

    assert [d["machine_open"] for _, d in await mail.events()] == [False]


async def test_a_message_that_is_gone_is_not_counted(client: Client, frozen: datetime) -> None:
    mail = await mailed()
    await fetch("DELETE FROM events WHERE message_id = {}", mail.recipient.message_id)

    answer = await ask(client, mail.link(), at=frozen)
    await settle(at=frozen + LATER)

    assert answer.status_code == 302
    assert await mail.events() == []
    assert await hits_of(mail) == []


async def hits_of(mail: Mailed) -> list[dict[str, object]]:
    """Return what is written down of it and is no event yet."""
    rows = await fetch(
        "SELECT * FROM tracking_hits WHERE delivery_id = {}", mail.recipient.delivery_id
    )
    return list(rows)


@pytest.mark.parametrize("place", ["organization", "project", "link"])
async def test_where_only_sums_are_kept_nothing_says_who_it_was(
    client: Client, frozen: datetime, place: str
) -> None:
    organization = await make_organization(tracking_aggregate=place == "organization")
    project = await default_project(organization)
    project.tracking_aggregate = place == "project"
    await project.save()
    mail = await mailed(
        organization_id=OrganizationId(organization.id),
        project_id=ProjectId(project.id),
        aggregate=place == "link",
    )

    await ask(client, mail.pixel, at=frozen + timedelta(minutes=7))
    await ask(client, mail.link(2, "https://a.example/x?user=ada#y"), at=frozen + LATER)
    await RECORDER.flush()
    hits = await hits_of(mail)
    await settle(at=frozen + 2 * LATER)

    if place == "link":
        assert [(hit["ip"], hit["user_agent"]) for hit in hits] == [(None, None)] * 2
    assert await mail.events() == []
    rows = await fetch(
        "SELECT * FROM events WHERE organization_id = {} AND type IN "
        "('message.opened', 'message.clicked') ORDER BY position",
        organization.id,
    )
    nobody = '"ip": null, '
    for row in rows:
        assert row["message_id"] is row["delivery_id"] is None
        assert row["occurred_at"] == frozen
        assert nobody in row["data"]
        assert '"user_agent": null' in row["data"]
        assert "ada" not in row["data"]
    assert [row["type"] for row in rows] == ["message.opened", "message.clicked"]
    assert '"url": "https://a.example/x"' in rows[1]["data"]


async def test_whoever_follows_a_link_for_ever_fills_no_disk(
    client: Client, frozen: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From many networks, so that none repeats itself."""
    monkeypatch.setattr(repeats, "MOST_A_MINUTE", 2 * MOST_EVENTS)
    mail = await mailed()

    for number in range(MOST_EVENTS + 50):
        await ask(client, mail.link(), at=frozen + timedelta(milliseconds=number))
    await settle(at=frozen + LATER)

    assert len(await mail.events()) == MOST_EVENTS
    assert await hits_of(mail) == []


async def test_what_may_have_been_written_is_written_once(client: Client, frozen: datetime) -> None:
    mail = await mailed()
    await ask(client, mail.pixel, at=frozen)
    (noted,) = RECORDER._waiting
    await recording._write([noted])

    await settle(at=frozen + LATER)

    assert len(await mail.events()) == 1


def test_two_marks_of_one_delivery_hide_whose_they_are() -> None:
    ids = [uuid.UUID(int=number) for number in range(4)]
    recipient = Recipient(OrganizationId(ids[0]), ProjectId(ids[1]), ids[2], ids[3], "a@b.example")
    mark = mark_of(recipient, made_at=1, aggregate=False, opens=True)

    first, second = (click_token(mark, url="https://a.example", link_index=0) for _ in range(2))

    assert first != second
    assert len(first) < 260
    found = read_click(first)
    assert found is not None
    assert (found.url, found.opens, found.aggregate) == ("https://a.example", True, False)


async def test_what_one_network_asks_for_again_and_again_is_written_down_so_often_only(
    client: Client, frozen: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "MOST_A_MINUTE", 3)
    mail, passed_on = await mailed(), await mailed()

    answers = [await ask(client, mail.pixel, at=frozen) for _ in range(10)]
    clicks = [await ask(client, mail.link(), at=frozen) for _ in range(2)]
    await ask(client, passed_on.pixel, at=frozen)
    await ask(client, mail.pixel, at=frozen + timedelta(minutes=1))
    await RECORDER.flush()

    assert {answer.content for answer in answers} == {answers[0].content}
    assert {answer.headers.get("location") for answer in clicks} == {"https://shop.example/a"}
    rows = await fetch(
        "SELECT delivery_id, kind, count(*) AS n FROM tracking_hits "
        "WHERE delivery_id = ANY({}::uuid[]) GROUP BY delivery_id, kind",
        [mail.recipient.delivery_id, passed_on.recipient.delivery_id],
    )
    assert {(row["delivery_id"], row["kind"]): row["n"] for row in rows} == {
        (mail.recipient.delivery_id, "open"): 4,
        (mail.recipient.delivery_id, "click"): 2,
        (passed_on.recipient.delivery_id, "open"): 1,
    }


def test_of_a_crowd_behind_one_address_nobody_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even of one that is larger than what is remembered."""
    monkeypatch.setattr(repeats, "MOST_A_MINUTE", 2)
    known = Repeats(most_known=100)

    def hit(number: int, *, address: str | None = "192.0.2.7") -> bool:
        mark = Mark(ids=number.to_bytes(64, "big"), who=b"", made_at=0, aggregate=False, opens=True)
        return known.is_one(HitKind.OPEN, mark, address, now=0.0)

    assert not any(hit(number) for number in range(1_000))
    assert [hit(7), hit(7), hit(7, address="192.0.2.8")] == [False, True, False]
    assert not any(hit(7, address=None) for _ in range(10))
