"""`send_message`: every form of its arguments, what is sent for them, and what is refused."""

import base64
from asyncio import gather
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from postlane.core.database import fetch
from postlane.jobs.outbound import Outbound
from tests.factories import make_domain, make_suppression
from tests.jobs.sending import drain_queue
from tests.sink import Sink
from tests.templates.setup import make_template

from .world import Shop


async def delivered(shop: Shop, outbound: Outbound, sink: Sink) -> dict[str, EmailMessage]:
    """Send all that waits, and return what arrived by its recipient."""
    rows = await fetch(
        "SELECT DISTINCT queue_id FROM deliveries WHERE organization_id = {}", shop.organization.id
    )
    for row in rows:
        await drain_queue(outbound, row["queue_id"])
    found = {}
    for received in sink.messages:
        message = message_from_bytes(received.data, policy=policy.default)
        assert isinstance(message, EmailMessage)
        found[received.recipient] = message
    return found


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).strip()


async def recipients_of(shop: Shop, uid: str) -> list[str]:
    data = await shop.data("get_message_transmissions", {"uid": uid})
    return list(data["transmissions"])


async def test_a_message_has_an_integer_id_and_a_url(shop: Shop) -> None:
    status, found = await shop.call("send_message", shop.message(), uid="u-1")

    assert status == 200
    assert found["response"] == {"status": "ok", "uid": "u-1"}
    message = found["data"]["message"]
    assert type(message["id"]) is int
    assert 0 < message["id"] < 2**32
    assert message["url"].startswith(f"http://postlane.test/o/{shop.organization.slug}/messages/")


@pytest.mark.parametrize(
    ("recipients", "found"),
    [
        ("ann@example.net", ["ann@example.net"]),
        ('"Ann, A." <ann@example.net>, bob@example.org', ["ann@example.net", "bob@example.org"]),
        (["ann@example.net", "Bob <bob@example.org>"], ["ann@example.net", "bob@example.org"]),
        (
            ["a@example.net", ["b@example.net", ["c@example.net"]]],
            ["a@example.net", "b@example.net", "c@example.net"],
        ),
        (
            {"Ann <ann@example.net>": {"name": "Ann"}, "bob@example.org": 1},
            ["ann@example.net", "bob@example.org"],
        ),
        (
            {"a@example.net": {}, "b@example.net": [], "c@example.net": None},
            ["a@example.net", "b@example.net", "c@example.net"],
        ),
        (["ann@example.net", "ann@EXAMPLE.net", None], ["ann@example.net"]),
    ],
)
async def test_recipients_come_in_three_forms(
    shop: Shop, recipients: Any, found: list[str]
) -> None:
    await shop.send("u", recipients)

    assert await recipients_of(shop, "u") == found


async def test_a_hundred_and_fifty_recipients_are_one_message(shop: Shop) -> None:
    people = {f"p{n}@example.net": {"n": n} for n in range(150)}

    await shop.send("many", people)

    assert len(await recipients_of(shop, "many")) == 150
    assert await shop.accepted() == 1


async def test_each_recipient_has_variables_of_their_own(
    shop: Shop, outbound: Outbound, sink: Sink
) -> None:
    content = {
        "text/plain": "Hi {{name}}, {{ total }} paid to {{Company}}{{nothing}}.",
        "text/html": "<p>Hi {{name}}</p>",
        "text/css": "p { color: #333 }",
    }
    people = {
        "Ann <ann@dest.example>": {"NAME": "Ann <3", "total": 12.5},
        "bob@dest.example": {"name": "Bob", "total": True, "company": "Own"},
    }
    headers = {"from": f"Shop <{shop.sender}>", "subject": "Thanks, {{name}}", "X-Order": 4711}
    await shop.send(
        "u", people, content=content, headers=headers, variables={"company": "Shop Ltd"}
    )

    mails = await delivered(shop, outbound, sink)

    ann, bob = mails["ann@dest.example"], mails["bob@dest.example"]
    assert (ann["To"], bob["To"]) == ("Ann <ann@dest.example>", "bob@dest.example")
    assert (ann["Subject"], bob["Subject"]) == ("Thanks, Ann <3", "Thanks, Bob")
    assert text_of(ann) == "Hi Ann <3, 12.5 paid to Shop Ltd."
    assert text_of(bob) == "Hi Bob, true paid to Own."
    style = '<style type="text/css">p { color: #333 }</style>'
    assert text_of(ann, "html") == f"{style}<p>Hi Ann <3</p>"
    assert (ann["From"], ann["X-Order"]) == (f"Shop <{shop.sender}>", "4711")


