"""`send/message`: who gets what, and what is refused in which order."""

import base64
import re
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest

from postlane.core.database import fetch
from tests.client import Client
from tests.factories import make_api_key, make_domain, make_suppression

from .world import Server, make_server

FILE = {"name": "a.txt", "content_type": "text/plain", "data": base64.b64encode(b"abc").decode()}


async def count(server: Server) -> int:
    """Return how many messages the organization has."""
    rows = await fetch(
        "SELECT count(*) AS n FROM messages WHERE organization_id = {}", server.organization.id
    )
    return int(rows[0]["n"])


async def mail(server: Server, id: int) -> Any:
    """Return the mail of a message, parsed."""
    raw = (await server.read(id, "raw_message"))["raw_message"]
    return message_from_bytes(base64.b64decode(raw), policy=default)


async def test_each_recipient_gets_a_message_of_their_own(server: Server) -> None:
    data = await server.send(
        "ann@example.net",
        "Bob Example <Bob@Example.ORG>",
        cc="carl@example.net, Dora <dora@example.net>",
        bcc=["eve@example.net"],
    )

    assert list(data) == ["message_id", "messages"]
    assert re.fullmatch(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}@[a-z0-9.-]+", data["message_id"]
    )
    assert list(data["messages"]) == [
        "ann@example.net",
        "Bob@Example.ORG",
        "carl@example.net",
        "dora@example.net",
        "eve@example.net",
    ]
    ids = [copy["id"] for copy in data["messages"].values()]
    assert ids == sorted(set(ids))
    for copy in data["messages"].values():
        assert list(copy) == ["id", "token"]
        assert re.fullmatch(r"[A-Za-z0-9]{16}", copy["token"])


async def test_blind_copies_are_not_in_the_mail(server: Server) -> None:
    id = await server.sent("Ann <ann@example.net>", cc=["bob@example.net"], bcc=["eve@example.net"])

    found = await mail(server, id)

    assert found["To"] == "Ann <ann@example.net>"
    assert found["Cc"] == "bob@example.net"
    assert b"eve@" not in found.as_bytes()


async def test_who_is_named_twice_gets_two_messages_and_one_is_shown(server: Server) -> None:
    data = await server.send("ann@example.net", cc=["Ann <ann@example.net>"])

    rows = await fetch(
        "SELECT number FROM deliveries WHERE organization_id = {} ORDER BY number",
        server.organization.id,
    )
    assert len(rows) == 2
    assert [copy["id"] for copy in data["messages"].values()] == [rows[1]["number"]]


async def test_what_is_no_address_is_taken_and_has_an_id(server: Server) -> None:
    data = await server.send("not-an-address", "", "a b@example.net", "x@y@z@", "ann@example.net")

    assert list(data["messages"]) == [
        "not-an-address",
        "",
        "a b@example.net",
        "x@y@z@",
        "ann@example.net",
    ]
    first = await server.read(data["messages"]["not-an-address"]["id"], "details", "status")
    assert first["details"]["rcpt_to"] == "not-an-address"
    assert first["status"]["status"] == "Pending"


MOST = "The maximum number of {} addresses has been reached (maximum 50)"
SENTENCES = {
    "NoRecipients": "There are no recipients defined to receive this message",
    "TooManyToAddresses": MOST.format("To"),
    "TooManyCCAddresses": MOST.format("CC"),
    "TooManyBCCAddresses": MOST.format("BCC"),
    "NoContent": "There is no content defined for this e-mail",
    "FromAddressMissing": "The From address is missing and is required",
    "UnauthenticatedFromAddress": "The From address is not authorised to send mail from this "
    "server",
    "AttachmentMissingName": "An attachment is missing a name",
    "AttachmentMissingData": "An attachment is missing data",
}
FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    ("NoRecipients", "to", {"to": [], "cc": "", "bcc": [None]}),
    ("TooManyToAddresses", "to", {"to": ["a@example.net"] * 51}),
    ("TooManyCCAddresses", "cc", {"cc": ["a@example.net"] * 51}),
    ("TooManyBCCAddresses", "bcc", {"bcc": ["a@example.net"] * 51}),
    ("NoContent", "body", {"plain_body": " \n", "html_body": ""}),
    ("FromAddressMissing", "from", {"from": ""}),
    ("UnauthenticatedFromAddress", "from", {"from": "news@elsewhere.example"}),
    ("AttachmentMissingName", "file", {"attachments": [{"data": "YWJj"}]}),
    ("AttachmentMissingData", "file", {"attachments": [{"name": "a", "data": "IA=="}]}),
]
"""In the order in which they are told, each with the place where it is made."""


