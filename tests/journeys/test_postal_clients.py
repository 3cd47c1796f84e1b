"""Programs written for Postal, as they are published: they send, and the mail arrives signed."""

import asyncio
import json
import os
import sys
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from tests.certificates import make_certificate
from tests.node import json_of_node
from tests.parts import TOOLS, needs_npm_package
from tests.sink import Received

from .signatures import verdicts
from .stack import Account, World
from .tls import behind_tls

pytestmark = pytest.mark.slow

CREATE = """
mutation { createApiKey(input: {name: "Postal", scopes: ["*"], format: POSTAL}) { key } }
"""


@pytest.fixture(scope="module")
async def key(account: Account) -> str:
    """A key in the form of Postal's."""
    data = await account.graphql(CREATE)
    secret: str = data["createApiKey"]["key"]
    assert len(secret) == 24
    return secret


def parsed(received: Received) -> EmailMessage:
    message = message_from_bytes(received.data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


async def is_signed(account: Account, received: Received) -> bool:
    found = await verdicts(received.data, account.records)
    return bool(found) and set(found.values()) == {"pass"}


async def postal(world: World, key: str, action: str, **body: Any) -> Any:
    """Return the data that an action answers."""
    async with httpx.AsyncClient(base_url=world.url, trust_env=False, timeout=60) as http:
        answer = await http.post(f"/api/v1/{action}", json=body, headers={"X-Server-API-Key": key})
    found = answer.json()
    assert found["status"] == "success", found
    return found["data"]


async def settled(world: World, key: str, id: int) -> Any:
    """Return how a message is, once it waits for nothing."""
    async with asyncio.timeout(30):
        while True:
            found = await postal(world, key, "messages/message", id=id, _expansions=["status"])
            if found["status"]["status"] != "Pending":
                return found["status"]
            await asyncio.sleep(0.2)


@needs_npm_package("@atech/postal")
async def test_postals_own_client_for_node_sends_over_tls(
    world: World, account: Account, key: str
) -> None:
    recipient = f"node@{world.name()}"

    async with behind_tls(world.url) as port:
        told = await json_of_node(
            TOOLS / "postal" / "sending.mjs",
            HOST="localhost",
            PORT=str(port),
            KEY=key,
            SENDER=f"shop@{account.domain}",
            RECIPIENT=recipient,
            NODE_EXTRA_CA_CERTS=str(make_certificate("localhost").ca_file),
            NODE_NO_WARNINGS="1",
        )

    assert list(told["sent"]) == [recipient, f"copy-{recipient}"]
    assert list(told["sentRaw"]) == [recipient]
    assert told["refusal"]["code"] == "UnauthenticatedFromAddress"
    assert told["unknown"]["code"] == "InvalidServerAPIKey"
    received = await world.mail_for(recipient, count=2)
    by_subject = {parsed(each)["Subject"]: each for each in received}
    composed = parsed(by_subject["Hi there!"])
    assert composed["Cc"] == f"Copy <copy-{recipient}>"
    assert composed["X-PHP-Test"] == "value"
    (file,) = composed.iter_attachments()
    assert (file.get_filename(), file.get_content().strip()) == ("textmessage.txt", "Hello world!")
    assert parsed(by_subject["Raw"])["Message-ID"] == "<raw@client.example>"
    assert all([await is_signed(account, each) for each in received])


async def test_anymails_backend_sends(world: World, account: Account, key: str) -> None:
    recipient = f"anymail@{world.name()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(TOOLS / "postal" / "anymail_sending.py")),
        env={
            "PATH": os.environ["PATH"],
            "URL": world.url,
            "KEY": key,
            "SENDER": f"shop@{account.domain}",
            "RECIPIENT": recipient,
            "NO_PROXY": "*",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaints = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complaints.decode()
    told = json.loads(printed)

    assert list(told["recipients"]) == [recipient, f"blind-{recipient}"]
    assert {each["status"] for each in told["recipients"].values()} == {"queued"}
    assert told["refused"]["status"] == 200
    assert told["refused"]["body"]["data"]["code"] == "UnauthenticatedFromAddress"
    (received,) = await world.mail_for(recipient)
    mail = parsed(received)
    assert mail["From"] == f"Shop <shop@{account.domain}>"
    assert mail["Sender"] == f"robot@{account.domain}"
    assert (mail["Subject"], mail["X-Order"]) == ("Grüße", "4711")
    assert mail["Reply-To"] == "answers@example.net"
    assert "blind" not in received.data.decode("latin-1")
    assert await is_signed(account, received)
    id = told["recipients"][recipient]["id"]
    assert (await settled(world, key, id))["status"] == "Sent"
    (entry,) = await postal(world, key, "messages/deliveries", id=id)
    assert entry["status"] == "Sent"
    assert entry["output"].startswith("250 ")
    assert entry["log_id"]
    found = await postal(world, key, "messages/message", id=id, _expansions=["details"])
    assert found["details"]["tag"] == "welcome"


async def test_what_is_no_address_fails_and_the_rest_arrives(
    world: World, account: Account, key: str
) -> None:
    good = f"good@{world.name()}"
    data = await postal(
        world,
        key,
        "send/message",
        to=["not-an-address", good, f"550-at-rcpt@{world.name()}"],
        **{"from": f"shop@{account.domain}", "plain_body": "Hello."},
    )

    await world.mail_for(good)

    ids = [each["id"] for each in data["messages"].values()]
    fates = [(await settled(world, key, id))["status"] for id in ids]
    assert fates == ["HardFail", "Sent", "HardFail"]
    (entry,) = await postal(world, key, "messages/deliveries", id=ids[0])
    assert (entry["status"], entry["output"], entry["time"]) == ("HardFail", None, None)


async def test_a_bounce_is_sent_without_a_sender(world: World, account: Account, key: str) -> None:
    recipient = f"bounced@{world.name()}"

    await postal(
        world,
        key,
        "send/message",
        **{"to": recipient, "from": f"shop@{account.domain}", "plain_body": "x", "bounce": True},
    )

    (received,) = await world.mail_for(recipient)
    assert received.envelope_from == ""
    assert await is_signed(account, received)