async def test_those_of_a_text_see_each_other_and_those_of_an_array_do_not(
    shop: Shop, outbound: Outbound, sink: Sink
) -> None:
    await shop.send("together", "ann@dest.example, bob@dest.example")
    await shop.send("apart", ["carl@dest.example", "dora@dest.example"])

    mails = await delivered(shop, outbound, sink)

    assert mails["ann@dest.example"]["To"] == "ann@dest.example, bob@dest.example"
    assert mails["carl@dest.example"]["To"] == "carl@dest.example"


async def test_headers_come_in_every_spelling(shop: Shop, outbound: Outbound, sink: Sink) -> None:
    headers = {
        "From": shop.sender,
        "SUBJECT": "Grüße",
        "reply_to": "Answers <answers@example.net>",
        "cc": "carl@dest.example",
        "BCC": ["dora@dest.example"],
        "mime_version": "1.0",
        "charset": "UTF-8",
        "content_type": "text/plain",
        "Message-ID": "<mine@example.net>",
        "To": "ignored@example.net",
        "X-Accept_Language": "de",
        "X-List": ["a", 2],
        "X-None": None,
        "X-Empty": "",
    }
    await shop.send("u", ["ann@dest.example"], headers=headers)

    mails = await delivered(shop, outbound, sink)

    assert sorted(mails) == ["ann@dest.example", "carl@dest.example", "dora@dest.example"]
    ann = mails["ann@dest.example"]
    assert (ann["Subject"], ann["Cc"], ann["Bcc"]) == ("Grüße", "carl@dest.example", None)
    assert ann["Reply-To"] == "Answers <answers@example.net>"
    assert (ann["X-Accept-Language"], ann["X-List"]) == ("de", "a, 2")
    assert ann["X-None"] is None
    assert "mine@" not in ann["Message-ID"]
    assert len(ann.get_all("MIME-Version") or ()) == 1


async def test_without_from_and_subject_it_is_sent_all_the_same(
    shop: Shop, outbound: Outbound, sink: Sink
) -> None:
    await shop.data("send_message", {"recipients": "ann@dest.example", "content": "Hello ☃"})

    mails = await delivered(shop, outbound, sink)

    assert mails["ann@dest.example"]["From"] == f"mail@{shop.domain}"
    assert text_of(mails["ann@dest.example"]) == "Hello ☃"


async def test_attachments_are_read_as_programs_write_them(
    shop: Shop, outbound: Outbound, sink: Sink
) -> None:
    content = base64.encodebytes(b"%PDF-" + bytes(range(200))).decode()
    files = {
        "a.pdf": {"content_type": "", "content": content, "Content-Transfer-Encoding": "base64"},
        "b.txt": {"content_type": "text/plain; filename=b.txt; charset=utf-8", "content": "YWJj\n"},
        "c.unknown": {"content": "YWJj"},
    }
    await shop.send("u", ["ann@dest.example"], attachments=files)

    mails = await delivered(shop, outbound, sink)

    found = [
        (part.get_filename(), part.get_content_type())
        for part in mails["ann@dest.example"].iter_attachments()
    ]
    assert found == [
        ("a.pdf", "application/pdf"),
        ("b.txt", "text/plain"),
        ("c.unknown", "application/octet-stream"),
    ]


