"""Pages of the documents, read by somebody who types what they show into one shell."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.parts import CURL, needs
from tests.reading import Shell, read, shell

from .stack import Account, World, connect, open_account, register

pytestmark = [pytest.mark.slow, needs(CURL)]

DOMAIN = "acme.example"
"""What the pages call the reader's domain."""
MAILBOX = "example.net"
"""Where the pages send mail to."""


@pytest.fixture(scope="module")
async def reader(world: World) -> AsyncIterator[Account]:
    """Somebody with an API key and no domain yet, who begins with the first page."""
    world.dns.set(MAILBOX, "MX", "10 mx.sink.example")
    account = await register(world)
    await free_the_newest(world)
    made = await account.ask(
        "POST", "/api/v1/api-keys", {"name": "All", "scopes": ["*"]}, expect=201
    )
    account.domain, account.key = DOMAIN, made["key"]
    yield account
    await account.http.aclose()


async def free_the_newest(world: World) -> None:
    """Let the newest account have several domains, as whoever runs Postlane for themselves has."""
    database = await connect(world)
    await database.execute(
        "UPDATE organizations SET plan = 'self_hosted' WHERE id = "
        "(SELECT organization_id FROM memberships ORDER BY created_at DESC LIMIT 1)"
    )
    await database.close()


@pytest.fixture(scope="module")
async def domains(
    world: World, reader: Account, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """The page about domains, read to its end; the others need a domain that is verified."""
    folder = tmp_path_factory.mktemp("domains")
    printed = []
    async with typing(world, reader, folder) as running:
        async for _, output in read("domains.md", running):
            printed.append(output)
            if (folder / f"{DOMAIN}.zone").exists() and not reader.records:
                made = json.loads((folder / "domain.json").read_text("utf-8"))
                reader.records = world.publish(made["data"]["createDomain"]["domain"]["records"])
                printed.append((folder / f"{DOMAIN}.zone").read_text("utf-8"))
    return printed


def typing(world: World, reader: Account, folder: Path, **more: str):  # type: ignore[no-untyped-def]
    """Give the shell of somebody who reads a page."""
    smtp = f"127.0.0.1:{world.smtp_port}"
    return shell(folder, URL=world.url, KEY=reader.key, SMTP=smtp, **more)


async def test_the_page_about_domains(domains: list[str], reader: Account) -> None:
    zone = next(each for each in domains if " IN " in each)

    names = {line.split()[0] for line in zone.splitlines()}
    assert names == {f"{name}." for name in reader.records} | {f"bounce.{DOMAIN}."}
    assert f"pmta-2._domainkey.{DOMAIN}" not in zone


@pytest.mark.usefixtures("domains")
async def test_the_page_about_sending(world: World, reader: Account, tmp_path: Path) -> None:
    async with typing(world, reader, tmp_path) as running:
        await read_all("sending.md", running)

    to_ada = await world.mail_for(f"ada@{MAILBOX}", count=4)
    to_grace = await world.mail_for(f"grace@{MAILBOX}", count=2)
    subjects = {subject_of(each.data) for each in (*to_ada, *to_grace)}
    assert subjects >= {
        "Your order",
        "October",
        "Thanks, Ada",
        "Thanks, Grace",
        "By REST",
        "By SMTP",
    }
    assert "Tomorrow" not in subjects
    by_smtp = next(each for each in to_ada if subject_of(each.data) == "By SMTP")
    assert f"d={DOMAIN}; s=pmta;".encode() in by_smtp.data


@pytest.mark.usefixtures("domains")
async def test_the_page_about_postageapp(world: World, reader: Account, tmp_path: Path) -> None:
    # The side that is left speaks the same API: another organization here.
    there = await open_account(world)
    made = await there.graphql(
        'mutation { createProject(input: {name: "Old", apiKey: {name: "Old", format: POSTAGEAPP, '
        'scopes: ["messages:*"]}}) { key } addSuppression(input: {address: "gone@example.net"}) '
        "{ suppression { id } } }"
    )
    old = {"OLD": world.url, "OLD_KEY": made["createProject"]["key"]}

    async with typing(world, reader, tmp_path, **old) as running:
        await read_all("moving-from-postageapp.md", running)

    (welcome,) = [
        each
        for each in await world.mail_for(f"grace@{MAILBOX}")
        if subject_of(each.data) == "Welcome, Grace"
    ]
    assert welcome.envelope_from.endswith(f"@bounce.{DOMAIN}")
    await there.http.aclose()


@pytest.mark.usefixtures("domains")
async def test_the_page_about_postmta(world: World, reader: Account, tmp_path: Path) -> None:
    there = await open_account(world)
    await free_the_newest(world)
    await there.ask("DELETE", f"/api/v1/domains/{there.domain_id}", expect=200)
    for name in ("shop.example", "news.example"):
        await there.ask("POST", "/api/v1/domains", {"domain": name}, expect=201)
    hooks = [
        {"url": f"https://hooks.example.com/{name}", "events": ["message.*"]}
        for name in ("mail", "more")
    ]
    for hook in hooks:
        await there.ask("POST", "/api/v1/webhooks", hook, expect=201)
    # Two pages of each list, as whoever has more than a hundred reads them.
    old = {"OLD": world.url, "OLD_KEY": there.key, "PAGE": "1"}

    async with typing(world, reader, tmp_path, **old) as running:
        await read_all("moving-from-postmta.md", running)

    found = await reader.graphql("{ organization { webhooks { nodes { url events enabled } } } }")
    taken = found["organization"]["webhooks"]["nodes"]
    assert sorted(taken, key=lambda hook: hook["url"]) == [
        {**hook, "enabled": False} for hook in hooks
    ]
    await there.http.aclose()


async def read_all(page: str, running: Shell) -> None:
    """Type everything that a page shows; what it says is compared on the way."""
    typed = [command async for command, _ in read(page, running)]
    assert len(typed) > 3


def subject_of(message: bytes) -> str:
    """Return the subject of a message as it came."""
    head = message.partition(b"\r\n\r\n")[0].decode()
    return next(
        line.removeprefix("Subject: ")
        for line in head.split("\r\n")
        if line.startswith("Subject: ")
    )
