"""Lists: pages, cursors, filters and what is told of them."""

from datetime import datetime, timedelta
from typing import Any

from postlane.core import clock
from postlane.core.database import fetch

from .test_requests import code_of
from .world import World, a_member, a_sending_domain, credits


async def send(world: World, **values: Any) -> str:
    """Send a small message and return its id."""
    body = {
        "from": f"shop@{world.names['yourdomain.com']}",
        "to": "ada@example.net",
        "subject": "Hello",
        "text": "Hello.",
    }
    answer = await world.request("POST", "/api/v1/messages/send", body | values)
    assert answer.status_code == 202, answer.text
    found: str = answer.json()["id"]
    return found


async def ids(world: World, query: str) -> list[str]:
    """Return the ids that a list of messages answers."""
    answer = await world.request("GET", f"/api/v1/messages?{query}")
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["data"]]


async def ready(world: World) -> World:
    """Return the world when it can send."""
    await credits(world)
    await a_sending_domain(world)
    return world


async def test_a_walk_meets_every_message_once(world: World) -> None:
    await ready(world)
    sent = [await send(world) for _ in range(5)]

    found, cursor = [], ""
    while True:
        answer = await world.request("GET", f"/api/v1/messages?limit=2{cursor}")
        page = answer.json()
        found += [item["id"] for item in page["data"]]
        assert page["pagination"]["has_more"] == (page["pagination"]["next_cursor"] is not None)
        if not page["pagination"]["has_more"]:
            break
        cursor = f"&cursor={page['pagination']['next_cursor']}"

    assert found == sent[::-1]


async def test_a_walk_keeps_the_window_it_began_with(world: World) -> None:
    """The seven days end later at every request; the cursor remembers where they began."""
    await ready(world)
    for _ in range(3):
        await send(world)

    first = (await world.request("GET", "/api/v1/messages?limit=1")).json()
    cursor = first["pagination"]["next_cursor"]
    with clock.frozen(clock.now() + timedelta(days=1)):
        again = await world.request("GET", f"/api/v1/messages?limit=1&cursor={cursor}")

    assert again.status_code == 200, again.text
    assert again.json()["filters"] == first["filters"]


async def test_a_cursor_fits_its_own_filters_and_sort_only(world: World) -> None:
    await ready(world)
    for _ in range(2):
        await send(world)
    first = await world.request("GET", "/api/v1/messages?limit=1&stream=transactional")
    cursor = first.json()["pagination"]["next_cursor"]

    same = f"/api/v1/messages?limit=1&stream=transactional&cursor={cursor}"
    for other in ("", "&stream=marketing", "&stream=transactional&sort=created_at"):
        answer = await world.request("GET", f"/api/v1/messages?limit=1{other}&cursor={cursor}")
        assert (answer.status_code, code_of(answer)) == (400, "invalid_cursor")
    assert (await world.request("GET", same)).status_code == 200


async def test_a_cursor_of_one_organization_shows_another_nothing(
    world: World, client: Any, dns: Any
) -> None:
    from .world import make_world

    await ready(world)
    for _ in range(2):
        await send(world)
    first = await world.request("GET", "/api/v1/messages?limit=1")
    other = await make_world(client, dns)

    answer = await other.request(
        "GET", f"/api/v1/messages?cursor={first.json()['pagination']['next_cursor']}"
    )

    assert answer.json()["data"] == []


async def test_the_total_is_counted_when_asked_for(world: World) -> None:
    await ready(world)
    for _ in range(3):
        await send(world)

    plain = await world.request("GET", "/api/v1/messages?limit=2")
    counted = await world.request("GET", "/api/v1/messages?limit=2&include_total=true")

    assert "total" not in plain.json()["pagination"]
    assert counted.json()["pagination"]["total"] == 3


async def test_every_filter_finds_its_message_and_no_other(world: World) -> None:
    await ready(world)
    name = world.names["yourdomain.com"]
    await send(world)
    wanted = await send(
        world,
        **{"from": f"Billing <billing@news.{name}>"},
        to=["Eve@Gmail.com"],
        cc=["zed@example.org"],
        subject="Your invoice 4711",
        batch_id="spring",
        tags=["invoice"],
        metadata={"order": "4711", "camelCase": "yes"},
        stream="marketing",
        vmta="default",
    )
    rows = await fetch("SELECT header_message_id FROM messages WHERE id::text = {}", wanted)
    message_id = rows[0]["header_message_id"]

    for query in (
        f"from=billing@NEWS.{name}",
        "to=eve@gmail.com",
        "to=zed@example.org",
        f"domain=news.{name}",
        "recipient_domain=gmail.com",
        "isp=google",
        "batch_id=spring",
        "tag=invoice",
        "stream=marketing",
        "vmta=default",
        f"message_id=%3C{message_id}%3E",
        f"message_id={message_id}",
        "metadata[order]=4711",
        "metadata[camelCase]=yes&metadata[order]=4711",
        "q=INVOICE%20your",
    ):
        assert await ids(world, query) == [wanted], query