async def test_a_template_fills_it_and_content_goes_into_it(
    shop: Shop, outbound: Outbound, sink: Sink
) -> None:
    client, owner = shop.client, shop.owner
    await make_template(
        client,
        owner,
        "parent",
        syntax="BRACES",
        html="<html>{{*}}</html>",
        text="-- {{*}} --",
        subject="Parent",
    )
    await make_template(
        client,
        owner,
        "receipt",
        syntax="BRACES",
        html="<b>{{*}}{{name}}</b>",
        text="{{*}}{{name}}",
        subject="Receipt for {{name}}",
        layout="parent",
        sender=shop.sender,
    )
    people = {"ann@dest.example": {"name": "Ann"}, "bob@dest.example": {"name": "Bob"}}
    await shop.data("send_message", {"recipients": people, "template": "receipt"}, uid="alone")
    wrapped = {"text/html": "<i>Dear </i>", "text/plain": "Dear "}
    await shop.data(
        "send_message",
        {
            "recipients": ["carl@dest.example"],
            "template": "receipt",
            "content": wrapped,
            "headers": {"subject": "Own"},
            "variables": {"name": "you"},
        },
        uid="wrapping",
    )

    mails = await delivered(shop, outbound, sink)

    ann, carl = mails["ann@dest.example"], mails["carl@dest.example"]
    assert (ann["Subject"], ann["From"]) == ("Receipt for Ann", shop.sender)
    assert text_of(ann, "html") == "<html><b>Ann</b></html>"
    assert text_of(ann) == "-- Ann --"
    assert carl["Subject"] == "Own"
    assert text_of(carl, "html") == "<html><b><i>Dear </i>you</b></html>"
    assert text_of(carl) == "-- Dear you --"
    listed = await shop.data("get_messages")
    assert {uid: row["template"] for uid, row in listed.items()} == {
        "wrapping": "receipt",
        "alone": "receipt",
    }


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(n) %}{% for b in range(n) %}x{% endfor %}{% endfor %}",
        "{% macro a(k) %}{% if k %}{{ a(k - 1) }}{% endif %}{% endmacro %}{{ a(n) }}",
        "{{ 'x' * (n * n) }}",
        "{{ content * (n * n) }}",
    ],
)
async def test_a_template_that_has_no_end_is_refused(shop: Shop, source: str) -> None:
    # As long as nobody says how often, it has one.
    text = f"{{% set n = n|default(1)|int %}}{source}"
    await make_template(shop.client, shop.owner, "endless", text=text, sender=shop.sender)
    arguments = shop.message(template="endless", content="Hi", variables={"n": 90_000})

    status, word, _ = await shop.refused("send_message", arguments, uid="u")

    assert (status, word) == (412, "precondition_failed")
    assert await shop.accepted() == 0


async def test_all_of_it_goes_to_the_override_and_is_listed_as_it_was_meant(
    shop: Shop, outbound: Outbound, sink: Sink
) -> None:
    people = {f"{name}@other.example": {"name": name} for name in ("ann", "bob")}
    await shop.send("u", people, content="Hi {{name}}", recipient_override="Dev <dev@dest.example>")

    await delivered(shop, outbound, sink)

    assert [received.recipient for received in sink.messages] == ["dev@dest.example"] * 2
    assert await recipients_of(shop, "u") == ["ann@other.example", "bob@other.example"]


async def test_what_is_not_to_be_delivered_is_not(shop: Shop) -> None:
    await shop.send("u", deliver=False)

    data = await shop.data("get_message_transmissions", {"uid": "u"})

    assert data["transmissions"]["ann@example.net"]["status"] == "queued"
    rows = await fetch(
        "SELECT due_at FROM deliveries WHERE organization_id = {}", shop.organization.id
    )
    assert rows == [{"due_at": None}]


