"""Mail that is filled from templates: for all alike, and for each recipient apart."""

import json
import threading
from asyncio import gather
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from postlane.core.actor import Actor, Permission
from postlane.core.database import fetch
from postlane.delivery.queries import find_personal
from postlane.delivery.work import read_personal
from postlane.jobs.outbound import Outbound
from postlane.mail.address import Mailbox, parse_mailbox
from postlane.messages.operations import personal
from tests.client import Client
from tests.factories import make_actor, make_domain, make_organization, make_suppression
from tests.jobs.conftest import dns, outbound
from tests.jobs.sending import drain_queue
from tests.sink import Received, Sink

from .setup import SEND, SEND_PERSONAL, make_template

__all__ = ["dns", "outbound"]


@pytest.fixture
async def actor(database: None) -> Actor:
    """An owner of a new organization."""
    return await make_actor(await make_organization())


@pytest.fixture
async def sender(actor: Actor) -> str:
    """An address of a verified domain."""
    return f"shop@{(await make_domain(actor.organization_id)).name}"


A = {"name": "x"}
"""What the template of refusals needs."""


async def send(client: Client, actor: Actor, /, **values: Any) -> Any:
    data = await client.data(SEND, {"input": values}, actor=actor)
    return data["sendMessage"]["message"]


async def send_personal(client: Client, actor: Actor, /, **values: Any) -> Any:
    data = await client.data(SEND_PERSONAL, {"input": values}, actor=actor)
    return data["sendPersonalMessage"]


async def refused(client: Client, document: str, actor: Actor, /, **values: Any) -> Any:
    """Return the code of a refusal and its details, after which nothing was accepted."""
    before = await accepted(actor)
    body = await client.graphql(document, {"input": values}, actor=actor)
    [error] = body["errors"]
    assert await accepted(actor) == before
    extensions = error["extensions"]
    return extensions["code"], {d["field"]: d["code"] for d in extensions.get("details", ())}


async def accepted(actor: Actor) -> int:
    rows = await fetch(
        "SELECT count(*) AS n FROM deliveries WHERE organization_id = {}", actor.organization_id
    )
    return int(rows[0]["n"])


async def delivered(actor: Actor, outbound: Outbound, sink: Sink) -> dict[str, EmailMessage]:
    """Send all that waits, and return what arrived by its recipient."""
    rows = await fetch(
        "SELECT DISTINCT queue_id FROM deliveries WHERE organization_id = {}", actor.organization_id
    )
    for row in rows:
        await drain_queue(outbound, row["queue_id"])
    return {received.recipient: parsed(received) for received in sink.messages}


def parsed(received: Received) -> EmailMessage:
    message = message_from_bytes(received.data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).strip()


async def test_a_message_is_filled_from_a_template(
    client: Client, actor: Actor, sender: str
) -> None:
    await make_template(
        client,
        actor,
        "receipt",
        subject="Thanks, {{ name }}",
        html="<p>{{ name }}</p>",
        text="Hi {{ name }}",
        sender=sender,
    )
    use = {"template": "receipt", "variables": {"name": "<Ann>"}}

    sent = await send(client, actor, **{"from": ""}, to=["ann@example.net"], template=use)

    assert sent["subject"] == "Thanks, <Ann>"
    assert sent["templateSlug"] == "receipt"
    assert sent["content"] == {"html": "<p>&lt;Ann&gt;</p>", "text": "Hi <Ann>"}
    rows = await fetch("SELECT sender FROM messages WHERE id = {}::text::uuid", sent["uuid"])
    assert rows[0]["sender"] == sender