@pytest.mark.parametrize(("code", "_", "values"), FAULTS, ids=list(SENTENCES))
async def test_each_fault_has_its_code_and_sentence(
    server: Server, code: str, _: str, values: dict[str, Any]
) -> None:
    body = server.message() | values

    assert await server.error("send/message", body) == {"message": SENTENCES[code], "code": code}
    assert await count(server) == 0


async def test_only_the_first_fault_is_told(server: Server) -> None:
    """Of two, the one that stands before the other in the order of checks."""
    for index, (code, place, values) in enumerate(FAULTS):
        later = [other for _, at, other in FAULTS[index + 1 :] if at != place]
        body = server.message()
        for other in reversed([values, *later]):
            body |= other

        assert (await server.error("send/message", body))["code"] == code


async def test_attachments_are_looked_at_in_their_order_name_before_data(server: Server) -> None:
    files = [FILE, {"name": " ", "data": ""}, {"name": "b", "data": ""}]

    error = await server.error("send/message", server.message(attachments=files))

    assert error["code"] == "AttachmentMissingName"


async def test_fifty_of_each_kind_are_taken(server: Server) -> None:
    kinds = {kind: [f"{kind}{n}@example.net" for n in range(50)] for kind in ("to", "cc", "bcc")}

    data = await server.data("send/message", server.message() | kinds)

    assert len(data["messages"]) == 150
    last = await server.read(data["messages"]["bcc49@example.net"]["id"], "details")
    assert last["details"]["rcpt_to"] == "bcc49@example.net"


@pytest.mark.parametrize(
    ("form", "is_taken"),
    [
        ("{0}", True),
        ("News <{0}>", True),
        ("News, Daily <{0}>", True),
        ('"News, Daily" <{0}> (the letter)', True),
        ("{1}", False),
        ("a@sub.{1}", False),
        ("{0}, b@elsewhere.example", False),
        ("News", False),
        ("News <{0}", True),
    ],
)
async def test_the_domain_of_from_is_verified_by_its_own_name(
    server: Server, form: str, is_taken: bool
) -> None:
    body = server.message() | {"from": form.format(server.sender, server.domain)}

    status, data = await server.answered("send/message", body)

    expected = ("success", None) if is_taken else ("error", "UnauthenticatedFromAddress")
    assert (status, data.get("code")) == expected


async def test_the_domain_of_from_is_compared_without_case(server: Server) -> None:
    id = await server.sent(**{"from": server.sender.upper()})

    assert (await server.read(id, "details"))["details"]["direction"] == "outgoing"


async def test_a_domain_that_is_not_verified_is_not_authorised(server: Server) -> None:
    pending = await make_domain(server.organization.id, status="pending")
    of_others = await make_server(server.client)

    for domain in (pending.name, of_others.domain):
        body = server.message() | {"from": f"a@{domain}", "sender": server.sender}
        error = await server.error("send/message", body)
        assert error["code"] == "UnauthenticatedFromAddress"
    assert await count(server) == 0


