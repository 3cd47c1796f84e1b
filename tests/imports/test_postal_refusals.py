"""What cannot be taken over is refused by itself, with a reason."""

from typing import Any

import pytest

from postlane.core.database import fetch
from postlane.imports.errors import UnreadableSource
from postlane.imports.report import Kind, Outcome
from postlane.security.rules import KeyFormat
from tests.factories import make_api_key, make_organization, make_user

from .acme import Acme, a_key, furnish, told, word
from .installation import some_uuid


async def test_an_address_that_somebody_has_registered_is_not_believed(acme: Acme) -> None:
    await make_user(email=acme.email, email_key=acme.email)

    refused = await acme.take()
    joined = await acme.take(joins_people=True)

    ((name, note),) = told(refused, Kind.USER, Outcome.REFUSED)
    assert (name, "--join-people" in note) == (acme.email, True)
    ((_, note),) = told(refused, Kind.ORGANIZATION, Outcome.REFUSED)
    assert note == "nobody can own it; --owner names somebody who has an account"
    assert joined.refused == 0
    rows = await fetch("SELECT count(*) AS n FROM users WHERE email_key = {}", acme.email)
    assert rows[0]["n"] == 1


async def test_an_organization_without_people_gets_the_owner_that_was_named(acme: Acme) -> None:
    keeper = await make_user()
    acme.installation.main["organizations"][0]["owner_id"] = 999
    acme.installation.main["organization_users"].clear()

    await acme.take(owner_id=keeper.id)

    organization_id, _ = await acme.ids()
    rows = await fetch(
        "SELECT user_id, role FROM memberships WHERE organization_id = {}", organization_id
    )
    assert rows == [{"user_id": keeper.id, "role": "owner"}]


async def test_a_key_that_somebody_has_is_refused(acme: Acme) -> None:
    theirs = await make_api_key(await make_organization(), format=KeyFormat.POSTAL)
    acme.installation.credential(acme.server, theirs.secret)
    acme.installation.credential(acme.server, a_key())

    report = await acme.take()

    ((_, note),) = told(report, Kind.API_KEY, Outcome.REFUSED)
    assert note == "An API key with this secret exists already"
    assert report.counts[Kind.API_KEY, Outcome.TAKEN] == 1


@pytest.mark.parametrize(
    ("table", "values", "said"),
    [
        ("credentials", {"type": "SMTP-IP", "key": "192.0.2.0/24"}, "lets 192.0.2.0/24 in by"),
        ("credentials", {"key": "short"}, "a key has 12 to 64 letters and digits"),
        ("credentials", {"type": "FTP"}, "there is no such type as 'FTP'"),
        ("credentials", {"uuid": None}, "its uuid is ''"),
        ("credentials", {"server_id": None}, "it has no server_id"),
        ("domains", {"name": "not a domain"}, "Write a domain such as example.com"),
        ("domains", {"name": "co.uk"}, "is a public suffix"),
        ("webhooks", {"url": "ftp://example.com/"}, "Write a URL that begins with https://"),
        ("webhooks", {"url": "https://127.0.0.1/"}, "an address that is not public"),
        ("webhooks", {"url": "https://[::1/"}, "Write a URL that begins with https://"),
        ("users", {"email_address": "nobody"}, "Write one email address"),
        ("servers", {"send_limit": "many"}, "send_limit is 'many' instead of a number"),
    ],
)
async def test_what_cannot_be_taken_over_is_refused_by_itself(
    acme: Acme, table: str, values: dict[str, Any], said: str
) -> None:
    furnish(acme)
    installation = acme.installation
    if table == "credentials":
        installation.credential(**{"server_id": acme.server, "key": a_key()} | values)
    elif table == "domains":
        installation.domain(acme.server, **{"name": "x.example"} | values)
    elif table == "webhooks":
        installation.webhook(acme.server, **values)
    elif table == "servers":
        installation.server(acme.organization, "bad", **values)
    else:
        other = installation.person(f"x@{acme.domain}", **values)
        installation.add("organization_users", organization_id=acme.organization, user_id=other)

    report = await acme.take()

    (refused,) = [each for each in report.findings if each.outcome is Outcome.REFUSED]
    assert said in refused.notes[0]
    assert report.refused == 1
    assert report.counts[Kind.API_KEY, Outcome.TAKEN] == 1
    assert report.counts[Kind.DOMAIN, Outcome.TAKEN] == 1
    assert report.counts[Kind.WEBHOOK, Outcome.TAKEN] == 1


async def test_what_has_no_place_here_is_named_with_the_reason(acme: Acme) -> None:
    for _ in range(2):
        acme.installation.add("routes", uuid=some_uuid(), server_id=acme.server, name="*")
    acme.installation.add("queued_messages", server_id=acme.server, message_id=7)
    acme.installation.main["servers"][0] |= {"send_limit": 5000, "allow_sender": 1}

    report = await acme.take()

    assert told(report, Kind.OTHER, Outcome.LEFT) == [
        ("2 routes", "mail that comes in is not routed here"),
        ("1 queued messages", "they are sent by Postal; let its queue run empty"),
    ]
    ((_, *notes),) = told(report, Kind.PROJECT, Outcome.TAKEN)
    assert notes == [
        "its limit of 5,000 messages an hour stays behind",
        "the Sender field lets nobody in here: From needs a domain of its own",
    ]


async def test_what_was_deleted_in_postal_is_left_behind(acme: Acme) -> None:
    gone = acme.installation.server(acme.organization, "gone", deleted_at="2025-01-01 00:00:00")
    acme.installation.credential(gone, a_key())
    other = acme.installation.organization(
        word(), acme.owner, deleted_at="2025-01-01 00:00:00.000000"
    )
    acme.installation.server(other)

    report = await acme.take()

    assert report.counts[Kind.PROJECT, Outcome.LEFT] == 1
    assert report.counts[Kind.ORGANIZATION, Outcome.LEFT] == 1
    assert report.counts[Kind.API_KEY, Outcome.TAKEN] == 0


async def test_another_database_in_the_dump_is_not_postals(acme: Acme) -> None:
    acme.installation.prefix = "shop"

    with pytest.raises(UnreadableSource, match="no organization of Postal's"):
        await acme.take()


async def test_what_belongs_to_nobody_is_counted(acme: Acme) -> None:
    furnish(acme)
    acme.installation.credential(99, a_key())
    acme.installation.webhook(99, "https://gone.example/")
    acme.installation.domain(99, "gone.example")
    acme.installation.server(99, "gone")

    report = await acme.take()

    gone = ("1 of nobody", "what they belong to is gone")
    for kind in (Kind.API_KEY, Kind.WEBHOOK, Kind.DOMAIN, Kind.PROJECT):
        assert told(report, kind, Outcome.LEFT) == [gone]
    assert report.counts[Kind.API_KEY, Outcome.TAKEN] == 1
