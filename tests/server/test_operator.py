"""What an operator does by hand: organizations, test messages, making mail due."""

import asyncio
import smtplib
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from postlane.server import demo
from postlane.server.api import Api
from postlane.server.following import follow, send
from tests.server.commands import postlane_command
from tests.server.running import Organization, OwnSink, Up, demo_organization, free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def sink(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnSink]:
    made = OwnSink(tmp_path_factory.mktemp("sink"))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(scope="module")
async def organization(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Organization]:
    async with demo_organization(tmp_path_factory.mktemp("operator") / "var") as made:
        yield made


@pytest.fixture(scope="module")
async def up(organization: Organization, sink: OwnSink) -> AsyncIterator[Up]:
    running = Up(
        organization.data_dir,
        delivery="relay",
        relay_url=f"smtp://127.0.0.1:{sink.port}",
        registration="closed",
        smtp_listen=f"127.0.0.1:{free_port()}",
        **organization.settings,
    )
    await running.start()
    yield running
    assert await running.stop() == 0


async def test_an_organization_is_made_even_where_registration_is_closed(up: Up) -> None:
    arguments = ("create-organization", "Acme Ltd", "--email", "owner@acme.example")

    first = await postlane_command(*arguments, env=up.env)
    second = await postlane_command(*arguments, env=up.env)

    assert first.code == 0, first.err
    key = dict(line.split(None, 1) for line in first.out.replace("API key", "Key").splitlines())
    found = await Api(up.url, key["Key"].strip()).graphql("{ organization { name } }")
    assert found == {"organization": {"name": "Acme Ltd"}}
    assert second.code == 1
    assert second.err.startswith("postlane: ")
    assert "Traceback" not in second.err


async def test_an_address_that_is_none_is_refused_with_its_field(up: Up) -> None:
    answer = await postlane_command("create-organization", "Acme", "--email", "x", env=up.env)

    assert answer.code == 1
    assert "email: " in answer.err


async def test_requeue_sends_what_was_waiting_for_a_later_attempt(
    up: Up, organization: Organization, sink: OwnSink
) -> None:
    key = await organization.make_key(up)
    api = Api(up.url, key)
    to = "greylist@waiting.example"  # refused at the first attempt, and tried again much later
    message_id = await send(api, sender=demo.SENDER, recipient=to, subject="Hi", text="Hello.")
    for _ in range(100):
        before = await follow(api, message_id, seconds=0)
        if before.status == "deferred":
            break
        await asyncio.sleep(0.2)

    elsewhere = await postlane_command("requeue", "--domain", "other.example", env=up.env)
    requeued = await postlane_command("requeue", "--domain", "WAITING.example", env=up.env)
    after = await follow(api, message_id, seconds=60)

    assert before.status == "deferred"
    assert elsewhere.out == "0 deliveries are due now.\n"
    assert requeued.out == "1 delivery is due now.\n"
    assert after.status == "delivered"
    assert sink.received()[to] == 1


async def test_requeue_asks_which(up: Up) -> None:
    neither = await postlane_command("requeue", env=up.env)
    nonsense = await postlane_command("requeue", "--domain", "no domain", env=up.env)

    assert (neither.code, nonsense.code) == (1, 1)
    assert "--domain example.com" in neither.err
    assert "'no domain' is not a domain." in nonsense.err


async def test_a_test_message_is_followed_until_it_is_delivered(
    up: Up, organization: Organization, tmp_path: Path
) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(await organization.make_key(up) + "\n")
    arguments = ("send-test", "--from", demo.SENDER, "--key-file", str(key_file))

    taken = await postlane_command(*arguments, "--to", "ok@there.example", env=up.env)
    refused = await postlane_command(*arguments, "--to", "550-at-rcpt@there.example", env=up.env)

    assert taken.code == 0, taken.out + taken.err
    assert "It was delivered after " in taken.out
    assert "said: 250 " in taken.out
    assert refused.code == 1
    assert "It was bounced after " in refused.out
    assert "said: 550 " in refused.out


async def test_a_test_message_that_is_not_accepted_is_a_sentence(up: Up, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("pmta_00000000_nonsense")
    arguments = ("send-test", "--from", "a@b.example", "--to", "c@d.example")

    unknown = await postlane_command(*arguments, "--key-file", str(key_file), env=up.env)
    missing = await postlane_command(*arguments, "--key-file", "/does/not/exist", env=up.env)
    keyless = await postlane_command(*arguments, env=up.env)
    nobody = await postlane_command(
        *arguments, "--key-file", str(key_file), "--url", "http://127.0.0.1:1", env=up.env
    )

    assert [each.code for each in (unknown, missing, keyless, nobody)] == [1, 1, 1, 1]
    assert "was refused (401)" in unknown.err
    assert "cannot be read" in missing.err
    assert "There is no API key." in keyless.err
    assert "http://127.0.0.1:1 cannot be reached" in nobody.err
    assert "Traceback" not in unknown.err + missing.err + keyless.err + nobody.err


async def test_a_program_sends_over_smtp(up: Up, organization: Organization, sink: OwnSink) -> None:
    key = await organization.make_key(up)
    to = "over-smtp@there.example"
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = demo.SENDER, to, "Hello"
    message.set_content("Hello.")

    def send() -> None:
        with smtplib.SMTP(*up.env["POSTLANE_SMTP_LISTEN"].split(":"), timeout=30) as client:
            client.login("anything", key)
            client.send_message(message)

    await asyncio.to_thread(send)
    for _ in range(100):
        if sink.received()[to]:
            break
        await asyncio.sleep(0.2)

    assert sink.received()[to] == 1


async def test_who_looks_after_the_deployment_is_said_on_the_machine(up: Up) -> None:
    arguments = ("create-organization", "Zeta Ltd", "--email", "zoe@zeta.example")
    assert (await postlane_command(*arguments, env=up.env)).code == 0

    granted = await postlane_command("grant-platform-admin", "Zoe@zeta.example", env=up.env)
    again = await postlane_command("grant-platform-admin", "zoe@zeta.example", env=up.env)
    revoked = await postlane_command("revoke-platform-admin", "zoe@zeta.example", env=up.env)
    nobody = await postlane_command("grant-platform-admin", "nobody@zeta.example", env=up.env)

    assert granted.out == "Zoe@zeta.example now looks after this deployment.\n"
    assert again.out == "zoe@zeta.example looks after this deployment already.\n"
    assert revoked.out == "zoe@zeta.example no longer looks after this deployment.\n"
    assert (nobody.code, nobody.err) == (
        1,
        "postlane: Nobody who may sign in has this email address.\n",
    )