async def test_parameters_take_precedence_over_headers(server: Server) -> None:
    headers = {
        "From": "evil@elsewhere.example",
        "Message-ID": "<mine@elsewhere.example>",
        "Subject": "Other",
        "Reply-To": "other@elsewhere.example",
        "Sender": "other@elsewhere.example",
        "To": "other@elsewhere.example",
        "Bcc": "eve@elsewhere.example",
        "Date": "Mon, 05 Jan 2026 09:30:00 +0100",
        "X-Order": "4711",
        "x-number": 7,
    }

    found = await mail(server, await server.sent(headers=headers, reply_to="answers@example.net"))

    assert found["From"] == server.sender
    assert "elsewhere" not in found["Message-ID"]
    assert found["Subject"] == "Hi"
    assert found["Reply-To"] == "answers@example.net"
    assert found["Sender"] is None
    assert found["To"] == "ann@example.net"
    assert found["Bcc"] is None
    assert found["Date"] == "Mon, 05 Jan 2026 08:30:00 +0000"
    assert (found["X-Order"], found["X-Number"]) == ("4711", "7")


async def test_a_header_is_gone_without_its_parameter(server: Server) -> None:
    headers = {"Subject": "Other", "To": "shown@example.net", "Cc": "also@example.net"}
    body = server.message(subject=None) | {"to": [], "bcc": ["eve@example.net"], "headers": headers}

    data = await server.data("send/message", body)
    found = await mail(server, data["messages"]["eve@example.net"]["id"])

    assert list(data["messages"]) == ["eve@example.net"]
    assert found["Subject"] in (None, "")
    assert (found["To"], found["Cc"]) == ("shown@example.net", "also@example.net")


async def test_sender_is_written(server: Server) -> None:
    found = await mail(server, await server.sent(sender=f"Robot <robot@{server.domain}>"))

    assert found["Sender"] == f"Robot <robot@{server.domain}>"


@pytest.mark.parametrize(
    "values",
    [
        {"headers": [["X-Order", "1"]]},
        {"headers": "X-Order: 1"},
        {"headers": None, "attachments": None, "tag": None, "reply_to": ""},
        {"attachments": ["text", 5, FILE]},
        {"attachments": {"0": FILE}},
        {"unknown": {"deep": [1]}, "text": "x"},
        {"subject": 5, "tag": True},
        {"bounce": None},
    ],
    ids=str,
)
async def test_what_clients_send_besides_is_taken(server: Server, values: dict[str, Any]) -> None:
    await server.data("send/message", server.message() | values)

    assert await count(server) == 1


async def test_attachments_are_decoded_leniently(server: Server) -> None:
    files = [
        {"name": "a/b\r\n.pdf", "data": "YW Jj\nZA", "content_type": 'text/plain; charset="utf-8"'},
        {"name": "b", "data": "YWJj", "content_type": "no type\r\nX: y"},
    ]

    found = await mail(server, await server.sent(attachments=files))

    first, second = found.iter_attachments()
    assert (first.get_filename(), first.get_content()) == ("a_b__.pdf", "abcd")
    assert (second.get_filename(), second.get_content()) == ("b", b"abc")
    assert second.get_content_type() == "application/octet-stream"


@pytest.mark.parametrize(
    "values",
    [
        {"headers": {"X-A\r\nBcc": "eve@example.net"}},
        {"headers": {"X-A": "1\r\nBcc: eve@example.net\r\n\r\nbody"}},
        {"headers": {"Content-Type": "text/html", "MIME-Version": "2.0", "Received": "x"}},
        {"headers": {"X A": "1", "": "2", "X-Ü": "3"}},
        {"subject": "Hi\r\nBcc: eve@example.net"},
        {"reply_to": "a@example.net\r\nBcc: eve@example.net"},
        {"sender": "a@example.net\r\nBcc: eve@example.net"},
        {"to": ["Ann\r\nBcc: eve@example.net <ann@example.net>"]},
        {"from": "News\r\nBcc: eve@example.net <{sender}>"},
    ],
    ids=str,
)
async def test_nothing_breaks_out_of_its_header_field(
    server: Server, values: dict[str, Any]
) -> None:
    if "from" in values:
        values = {"from": values["from"].format(sender=server.sender)}
    data = await server.data("send/message", server.message() | values)

    found = await mail(server, next(iter(data["messages"].values()))["id"])

    assert found["Bcc"] is None
    assert found["From"].addresses[0].addr_spec == server.sender
    assert found["MIME-Version"] == "1.0"
    assert found.get_content_type() == "text/plain"
    assert found.get_content().split() == ["Hello"]


