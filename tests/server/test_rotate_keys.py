"""Another secret key: nothing that was sealed, hashed or sent under the old one is lost."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from piccolo.columns import Bytea

from postlane.core.actor import OrganizationId, Origin, ProjectId, UserId
from postlane.core.crypto import derived_key, seal, unseal
from postlane.core.database import fetch, transaction
from postlane.core.ids import new_id
from postlane.core.resealing import BATCH, Progress, Sealed, reseal_all
from postlane.core.settings import stored_secrets
from postlane.delivery.work.claims import RETURN_PATH_PURPOSE, delivery_named_by
from postlane.mail.return_path import make_return_path
from postlane.security import tokens
from postlane.security.credentials import actor_from_api_key, actor_from_token
from postlane.security.errors import KeyUnknown, TokenRevoked
from postlane.security.operations.sessions import sign_in
from postlane.server.data_dir import claim, ensure_secret
from postlane.server.piccolo_app import APP_CONFIG
from postlane.server.rotate_keys import SEALED
from postlane.suppressions.rules import SuppressionReason
from postlane.suppressions.work import Recipients, stop_erased, suppressed
from postlane.tracking.tokens import Recipient as Tracked
from postlane.tracking.tokens import make_token, mark_of, open_token, read_open, read_token
from postlane.webhooks.signing import opened
from postlane.webhooks.tables import Webhook
from tests.factories import (
    default_project,
    make_api_key,
    make_membership,
    make_organization,
    make_webhook,
)
from tests.secret_keys import secret_keys
from tests.server.commands import environment, postlane_command
from tests.workers import own_database

OLD, NEW = secrets.token_hex(32), secrets.token_hex(32)
HASHED = Sealed("signing_keys", "private_key", tokens.SEAL_PURPOSE)


def test_every_column_with_sealed_values_is_rotated() -> None:
    """What is a keyed hash is named for it; all other secrets in bytes are sealed."""
    sealed = {
        (table._meta.tablename, column._meta.name)
        for table in APP_CONFIG.table_classes
        for column in table._meta.columns
        if isinstance(column, Bytea)
        and column._meta.secret
        and not column._meta.name.endswith("digest")
    }

    assert {(each.table, each.column) for each in SEALED} == sealed


@pytest.fixture
async def own(database: None, database_url: str) -> AsyncIterator[str]:
    """The URL of a database in which nothing has been sealed yet."""
    async with own_database(database_url) as url:
        yield url


def command_settings(url: str, *old: str) -> dict[str, str]:
    return {"database_url": url, "secret_key": NEW, "old_secret_keys": " ".join(old)}


@pytest.mark.slow
async def test_nothing_sealed_needs_the_old_key_after_a_rotation(own: str, tmp_path: Path) -> None:
    with secret_keys(OLD):
        organization = await make_organization()
        membership = await make_membership(organization)
        await make_webhook(organization, "https://acme.example/hooks")
        [webhook] = await Webhook.objects()
        secret = opened(webhook.sealed_secret)
        session = await sign_in(
            UserId(membership.user_id), OrganizationId(organization.id), Origin()
        )
        await fetch(
            "INSERT INTO notices (id, notice, recipient, sealed_values, state) "
            "VALUES ({}, 'invitation', 'ada@example.net', {}, 'failed')",
            new_id(),
            b"",
        )

    env = environment(tmp_path, **command_settings(own, OLD))
    answer = await postlane_command("rotate-keys", env=env)
    again = await postlane_command("rotate-keys", env=env)

    assert answer.code == again.code == 0, answer.err + again.err
    assert "webhooks.sealed_secret: 1 read, 1 sealed anew" in answer.out
    assert "webhooks.sealed_secret: 1 read, 0 sealed anew" in again.out
    assert "notices.sealed_values: 0 read" in answer.out
    with secret_keys(NEW):
        [webhook] = await Webhook.objects()
        assert opened(webhook.sealed_secret) == secret
        # Sessions go on, and new ones are signed with another key.
        assert await actor_from_token(session.token.text, Origin())
        assert len((await tokens.signing_keys()).verifying) == 3


@pytest.mark.slow
async def test_what_was_signed_before_a_leak_ends_at_once(own: str, tmp_path: Path) -> None:
    with secret_keys(NEW):
        organization = await make_organization()
        membership = await make_membership(organization)
        who = UserId(membership.user_id), OrganizationId(organization.id)
        session = await sign_in(*who, Origin())
        # This process has the keys of before in memory, as every other one that runs.
        assert await actor_from_token(session.token.text, Origin())

        env = environment(tmp_path, **command_settings(own))
        answer = await postlane_command("rotate-keys", "--compromised", env=env)

        assert answer.code == 0, answer.err
        assert "All sessions have ended" in answer.out
        with pytest.raises(TokenRevoked):
            await actor_from_token(session.token.text, Origin())
        assert await fetch("SELECT count(*) AS keys FROM signing_keys") == [{"keys": 1}]
        assert await fetch("SELECT count(*) AS left FROM sessions") == [{"left": 0}]


async def test_a_new_secret_key_is_made_before_what_was_signed_ends(tmp_path: Path) -> None:
    ensure_secret(tmp_path)

    answer = await postlane_command(
        "rotate-keys", "--new", "--compromised", env=environment(tmp_path)
    )

    assert answer.code == 1
    assert "--compromised belongs to the run that seals anew" in answer.err
    assert len(stored_secrets(tmp_path)) == 1


async def test_a_value_that_no_key_opens_is_told_and_left(own: str, tmp_path: Path) -> None:
    with secret_keys(secrets.token_hex(32)):
        organization = await make_organization()
        await make_webhook(organization, "https://acme.example/hooks")
    [before] = await Webhook.objects()

    env = environment(tmp_path, **command_settings(own, OLD))
    answer = await postlane_command("rotate-keys", env=env)

    [after] = await Webhook.objects()
    assert answer.code == 1
    assert "1 value was sealed with a secret key that is neither in use nor" in answer.err
    assert "Traceback" not in answer.err
    assert after.sealed_secret == before.sealed_secret


async def test_a_rotation_that_was_stopped_goes_on(own: str) -> None:
    with secret_keys(OLD):
        sealed = [seal(b"%d" % n, purpose=HASHED.purpose) for n in range(BATCH + 3)]
    await fetch(
        "INSERT INTO signing_keys (id, private_key, created_at) "
        "SELECT new.id, new.value, now() FROM unnest({}::uuid[], {}::bytea[]) AS new (id, value)",
        [new_id() for _ in sealed],
        sealed,
    )
    with secret_keys(NEW, OLD):
        stopped = await anext(reseal_all(HASHED))

        seen = [done async for done in reseal_all(HASHED)]

        rows = await fetch("SELECT private_key FROM signing_keys ORDER BY id")
    assert stopped == Progress(BATCH, BATCH)
    assert seen == [Progress(BATCH, 0), Progress(BATCH + 3, 3)]
    with secret_keys(NEW):
        values = [unseal(row["private_key"], purpose=HASHED.purpose) for row in rows]
    assert values == [b"%d" % n for n in range(BATCH + 3)]


async def test_an_api_key_is_renewed_by_being_used(own: str) -> None:
    with secret_keys(OLD):
        organization = await make_organization()
        used, unused = await make_api_key(organization), await make_api_key(organization)

    with secret_keys(NEW, OLD):
        assert await actor_from_api_key(used.secret, Origin())

    with secret_keys(NEW):
        assert (await actor_from_api_key(used.secret, Origin())).api_key_id == used.row.id
        with pytest.raises(KeyUnknown):
            await actor_from_api_key(unused.secret, Origin())


async def test_mail_that_was_sent_before_is_known_and_erased_people_stay_so(own: str) -> None:
    organization = await make_organization()
    project = await default_project(organization)
    ids = OrganizationId(organization.id), ProjectId(project.id)
    tracked = Tracked(*ids, new_id(), new_id(), "ada@example.net")
    with secret_keys(OLD):
        mark = mark_of(tracked, made_at=0, aggregate=False, opens=True)
        pixel, leave = open_token(mark), make_token(tracked, purpose="leave")
        path = make_return_path(
            derived_key(RETURN_PATH_PURPOSE), str(tracked.delivery_id), "rp.example"
        )
        async with transaction() as tx:
            await stop_erased(tx, ids[0], "ada@example.net")
    asked = [Recipients(*ids, "transactional", [f"{name}@example.net"]) for name in ("bob", "ada")]

    with secret_keys(NEW, OLD):
        assert read_open(pixel) is not None
        assert read_token(leave, purpose="leave") == tracked
        assert delivery_named_by(path.partition("@")[0]) == tracked.delivery_id
        assert await suppressed(asked) == [None, SuppressionReason.ERASED]
    with secret_keys(NEW):
        assert read_open(pixel) is None
        assert read_token(leave, purpose="leave") is None
        assert delivery_named_by(path.partition("@")[0]) is None


async def test_the_data_directory_gets_a_new_key_before_the_old_one(tmp_path: Path) -> None:
    ensure_secret(tmp_path)
    [old] = stored_secrets(tmp_path)
    with claim(tmp_path):
        busy = await postlane_command("rotate-keys", "--new", env=environment(tmp_path))

    answer = await postlane_command("rotate-keys", "--new", env=environment(tmp_path))
    told = await postlane_command(
        "rotate-keys", "--new", env=environment(tmp_path, secret_key="k" * 40)
    )

    assert busy.code == 1
    assert "is already using" in busy.err
    assert answer.code == 0
    assert "then run `postlane rotate-keys`" in answer.out
    new, kept = stored_secrets(tmp_path)
    assert (kept, len(new)) == (old, 64)
    assert new not in answer.out
    assert told.code == 1
    assert "POSTLANE_SECRET_KEY is set" in told.err
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600