@pytest.mark.parametrize(
    ("use", "more", "details"),
    [
        ({"template": "nothing"}, {}, {"template.template": "NOT_FOUND"}),
        ({"template": "draft"}, {}, {"template.template": "NOT_FOUND"}),
        ({"template": "a"}, {}, {"template.variables.name": "REQUIRED"}),
        ({"template": "a", "variables": "x"}, {}, {"template.variables": "INVALID_TYPE"}),
        (
            {"template": "a", "variables": {"name": "x"}},
            {"text": "y"},
            {"text": "MUTUALLY_EXCLUSIVE"},
        ),
        (
            {"template": "a", "variables": A | {"n": 99_999}},
            {},
            {"template.text": "INVALID_FORMAT"},
        ),
        ({"template": "a", "variables": A | {"n": "?"}}, {}, {"template.text": "INVALID_FORMAT"}),
    ],
)
async def test_what_cannot_be_filled_is_not_sent(
    client: Client,
    actor: Actor,
    sender: str,
    use: dict[str, Any],
    more: dict[str, Any],
    details: dict[str, str],
) -> None:
    loops = "{{ name }}{% for a in range(n) %}{% for b in range(n) %}x{% endfor %}{% endfor %}"
    variables = [{"name": "name", "isRequired": True}, {"name": "n", "default": 1}]
    await make_template(client, actor, "a", text=loops, subject="s", variables=variables)
    await make_template(client, actor, "draft", text="x", publish=False)
    message = {"from": sender, "to": ["ann@example.net"], "template": use} | more

    assert await refused(client, SEND, actor, **message) == ("INVALID_INPUT", details)


async def test_each_recipient_gets_a_mail_of_their_own(
    client: Client, actor: Actor, sender: str, outbound: Outbound, sink: Sink
) -> None:
    await make_template(
        client, actor, "receipt", html="<b>{{ content }}</b>", text="{{ content }} - {{ company }}"
    )
    sent = await send_personal(
        client,
        actor,
        **{"from": sender},
        recipients=[
            {"address": "Ann <ann@dest.example>", "variables": {"name": "Ann", "company": "Own"}},
            {"address": "bob@dest.example", "variables": {"name": "Bob"}},
            {"address": "ANN@dest.example"},
        ],
        subject="Hi {{ name }}",
        html="<i>{{ name }}</i>",
        text="Dear {{ name }}",
        template="receipt",
        variables={"company": "Acme", "name": "you"},
        uid="mailing-1",
        cc=["Carl <carl@dest.example>"],
        bcc=["dora@dest.example"],
    )

    mails = await delivered(actor, outbound, sink)

    assert (sent["uid"], sent["accepted"], sent["suppressed"]) == ("mailing-1", 4, 0)
    assert sent["message"]["templateSlug"] == "receipt"
    assert sent["message"]["subject"] == "Hi Ann"
    assert sent["message"]["content"]["html"] == "<b><i>Ann</i></b>"
    assert sorted(mails) == [f"{n}@dest.example" for n in ("ann", "bob", "carl", "dora")]
    ann, bob, dora = (mails[f"{n}@dest.example"] for n in ("ann", "bob", "dora"))
    assert (ann["To"], bob["To"]) == ("Ann <ann@dest.example>", "bob@dest.example")
    assert (ann["Subject"], bob["Subject"]) == ("Hi Ann", "Hi Bob")
    assert text_of(ann) == "Dear Ann - Own"
    assert text_of(bob) == "Dear Bob - Acme"
    assert text_of(bob, "html") == "<b><i>Bob</i></b>"
    assert text_of(dora) == "Dear you - Acme"
    assert {mail["Cc"] for mail in mails.values()} == {"Carl <carl@dest.example>"}
    assert all(mail["Bcc"] is None for mail in mails.values())


async def test_recipients_may_see_each_other(
    client: Client, actor: Actor, sender: str, outbound: Outbound, sink: Sink
) -> None:
    people = [{"address": "ann@dest.example"}, {"address": "bob@dest.example"}]
    await send_personal(
        client, actor, **{"from": sender}, recipients=people, subject="s", text="x", apart=False
    )

    mails = await delivered(actor, outbound, sink)

    assert {mail["To"] for mail in mails.values()} == {"ann@dest.example, bob@dest.example"}