async def test_filters_that_fit_all_or_none(world: World) -> None:
    await ready(world)
    sent = await send(world)
    domain_id = world.names["{domain_id}"]
    hour = timedelta(hours=1)
    before, after = (clock.now() - hour).isoformat(), (clock.now() + hour).isoformat()

    for query in (
        "status=queued,delivered",
        "status=queued&status=bounced",
        "status=",
        "pool=default",
        "mode=live",
        f"domain={domain_id}",
        f"created_after={before.replace('+', '%2B')}",
        f"created_before={after.replace('+', '%2B')}",
        "sort=created_at",
    ):
        assert await ids(world, query) == [sent], query
    for query in (
        "status=delivered",
        "bounce_class=bad_domain",
        "mode=sandbox",
        "metadata[order]=4711",
        f"domain={sent}",
        f"api_key_id={sent}",
        "vmta=nobody",
        f"created_after={after.replace('+', '%2B')}",
    ):
        assert await ids(world, query) == [], query


async def test_filters_are_told_as_they_were_understood(world: World) -> None:
    day = (clock.now() - timedelta(days=2)).date().isoformat()

    answer = await world.request(
        "GET",
        "/api/v1/messages?status=queued,%20sending,queued&from=Me@B%C3%9CCHER.example"
        f"&metadata[a]=b&created_after={day}T14:00:00.123456789%2B02:00&unknown=1&limit=7",
    )

    assert answer.json()["pagination"] == {"limit": 7, "next_cursor": None, "has_more": False}
    assert answer.json()["filters"] == {
        "status": ["queued", "sending"],
        "from": "Me@xn--bcher-kva.example",
        "metadata": {"a": "b"},
        "created_after": f"{day}T12:00:00.123Z",
    }


async def test_another_word_for_a_role_is_told_by_its_name(world: World) -> None:
    await a_member(world)

    listed = await world.request("GET", "/api/v1/users?role=member&sort=-email&status=active")
    changed = await world.request(
        "PUT", f"/api/v1/users/{world.names['{member}']}/role", {"role": "member"}
    )

    assert listed.json()["filters"] == {"role": "developer", "status": "active"}
    assert [user["email"] for user in listed.json()["data"]] == [world.names["{member_email}"]]
    assert changed.json()["role"] == "developer"


async def test_without_a_window_the_last_seven_days_are_shown(world: World) -> None:
    await ready(world)
    message = await send(world)
    await fetch(
        "UPDATE messages SET created_at = created_at - interval '8 days' WHERE id::text = {}",
        message,
    )

    assert await ids(world, "") == []
    assert await ids(world, "created_after=2020-01-01T00:00:00Z") == [message]


async def test_a_window_is_no_longer_than_messages_are_kept(world: World) -> None:
    """What is told is what was asked of the log, and a cursor keeps it."""
    await ready(world)
    old, *_ = [await send(world) for _ in range(3)]
    await fetch(
        "UPDATE messages SET created_at = created_at - interval '31 days' WHERE id::text = {}",
        old,
    )
    path = "/api/v1/messages?limit=1&created_after=0001-01-01T00:00:00Z"

    first = (await world.request("GET", path)).json()
    second = await world.request("GET", f"{path}&cursor={first['pagination']['next_cursor']}")

    since = datetime.fromisoformat(first["filters"]["created_after"])
    assert timedelta(days=30) <= clock.now() - since < timedelta(days=30, minutes=1)
    assert second.status_code == 200, second.text
    assert second.json()["filters"] == first["filters"]
    assert len(second.json()["data"]) == 1
    assert second.json()["pagination"]["has_more"] is False


async def test_include_decides_what_comes_along(world: World) -> None:
    await ready(world)
    message = await send(world, html="<p>Hi</p>", headers={"X-Order": "1"}, reply_to="a@b.example")

    async def shown(include: str) -> dict[str, Any]:
        answer = await world.request("GET", f"/api/v1/messages/{message}?include={include}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    none, content, both = await shown("none"), await shown("content"), await shown("content,events")
    bad = await world.request("GET", f"/api/v1/messages/{message}?include=everything")

    assert "events" not in none
    assert "content" not in none
    assert content["content"] == {
        "html": "<p>Hi</p>",
        "text": "Hello.",
        "headers": {"X-Order": "1"},
    }
    assert "events" not in content
    assert [event["type"] for event in both["events"]] == ["message.queued"]
    assert none["headers"] == {"X-Order": "1"}
    assert none["reply_to"] == ["a@b.example"]
    assert (bad.status_code, code_of(bad)) == (400, "invalid_request")


async def test_domains_and_keys_sort_both_ways(world: World) -> None:
    for name in ("b.example", "a.example", "c.example"):
        await world.request("POST", "/api/v1/domains", {"domain": name})

    async def names(query: str) -> list[str]:
        answer = await world.request("GET", f"/api/v1/domains?{query}")
        return [item["domain"][0] for item in answer.json()["data"]]

    assert await names("") == ["a", "b", "c"]
    assert await names("sort=-domain") == ["c", "b", "a"]
    assert await names("sort=created_at") == ["b", "a", "c"]
    assert await names("sort=-created_at") == ["c", "a", "b"]
    assert await names("q=A.EX&status=pending") == ["a"]
