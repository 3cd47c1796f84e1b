"""Mail that is delivered, and what its receiver says of it later."""

import asyncio
import smtplib
import time

import pytest

from tests.mail.report_shapes import ABUSE, dsn

from .stack import HOSTNAME, Account, World

pytestmark = pytest.mark.slow

SUPPRESSIONS = """
query ($address: EmailAddress!) { organization { suppressions(filter: {address: $address}) {
  nodes { address reason description } } } }
"""


async def hand_over(world: World, to: str, mail: str) -> int:
    """Hand a mail over as another mail server does, and return the reply to it."""
    data = mail.strip().replace("\n", "\r\n").encode()

    def have() -> int:
        deadline = time.monotonic() + 30
        while True:
            try:
                with smtplib.SMTP("127.0.0.1", world.inbound_port, timeout=20) as client:
                    client.ehlo("mx.sink.example")
                    client.mail("")
                    code, _ = client.rcpt(to)
                    if code == 250:
                        code, _ = client.data(data)
            except ConnectionRefusedError:
                # The web answers before it: the two start side by side.
                code = 421
            # What comes too early is asked for again.
            if code // 100 != 4 or time.monotonic() > deadline:
                return code
            time.sleep(0.2)

    return await asyncio.to_thread(have)


async def reasons(account: Account, address: str) -> list[tuple[str, str]]:
    data = await account.graphql(SUPPRESSIONS, {"address": address})
    nodes = data["organization"]["suppressions"]["nodes"]
    return [(node["address"], node["reason"]) for node in nodes]


async def test_a_message_that_bounces_later_is_bounced_and_its_address_gets_no_more(
    world: World, account: Account
) -> None:
    address = f"ada@{world.name()}"
    sent = await account.send(address)
    assert (await account.settled(sent["id"]))["status"] == "delivered"
    (received,) = await world.mail_for(address)
    report = dsn(
        f"""
Final-Recipient: rfc822; {address}
Action: failed
Status: 5.1.1
Remote-MTA: dns; mailbox.sink.example
Diagnostic-Code: smtp; 550 5.1.1 <{address}>: User unknown
"""
    )

    answers = [await hand_over(world, received.envelope_from, report) for _ in range(2)]

    assert answers == [250, 250]
    message = await account.ask("GET", f"/api/v1/messages/{sent['id']}")
    assert message["status"] == "bounced"
    bounced = [each for each in message["events"] if each["type"] == "message.bounced"]
    assert len(bounced) == 1
    assert (bounced[0]["data"]["source"], bounced[0]["data"]["bounce_class"]) == (
        "dsn",
        "invalid_recipient",
    )
    assert await reasons(account, address) == [(address, "HARD_BOUNCE")]
    again = await account.send(address)
    assert (again["status"], again["suppressed"]) == ("suppressed", 1)
    assert len(await world.mail_for(address)) == 1


async def test_a_complaint_and_a_letter_stop_mail(world: World, account: Account) -> None:
    angry, bored = f"angry@{world.name()}", f"bored@{world.name()}"
    for address in (angry, bored):
        sent = await account.send(
            address, stream="marketing", html="<p>Buy!</p>", text="Buy!", subject="News"
        )
        assert (await account.settled(sent["id"]))["status"] == "delivered"
    (to_angry,) = await world.mail_for(angry)
    (to_bored,) = await world.mail_for(bored)
    head = to_bored.data.partition(b"\r\n\r\n")[0].decode()
    leave = head.partition("<mailto:")[2].partition("?")[0]
    report = ABUSE.format(
        type="abuse",
        mail_from="redacted",
        recipient="redacted",
        return_path=to_angry.envelope_from,
        message_id="redacted@example",
    )

    answers = [
        await hand_over(world, f"fbl@{HOSTNAME}", report),
        await asyncio.to_thread(_letter, world, leave),
    ]

    assert answers == [250, 250]
    assert await reasons(account, angry) == [(angry, "COMPLAINT")]
    assert await reasons(account, bored) == [(bored, "UNSUBSCRIBE")]
    assert (await account.send(angry))["status"] == "suppressed"
    assert (await account.send(bored, stream="marketing"))["status"] == "suppressed"


async def test_a_bounce_that_anybody_could_write_changes_nothing(
    world: World, account: Account
) -> None:
    address = f"ada@{world.name()}"
    sent = await account.send(address)
    await account.settled(sent["id"])
    (received,) = await world.mail_for(address)
    local, _, domain = received.envelope_from.partition("@")
    forged = f"{local[:-16]}{'a' * 16}@{domain}"

    report = dsn(f"Final-Recipient: rfc822; {address}\nAction: failed\nStatus: 5.1.1")
    answers = [
        await hand_over(world, forged, report),
        await hand_over(world, f"shop@{account.domain}", report),
    ]

    assert answers == [550, 550]
    assert (await account.ask("GET", f"/api/v1/messages/{sent['id']}"))["status"] == "delivered"
    assert await reasons(account, address) == []


def _letter(world: World, to: str) -> int:
    with smtplib.SMTP("127.0.0.1", world.inbound_port, timeout=20) as client:
        client.ehlo("mx.sink.example")
        client.mail("bored@there.example")
        client.rcpt(to)
        return client.data(b"Subject: unsubscribe\r\n\r\n")[0]