async def test_all_of_it_may_go_to_somebody_else(
    client: Client, actor: Actor, sender: str, outbound: Outbound, sink: Sink
) -> None:
    people = [
        {"address": f"{name}@other.example", "variables": {"name": name}} for name in ("ann", "bob")
    ]
    await send_personal(
        client,
        actor,
        **{"from": sender},
        recipients=people,
        subject="s",
        text="Hi {{name}}",
        syntax="BRACES",
        redirectTo="dev@dest.example",
    )

    await delivered(actor, outbound, sink)

    assert {received.recipient for received in sink.messages} == {"dev@dest.example"}
    texts = sorted(text_of(parsed(received)) for received in sink.messages)
    assert texts == ["Hi ann", "Hi bob"]


async def test_what_is_tracked_has_links_of_each_ones_own(
    client: Client, actor: Actor, sender: str, outbound: Outbound, sink: Sink
) -> None:
    update = (
        "mutation { updateTracking(input: {opens: true, clicks: true}) { tracking { opens } } }"
    )
    await client.data(update, actor=actor)
    people = [
        {"address": f"{name}@dest.example", "variables": {"id": name}} for name in ("ann", "bob")
    ]
    await send_personal(
        client,
        actor,
        **{"from": sender},
        recipients=people,
        subject="s",
        html='<a href="https://shop.example/{{id}}">{{id}}</a>',
        syntax="BRACES",
    )

    mails = await delivered(actor, outbound, sink)

    ann, bob = (text_of(mails[f"{n}@dest.example"], "html") for n in ("ann", "bob"))
    assert ">ann</a>" in ann
    assert "/track/click/" in ann
    assert "shop.example" not in ann
    assert ann != bob


async def test_who_cannot_be_rendered_for_bounces_alone(
    client: Client, actor: Actor, sender: str, outbound: Outbound, sink: Sink
) -> None:
    people = [
        {"address": "ann@dest.example", "variables": {"n": 1}},
        {"address": "bob@dest.example", "variables": {"n": "none"}},
    ]
    sent = await send_personal(
        client, actor, **{"from": sender}, recipients=people, subject="s", text="{{ n + 1 }}"
    )

    mails = await delivered(actor, outbound, sink)

    assert list(mails) == ["ann@dest.example"]
    rows = await fetch(
        "SELECT address, state, reply FROM deliveries WHERE message_id = {}::text::uuid "
        "ORDER BY address",
        sent["uuid"],
    )
    assert [row["state"] for row in rows] == ["delivered", "bounced"]
    assert "cannot be rendered" in rows[1]["reply"]


async def test_of_messages_with_one_uid_the_first_is_accepted(
    client: Client, actor: Actor, sender: str
) -> None:
    message = {
        "from": sender,
        "recipients": [{"address": "ann@example.net"}],
        "subject": "s",
        "text": "x",
        "uid": "once",
    }

    answers = await gather(
        *(client.graphql(SEND_PERSONAL, {"input": message}, actor=actor) for _ in range(8))
    )

    codes = [a["errors"][0]["extensions"]["code"] for a in answers if "errors" in a]
    assert codes == ["MESSAGE_UID_TAKEN"] * 7
    assert await accepted(actor) == 1


async def test_a_uid_is_not_spent_on_a_refusal(client: Client, actor: Actor, sender: str) -> None:
    message = {"from": sender, "recipients": [{"address": "nobody"}], "text": "x", "uid": "u"}

    first = await refused(client, SEND_PERSONAL, actor, **message)
    message["recipients"] = [{"address": "ann@example.net"}]
    second = await send_personal(client, actor, **message)

    assert first == ("INVALID_INPUT", {"recipients[0].address": "INVALID_EMAIL"})
    assert second["uid"] == "u"


