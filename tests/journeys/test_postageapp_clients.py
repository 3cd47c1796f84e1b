"""Programs written for PostageApp, as they are published, against the running server over TLS."""

import json
import shutil
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import make_certificate
from tests.node import json_of_node, run_node
from tests.parts import TOOLS, needs_npm_package
from tests.sink import Received

from .signatures import verdicts
from .stack import Account, World, open_account
from .tls import behind_tls

pytestmark = pytest.mark.slow

CREATE = """
mutation ($uid: String!, $template: CreateTemplateInput!) {
  createProject(input: {
    name: "Test", uid: $uid
    apiKey: {
      name: "PostageApp", format: POSTAGEAPP
      scopes: ["messages:*", "analytics:read", "users:read"]
    }
  }) { key project { id } }
  createTemplate(input: $template) { template { slug } }
}
"""
MOCHA = TOOLS / "node_modules" / "mocha" / "bin" / "mocha.js"


async def make_key(account: Account, uid: str) -> str:
    """Make a project named `Test` with a template, and return its key."""
    template = {
        "slug": f"sample_{uid}",
        "syntax": "BRACES",
        "version": {"texts": [{"subject": "Sample", "html": "<p>{{*}}</p>", "text": "{{*}}"}]},
    }
    data = await account.graphql(CREATE, {"uid": uid, "template": template})
    key: str = data["createProject"]["key"]
    assert len(key) == 32
    return key


def environment(port: int) -> dict[str, str]:
    return {
        "HOST": "localhost",
        "PORT": str(port),
        "NODE_EXTRA_CA_CERTS": str(make_certificate("localhost").ca_file),
        "NODE_NO_WARNINGS": "1",
    }


def package(name: str, folder: Path, **config: Any) -> Path:
    """Copy a published package beside its dependencies, with the configuration of its tests."""
    place = folder / "package"
    shutil.copytree(TOOLS / "node_modules" / name, place)
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    (place / "test" / "config" / "test.json").write_text(json.dumps(config))
    return place


async def is_signed(account: Account, received: Received) -> bool:
    found = await verdicts(received.data, account.records)
    return bool(found) and set(found.values()) == {"pass"}


@needs_npm_package("postageapp")
async def test_the_suite_of_version_2_passes(
    world: World, account: Account, tmp_path: Path
) -> None:
    key = await make_key(account, "suite_2")
    renamed = {
        "slug": "sample_child_template",
        "syntax": "BRACES",
        "version": {"texts": [{"subject": "Child", "text": "Hello {{name}}"}]},
    }
    create = (
        "mutation ($input: CreateTemplateInput!) "
        "{ createTemplate(input: $input) { template { slug } } }"
    )
    await account.graphql(create, {"input": renamed})
    async with behind_tls(world.url) as port:
        place = package("postageapp", tmp_path, apiKey=key, host="localhost", port=port)
        printed = await run_node(
            MOCHA,
            "--reporter",
            "json",
            "test/unit/*.js",
            cwd=place,
            **environment(port),
        )

    stats = json.loads(printed[printed.index("{") :])["stats"]
    assert stats["failures"] == 0
    assert stats["passes"] >= 8


@needs_npm_package("postageapp-1")
async def test_the_suite_of_version_1_passes(
    world: World, account: Account, tmp_path: Path
) -> None:
    key = await make_key(account, "suite_1")
    async with behind_tls(world.url) as port:
        place = package("postageapp-1", tmp_path, apikey=key)
        printed = await run_node(
            MOCHA,
            "--require",
            TOOLS / "postageapp" / "reroute.cjs",
            "--reporter",
            "json",
            "test/postageapp.js",
            cwd=place,
            **environment(port),
        )

    stats = json.loads(printed[printed.index("{") :])["stats"]
    assert (stats["failures"], stats["passes"]) == (0, 5)


@needs_npm_package("postageapp")
async def test_version_2_sends_and_reads_and_the_mail_arrives_signed(world: World) -> None:
    # Of its own: what others suppressed is in the account's list.
    account = await open_account(world)
    key = await make_key(account, "sending")
    recipient = f"postageapp@{world.name()}"
    async with behind_tls(world.url) as port:
        told = await json_of_node(
            TOOLS / "postageapp" / "sending.cjs",
            KEY=key,
            SENDER=f"shop@{account.domain}",
            RECIPIENT=recipient,
            **environment(port),
        )

    assert told["receipt"] == told["sent"]
    assert told["again"]["status"] == "bad_request"
    assert list(told["transmissions"]["transmissions"]) == [recipient, f"second-{recipient}"]
    assert "send_message" in told["methods"]["methods"].split(", ")
    assert list(told["metrics"]["metrics"]) == ["hour", "date", "week", "month"]
    assert told["suppressions"] == {}
    assert [row["uid"] for row in told["history"]["messages_history"]] == ["order-4711"]
    assert told["account"]["account"]["users"]
    assert told["unknown"]["status"] == "not_found"
    assert told["noRecipients"]["status"] == "precondition_failed"
    assert told["stranger"]["status"] == "unauthorized"
    (first,) = await world.mail_for(recipient)
    (second,) = await world.mail_for(f"second-{recipient}")
    mails = [message_from_bytes(each.data, policy=policy.default) for each in (first, second)]
    assert [mail["Subject"] for mail in mails] == ["Hi Ann & Co", "Hi Bob"]
    assert [mail["X-Order"] for mail in mails] == ["4711", "4711"]
    assert mails[0]["To"] == f"Ann <{recipient}>"
    assert "Hi Ann & Co: 12.5" in first.data.decode()
    assert "Hi Bob: nothing" in second.data.decode()
    assert all([await is_signed(account, each) for each in (first, second)])