@pytest.mark.parametrize("value", [True, "false", 0, "", "0", {}], ids=repr)
async def test_anything_but_false_marks_a_bounce(server: Server, value: Any) -> None:
    marked = await server.sent(bounce=value)
    plain = await server.sent(bounce=False)

    assert (await server.read(marked, "details"))["details"]["bounce"] is True
    assert (await server.read(plain, "details"))["details"]["bounce"] is False


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"from": 5}, "from"),
        ({"to": 5}, "to"),
        ({"to": {"a": "b"}}, "to"),
        ({"cc": [5]}, "cc"),
        ({"subject": ["a"]}, "subject"),
        ({"plain_body": {}}, "plain_body"),
        ({"attachments": "a"}, "attachments"),
        ({"attachments": [{"name": "a", "data": 5}]}, "attachments"),
    ],
    ids=str,
)
async def test_a_wrong_type_is_a_parameter_error(
    server: Server, values: dict[str, Any], field: str
) -> None:
    assert f"`{field}`" in await server.fault("send/message", server.message() | values)
    assert await count(server) == 0


@pytest.mark.parametrize(
    "values",
    [
        {"plain_body": "a\x00b"},
        {"headers": {"A:B": "c"}},
        {"headers": {"X": "y" * 70_000}},
        {"headers": {f"X-{n}": "y" for n in range(201)}},
    ],
    ids=lambda values: str(values)[:40],
)
async def test_what_cannot_be_sent_is_a_parameter_error(
    server: Server, values: dict[str, Any]
) -> None:
    assert await server.fault("send/message", server.message() | values)
    assert await count(server) == 0


async def test_a_message_beyond_25_mib_is_an_error(server: Server) -> None:
    files = [FILE | {"data": "A" * 27 * 2**20}]

    error = await server.error("send/message", server.message(attachments=files))

    assert error["code"] == "MessageTooLarge"
    assert await count(server) == 0


async def test_spent_credits_are_an_error(client: Client) -> None:
    server = await make_server(client)
    await fetch("UPDATE organizations SET plan = 'trial' WHERE id = {}", server.organization.id)

    error = await server.error("send/message", server.message())

    assert error["code"] == "InsufficientCredits"
    assert await count(server) == 0


async def test_a_key_bound_to_other_domains_is_not_authorised(client: Client) -> None:
    server = await make_server(client, allowed_domains=["other.example"])

    error = await server.error("send/message", server.message())

    assert error["code"] == "UnauthenticatedFromAddress"


async def test_suppressed_recipients_are_held_and_cost_nothing(server: Server) -> None:
    await make_suppression(server.organization.id, "gone@example.net")

    data = await server.send("gone@example.net", "gone@example.net", "ann@example.net")

    held = await server.read(data["messages"]["gone@example.net"]["id"], "status")
    assert (held["status"]["status"], held["status"]["held"]) == ("Held", True)
    rows = await fetch(
        "SELECT credits FROM messages WHERE organization_id = {}", server.organization.id
    )
    assert rows[0]["credits"] == 1


async def test_a_sandbox_key_holds_everything(client: Client) -> None:
    server = await make_server(client, mode="sandbox")

    id = await server.sent()

    found = (await server.read(id, "status"))["status"]
    (entry,) = await server.data("messages/deliveries", {"id": id})
    assert (found["status"], found["held"]) == ("Held", True)
    assert found["hold_expiry"] > found["last_delivery_attempt"] > 0
    assert (entry["status"], entry["output"], entry["sent_with_ssl"]) == ("Held", None, False)
    error = await server.error("send/message", server.message() | {"from": "a@else.example"})
    assert error["code"] == "UnauthenticatedFromAddress"


async def test_a_key_in_any_form_is_taken(server: Server) -> None:
    made = await make_api_key(server.organization)

    await server.data("send/message", server.message(), headers={"X-Server-API-Key": made.secret})
