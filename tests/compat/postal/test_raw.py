"""`send/raw`: a message as it is, and to whom it goes."""

import base64
from typing import Any

import pytest

from postlane.core.database import fetch

from .world import Server

REQUIRED = "`{}` parameter is required but is missing"
UNAUTHENTICATED = {"code": "UnauthenticatedFromAddress"}


def mail(server: Server, *fields: str, body: str = "Hello\r\n") -> str:
    """Return a message in base64; without fields of its own it is from a good address."""
    lines = fields or (f"From: {server.sender}", "To: ann@example.net", "Subject: Hi")
    text = "\r\n".join(lines) + "\r\n\r\n" + body
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def raw(server: Server, **values: Any) -> dict[str, Any]:
    """Return the parameters of a raw message; null takes one away."""
    body = {"rcpt_to": ["ann@example.net"], "mail_from": "me@example.net", "data": mail(server)}
    return {name: value for name, value in (body | values).items() if value is not None}


async def test_keys_are_recipients_to_the_letter_each_once(server: Server) -> None:
    to = ["Ann <ann@example.net>", "bob@Example.ORG", "bob@Example.ORG", " carl@example.net"]

    data = await server.data("send/raw", raw(server, rcpt_to=to))

    assert list(data) == ["message_id", "messages"]
    assert list(data["messages"]) == [to[0], to[1], to[3]]


async def test_the_message_keeps_its_id_or_has_none(server: Server) -> None:
    named = mail(server, f"From: {server.sender}", "Message-ID: <a.b@example.net>")

    with_id = await server.data("send/raw", raw(server, data=named))
    without = await server.data("send/raw", raw(server))

    assert with_id["message_id"] == "a.b@example.net"
    assert without["message_id"] is None
    found = await server.read(without["messages"]["ann@example.net"]["id"])
    assert found["details"]["message_id"] is None
    assert base64.b64decode(found["raw_message"]) == base64.b64decode(mail(server))


async def test_nobody_is_a_success(server: Server) -> None:
    data = await server.data("send/raw", raw(server, rcpt_to=[]))

    assert data == {"message_id": None, "messages": {}}
    rows = await fetch(
        "SELECT count(*) AS n FROM messages WHERE organization_id = {}", server.organization.id
    )
    assert rows[0]["n"] == 0


async def test_nobody_is_checked_all_the_same(server: Server) -> None:
    foreign = mail(server, "From: a@elsewhere.example")

    assert await server.error("send/raw", raw(server, rcpt_to=[], data=foreign)) == UNAUTHENTICATED


@pytest.mark.parametrize("missing", ["rcpt_to", "mail_from", "data"])
async def test_what_is_missing_is_told_in_order(server: Server, missing: str) -> None:
    names = ["rcpt_to", "mail_from", "data"]
    for value in (None, "", "  ", False, {}):
        later = dict.fromkeys(names[names.index(missing) :], value)

        assert await server.fault("send/raw", raw(server) | later) == REQUIRED.format(missing)


async def test_one_text_is_no_list_of_recipients(server: Server) -> None:
    fault = await server.fault("send/raw", raw(server, rcpt_to="ann@example.net"))

    assert fault == REQUIRED.format("rcpt_to")


@pytest.mark.parametrize(
    "fields",
    [
        ["From: a@elsewhere.example"],
        ["From: a@sub.{domain}"],
        ["Subject: nobody"],
        ["From: {sender}, b@elsewhere.example"],
        ["From: nobody"],
        ["Sender: {sender}"],
    ],
    ids=str,
)
async def test_from_must_be_of_a_verified_domain(server: Server, fields: list[str]) -> None:
    lines = [line.format(sender=server.sender, domain=server.domain) for line in fields]

    error = await server.error("send/raw", raw(server, data=mail(server, *lines)))

    assert error == UNAUTHENTICATED


@pytest.mark.parametrize("data", ["====", "!!!!", "A", "SGVsbG8="], ids=repr)
async def test_what_is_no_message_is_from_nobody(server: Server, data: str) -> None:
    assert await server.error("send/raw", raw(server, data=data)) == UNAUTHENTICATED


async def test_the_sender_that_was_given_is_shown(server: Server) -> None:
    data = await server.data("send/raw", raw(server, mail_from="someone@elsewhere.example"))

    found = await server.read(data["messages"]["ann@example.net"]["id"], "details")

    assert found["details"]["mail_from"] == "someone@elsewhere.example"
    assert found["details"]["subject"] == "Hi"
    assert found["details"]["size"] == str(len(base64.b64decode(mail(server))))


async def test_a_field_of_the_message_is_its_tag(server: Server) -> None:
    tagged = mail(server, f"From: {server.sender}", "X-Postal-Tag: welcome mail")

    data = await server.data("send/raw", raw(server, data=tagged))
    found = await server.read(data["messages"]["ann@example.net"]["id"], "details", "headers")

    assert found["details"]["tag"] == "welcome mail"
    assert found["headers"]["x-postal-tag"] == ["welcome mail"]


async def test_bare_line_feeds_end_lines(server: Server) -> None:
    text = f"From: {server.sender}\nSubject: Hi\n\nOne\nTwo\n"

    data = await server.data("send/raw", raw(server, data=base64.b64encode(text.encode()).decode()))
    found = await server.read(data["messages"]["ann@example.net"]["id"], "plain_body")

    assert found["plain_body"] == "One\nTwo\n"


async def test_hundreds_of_recipients_are_taken(server: Server) -> None:
    to = [f"a{n}@example.net" for n in range(400)]

    data = await server.data("send/raw", raw(server, rcpt_to=to))

    assert list(data["messages"]) == to
    assert await server.fault("send/raw", raw(server, rcpt_to=[f"{n}" for n in range(1001)]))


@pytest.mark.parametrize(
    "body",
    ["a\0b", "a\rb", "x" * 1000 + "\r\n"],
    ids=["nul", "carriage return", "long line"],
)
async def test_what_cannot_be_sent_safely_is_a_parameter_error(server: Server, body: str) -> None:
    assert await server.fault("send/raw", raw(server, data=mail(server, body=body) if body else ""))


@pytest.mark.parametrize(
    "values", [{"rcpt_to": [1]}, {"rcpt_to": [["a"]]}, {"data": 5}, {"data": ["a"]}], ids=str
)
async def test_a_wrong_type_is_a_parameter_error(server: Server, values: dict[str, Any]) -> None:
    assert await server.fault("send/raw", raw(server) | values)