async def test_who_is_suppressed_is_rejected_and_the_rest_is_sent(shop: Shop) -> None:
    await make_suppression(shop.organization.id, "gone@example.net", reason="hard_bounce")
    await shop.send("u", ["gone@example.net", "ann@example.net"])

    data = await shop.data("get_message_transmissions", {"uid": "u"})

    words = {address: each["status"] for address, each in data["transmissions"].items()}
    assert words == {"gone@example.net": "rejected", "ann@example.net": "queued"}


# --- uids


@pytest.mark.parametrize(
    ("envelope", "arguments", "uid"),
    [
        ({"uid": "a:b 2024.05"}, {}, "a:b 2024.05"),
        ({"uid": 1714557600123}, {}, 1714557600123),
        ({"uid": ""}, {"uid": "inner"}, "inner"),
        ({}, {"uid": 12}, 12),
        ({"uid": "outer"}, {"uid": "inner"}, "outer"),
    ],
)
async def test_a_uid_is_taken_from_where_clients_put_it(
    shop: Shop, envelope: dict[str, Any], arguments: dict[str, Any], uid: Any
) -> None:
    status, found = await shop.call("send_message", shop.message(**arguments), **envelope)

    assert (status, found["response"]["uid"]) == (200, uid)
    assert await shop.data("get_message_receipt", {"uid": uid}) == found["data"]
    assert await shop.data("get_message_receipt", uid=str(uid)) == found["data"]


async def test_without_a_uid_the_same_message_is_sent_once(shop: Shop) -> None:
    first = await shop.call("send_message", shop.message())
    uid = first[1]["response"]["uid"]

    second = await shop.refused("send_message", shop.message())
    other = await shop.call("send_message", shop.message(content="Other"))

    assert first[0] == other[0] == 200
    assert isinstance(uid, str)
    assert len(uid) == 64
    text = f"Uid {uid} already exists. Assuming message duplication."
    assert second == (400, "bad_request", text)
    assert await shop.accepted() == 2


async def test_of_many_with_one_uid_one_wins(shop: Shop) -> None:
    answers = await gather(
        *(shop.call("send_message", shop.message(), uid="once") for _ in range(12))
    )

    words = sorted(found["response"]["status"] for _, found in answers)
    assert words == ["bad_request"] * 11 + ["ok"]
    refused = next(found for status, found in answers if status == 400)
    assert refused["response"] == {
        "status": "bad_request",
        "uid": "once",
        "message": "Uid once already exists. Assuming message duplication.",
    }
    assert await shop.accepted() == 1


async def test_another_project_may_have_the_same_uid(shop: Shop) -> None:
    made = await shop.data("create_project", {"uid": "b", "label": "B"}, key=shop.account_key)
    await shop.send("shared")

    status, _ = await shop.call(
        "send_message", shop.message(), uid="shared", key=made["project"]["api_key"]
    )

    assert status == 200


# --- refusals