@pytest.mark.parametrize(
    ("changed", "code", "details"),
    [
        ({"recipients": []}, "INVALID_INPUT", {"recipients": "REQUIRED"}),
        ({"text": None}, "INVALID_INPUT", {"html": "REQUIRED"}),
        ({"text": "{{ broken"}, "INVALID_INPUT", {"text": "INVALID_FORMAT"}),
        ({"text": "{{ 'a' * 10**9 }}"}, "INVALID_INPUT", {"text": "INVALID_FORMAT"}),
        ({"template": "nothing"}, "INVALID_INPUT", {"template": "NOT_FOUND"}),
        ({"redirectTo": "nobody"}, "INVALID_INPUT", {"redirectTo": "INVALID_EMAIL"}),
        ({"uid": "x" * 256}, "INVALID_INPUT", {"uid": "TOO_LONG"}),
        ({"variables": [1]}, "INVALID_INPUT", {"variables": "INVALID_TYPE"}),
        ({"from": "a@not-ours.example"}, "DOMAIN_NOT_VERIFIED", {}),
        (
            {"attachments": [{"filename": "a.txt", "content": "!"}]},
            "INVALID_INPUT",
            {"attachments[0].content": "INVALID_FORMAT"},
        ),
        (
            {"headers": [{"name": "X-A", "value": "a\r\nBcc: x@example.org"}]},
            "INVALID_INPUT",
            {"headers.X-A": "NOT_ALLOWED"},
        ),
    ],
)
async def test_what_cannot_be_sent_to_many_is_refused_as_a_whole(
    client: Client,
    actor: Actor,
    sender: str,
    changed: dict[str, Any],
    code: str,
    details: dict[str, str],
) -> None:
    message = {"from": sender, "recipients": [{"address": "ann@example.net"}], "text": "x"}

    assert await refused(client, SEND_PERSONAL, actor, **(message | changed)) == (code, details)


async def test_each_recipient_needs_what_the_template_requires(
    client: Client, actor: Actor, sender: str
) -> None:
    variables = [{"name": "name", "isRequired": True}]
    await make_template(client, actor, "a", text="{{ name }}", variables=variables)
    people = [
        {"address": "ann@example.net", "variables": {"name": "Ann"}},
        {"address": "bob@example.net"},
    ]

    found = await refused(
        client, SEND_PERSONAL, actor, **{"from": sender}, recipients=people, template="a"
    )

    assert found == ("INVALID_INPUT", {"recipients[1].variables.name": "REQUIRED"})


async def test_who_gets_no_mail_costs_nothing_and_the_rest_is_sent(
    client: Client, actor: Actor, sender: str
) -> None:
    await make_suppression(actor.organization_id, "gone@example.net")
    people = [{"address": f"{name}@example.net"} for name in ("ann", "gone", "bob")]

    sent = await send_personal(client, actor, **{"from": sender}, recipients=people, text="x")

    assert (sent["accepted"], sent["suppressed"], sent["creditsConsumed"]) == (2, 1, 2)


async def test_without_a_sender_it_is_from_the_oldest_domain(
    client: Client, actor: Actor, sender: str
) -> None:
    await make_domain(actor.organization_id)
    people = [{"address": "ann@example.net"}]

    sent = await send_personal(client, actor, recipients=people, text="x")

    rows = await fetch("SELECT sender FROM messages WHERE id = {}::text::uuid", sent["uuid"])
    assert rows[0]["sender"] == f"mail@{sender.partition('@')[2]}"


async def test_sandbox_mail_never_leaves(client: Client, actor: Actor, sender: str) -> None:
    people = [{"address": "ann@example.net"}]

    sent = await send_personal(
        client, actor, **{"from": sender}, recipients=people, text="x", sandbox=True
    )

    assert (sent["mode"], sent["creditsConsumed"]) == ("SANDBOX", 0)
    asked = "SELECT due_at FROM deliveries WHERE message_id = {}::text::uuid"
    assert await fetch(asked, sent["uuid"]) == [{"due_at": None}]


async def test_values_of_people_go_with_the_content(
    client: Client, actor: Actor, sender: str
) -> None:
    people = [{"address": "ann@example.net", "variables": {"name": "Ann"}}]
    sent = await send_personal(client, actor, **{"from": sender}, recipients=people, text="x")
    asked = (
        "SELECT count(*) AS n FROM personal_values JOIN deliveries ON id = delivery_id "
        "WHERE message_id = {}::text::uuid"
    )
    assert (await fetch(asked, sent["uuid"]))[0]["n"] == 1

    await fetch(
        "DELETE FROM contents WHERE id = (SELECT content_id FROM messages "
        "WHERE id = {}::text::uuid)",
        sent["uuid"],
    )

    assert (await fetch(asked, sent["uuid"]))[0]["n"] == 0


def _people(count: int, size: int = 0) -> list[dict[str, Any]]:
    values = {"name": "x" * size}
    return [{"address": f"p{nth}@example.net", "variables": values} for nth in range(count)]


@pytest.mark.parametrize(
    ("message", "is_in_a_thread"),
    [
        ({"recipients": _people(3)}, False),
        ({"recipients": _people(3, 20_000)}, False),
        ({"recipients": _people(3), "cc": ["c@example.net"], "bcc": ["b@example.net"]}, False),
        ({"recipients": _people(60)}, True),
        ({"recipients": _people(1), "bcc": [f"b{nth}@example.net" for nth in range(60)]}, True),
        ({"recipients": _people(1), "cc": [f"c{nth}@example.net" for nth in range(60)]}, True),
        ({"recipients": _people(3, 30_000)}, True),
        ({"recipients": _people(1, 40_000), "variables": {"all": "x" * 40_000}}, True),
    ],
    ids=["few", "small values", "few in all", "many", "bcc", "cc", "large values", "shared"],
)
async def test_reading_many_people_keeps_nobody_else_waiting(
    client: Client,
    actor: Actor,
    sender: str,
    monkeypatch: pytest.MonkeyPatch,
    message: dict[str, Any],
    is_in_a_thread: bool,
) -> None:
    where: set[bool] = set()

    def read(text: str) -> Mailbox:
        where.add(threading.current_thread() is not threading.main_thread())
        return parse_mailbox(text)

    monkeypatch.setattr(personal, "parse_mailbox", read)

    sent = await send_personal(client, actor, **{"from": sender}, text="x", sandbox=True, **message)

    kinds = ("recipients", "cc", "bcc")
    assert sent["accepted"] == sum(len(message.get(kind, ())) for kind in kinds)
    assert where == {is_in_a_thread}


async def test_sending_needs_its_permission(client: Client, actor: Actor, sender: str) -> None:
    reader = replace(actor, permissions=frozenset({Permission.READ_MESSAGES}))
    message = {"from": sender, "recipients": [{"address": "ann@example.net"}], "text": "x"}

    code, _ = await refused(client, SEND_PERSONAL, reader, **message)

    assert code == "INSUFFICIENT_ROLE"


async def test_mail_is_told_apart_by_template(client: Client, actor: Actor, sender: str) -> None:
    await make_template(client, actor, "receipt", text="x", subject="s")
    sent = await send(
        client, actor, **{"from": sender}, to=["ann@example.net"], template={"template": "receipt"}
    )

    rows = await fetch("SELECT template FROM messages WHERE id = {}::text::uuid", sent["uuid"])

    assert json.dumps(rows[0]["template"]) == '"receipt"'


async def test_everybody_of_many_gets_their_own(client: Client, actor: Actor, sender: str) -> None:
    people = [
        {"address": f"p{n}@example.net", "variables": {"n": n} if n % 3 else None}
        for n in range(130)
    ]
    sent = await send_personal(
        client, actor, **{"from": sender}, recipients=people, text="{{ n }}", variables={"n": "x"}
    )
    rows = await fetch(
        "SELECT id, address FROM deliveries WHERE message_id = {}::text::uuid ORDER BY number",
        sent["uuid"],
    )
    assert [row["address"] for row in rows] == [person["address"] for person in people]

    asked = [row["id"] for row in rows[40:]]
    mine, theirs = await find_personal(actor, asked), await read_personal(asked)

    assert [mine[id].values["n"] if id in mine else None for id in asked] == [
        n if n % 3 else None for n in range(40, 130)
    ]
    # A job reads others of the same rows along.
    assert mine.items() <= theirs.items()