@pytest.mark.parametrize("envelope", [{}, {"arguments": {}}, {"arguments": [], "uid": ""}])
async def test_no_arguments_are_a_bad_request(shop: Shop, envelope: dict[str, Any]) -> None:
    answer = await shop.post("send_message", {"api_key": shop.key, **envelope})

    assert answer.status_code == 400
    assert answer.json()["response"]["status"] == "bad_request"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"recipients": None}, "No recipients were specified."),
        ({"recipients": []}, "No recipients were specified."),
        ({"recipients": ""}, "No recipients were specified."),
        ({"recipients": {}}, "No recipients were specified."),
        ({"recipients": ["ann@example.net", "nobody"]}, "nobody"),
        ({"content": None}, "The message has neither content nor a template."),
        ({"content": {"application/json": "{}"}}, "The message has neither"),
        ({"template": "no-such-slug"}, "Template 'no-such-slug' was not found."),
        ({"recipient_override": "nobody"}, "nobody"),
        ({"attachments": {"a.txt": {"content": "!!!"}}}, "base64"),
        ({"attachments": {"a/b": {"content": "YQ=="}}}, "path"),
        ({"headers": {"from": "nobody"}}, ""),
        ({"headers": {"from": "a@not-verified.example"}}, "not-verified.example"),
        ({"headers": {"X-A": "a\r\nBcc: x@example.org"}}, "line break"),
        ({"headers": {"X-A": "a\x00b"}}, "U+0000"),
        ({"headers": {"reply-to": "nobody"}}, ""),
        ({"content": "nul \x00"}, "U+0000"),
        ({"variables": {"a": "x" * 70_000}}, "64 KiB"),
        # It would grow to a gigabyte.
        ({"content": "{{a}}" * 20_000, "variables": {"a": "x" * 60_000}}, ""),
    ],
)
async def test_what_cannot_be_sent_fails_a_precondition(
    shop: Shop, changed: dict[str, Any], sentence: str
) -> None:
    status, word, text = await shop.refused("send_message", shop.message(**changed), uid="u")

    assert (status, word) == (412, "precondition_failed")
    assert sentence in (text or "")
    assert await shop.accepted() == 0
    assert await shop.refused("get_message_receipt", {"uid": "u"}) == (404, "not_found", None)


@pytest.mark.parametrize(
    "changed",
    [
        {"recipients": 5},
        {"recipients": [{"a": 1}]},
        {"headers": "x"},
        {"headers": {"subject": {"a": 1}}},
        {"content": 5},
        {"content": {"text/plain": ["x"]}},
        {"template": ["x"]},
        {"variables": "x"},
        {"variables": [1]},
        {"attachments": "x"},
        {"attachments": {"a.txt": "YQ=="}},
        {"attachments": {"a.txt": {"content": 5}}},
        {"recipient_override": {"a": 1}},
    ],
)
async def test_another_type_is_an_error_of_the_call(shop: Shop, changed: dict[str, Any]) -> None:
    status, word, _ = await shop.refused("send_message", shop.message(**changed), uid="u")

    assert (status, word) == (406, "call_error")
    assert await shop.accepted() == 0


async def test_arguments_of_another_type_are_an_error_of_the_call(shop: Shop) -> None:
    assert (await shop.refused("send_message", "x"))[:2] == (406, "call_error")
    assert (await shop.refused("send_message", [1]))[:2] == (406, "call_error")
    assert (await shop.refused("send_message", {"a": 1}, uid={"a": 1}))[:2] == (406, "call_error")


async def test_refusals_come_in_their_order(shop: Shop) -> None:
    """Types, then nothing at all, then the uid, then the rest."""
    await shop.send("taken")
    bad = shop.message(recipients=["nobody"], template="nothing")

    wrong_type = await shop.refused("send_message", bad | {"variables": "x"}, uid="taken")
    duplicate = await shop.refused("send_message", bad, uid="taken")
    rest = await shop.refused("send_message", bad, uid="free")

    assert wrong_type[:2] == (406, "call_error")
    assert duplicate[:2] == (400, "bad_request")
    assert rest[:2] == (412, "precondition_failed")


async def test_nothing_useful_is_not_nothing(shop: Shop) -> None:
    arguments: dict[str, Any] = {"headers": {}, "attachments": {}}

    assert (await shop.refused("send_message", arguments))[:2] == (412, "precondition_failed")


async def test_a_domain_of_somebody_else_does_not_help(shop: Shop) -> None:
    other = await make_domain(shop.owner.organization_id)
    headers = {"from": f"a@{other.name}"}
    assert (await shop.call("send_message", shop.message(headers=headers)))[0] == 200
    strangers = {"from": f"a@x.{other.name}.example"}

    refused = await shop.refused("send_message", shop.message(headers=strangers))

    assert refused[:2] == (412, "precondition_failed")
