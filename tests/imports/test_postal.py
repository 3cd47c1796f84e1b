"""What Postal has is here after an import: people, projects, keys, webhooks."""

import pytest

from postlane.core.actor import Mode, Origin, Permission
from postlane.core.database import fetch
from postlane.imports.report import Kind, Outcome
from postlane.security.credentials import actor_from_api_key
from postlane.security.errors import KeyUnknown

from .acme import Acme, a_key, furnish, told


async def test_organization_people_and_project_are_taken_over(acme: Acme) -> None:
    other = acme.installation.person(f"bob@{acme.domain}", "Bob Builder", admin=1)
    acme.installation.add(
        "organization_users", organization_id=acme.organization, user_id=other, user_type="User"
    )

    report = await acme.take()

    rows = await fetch(
        "SELECT u.email, u.name, m.role, o.name AS organization, u.platform_admin FROM users u "
        "JOIN memberships m ON m.user_id = u.id JOIN organizations o ON o.id = m.organization_id "
        "WHERE o.slug = {} ORDER BY u.email",
        acme.permalink,
    )
    assert rows == [
        {
            "email": f"bob@{acme.domain}",
            "name": "Bob Builder",
            "role": "admin",
            "organization": acme.permalink.title(),
            "platform_admin": False,
        },
        {
            "email": acme.email,
            "name": "Ada Admin",
            "role": "owner",
            "organization": acme.permalink.title(),
            "platform_admin": False,
        },
    ]
    assert report.refused == 0
    (_, bob) = told(report, Kind.USER, Outcome.TAKEN)
    assert bob[1:] == (
        "chooses a password by `Forgot password`",
        f"looked after Postal: `postlane grant-platform-admin bob@{acme.domain}` goes on",
    )


async def test_an_api_key_goes_on_working_for_its_server_alone(acme: Acme) -> None:
    secret = a_key()
    acme.installation.credential(acme.server, secret)

    await acme.take()

    actor = await actor_from_api_key(secret, Origin())
    organization_id, project_id = await acme.ids()
    assert (actor.organization_id, actor.project_id) == (organization_id, project_id)
    assert actor.mode is Mode.LIVE
    assert actor.permissions == {
        Permission.SEND_MESSAGES,
        Permission.READ_MESSAGES,
        Permission.WRITE_MESSAGES,
    }


async def test_an_smtp_key_only_sends(acme: Acme) -> None:
    secret = a_key()
    acme.installation.credential(acme.server, secret, "SMTP")

    await acme.take()

    actor = await actor_from_api_key(secret, Origin())
    assert actor.permissions == {Permission.SEND_MESSAGES}


async def test_a_short_key_of_an_old_installation_goes_on_working(acme: Acme) -> None:
    secret = a_key(16)
    acme.installation.credential(acme.server, secret)

    await acme.take()

    actor = await actor_from_api_key(secret, Origin())
    rows = await fetch("SELECT prefix FROM api_key_secrets WHERE api_key_id = {}", actor.api_key_id)
    assert rows[0]["prefix"] == secret[:2]


@pytest.mark.parametrize("held", ["credential", "server"])
async def test_what_is_held_in_postal_is_in_the_sandbox(acme: Acme, held: str) -> None:
    secret = a_key()
    if held == "server":
        acme.installation.main["servers"][0]["mode"] = "Development"
    acme.installation.credential(acme.server, secret, hold=int(held == "credential"))

    await acme.take()

    assert (await actor_from_api_key(secret, Origin())).mode is Mode.SANDBOX


async def test_keys_of_a_suspended_server_wait_until_it_is_restored(acme: Acme) -> None:
    secret = a_key()
    acme.installation.main["servers"][0]["suspended_at"] = "2025-01-01 00:00:00"
    acme.installation.credential(acme.server, secret)

    report = await acme.take()

    with pytest.raises(KeyUnknown, match="its project is archived"):
        await actor_from_api_key(secret, Origin())
    await fetch("UPDATE projects SET archived_at = NULL WHERE id = {}", (await acme.ids())[1])
    assert (await actor_from_api_key(secret, Origin())).api_key_id is not None
    ((name, note),) = told(report, Kind.PROJECT, Outcome.TAKEN)
    assert (name, note) == (
        f"{acme.permalink}/mail",
        "it is suspended in Postal, so it is archived here",
    )


async def test_more_keys_than_anybody_could_make_are_taken_over(acme: Acme) -> None:
    keys = [a_key() for _ in range(120)]
    for secret in keys:
        acme.installation.credential(acme.server, secret)

    report = await acme.take()

    assert report.counts[Kind.API_KEY, Outcome.TAKEN] == 120
    assert (await actor_from_api_key(keys[-1], Origin())).api_key_id is not None


async def test_a_webhook_goes_on_in_postals_format(acme: Acme) -> None:
    url = f"https://hook:s%C3%A4fe@hooks.{acme.domain}/postal?a=b"
    acme.installation.webhook(acme.server, url, "MessageBounced", "MessageHeld")
    acme.installation.webhook(acme.server, f"https://all.{acme.domain}/", enabled=0)

    await acme.take()

    organization_id, project_id = await acme.ids()
    rows = await fetch(
        "SELECT url, events, format, enabled, header_names, project_id FROM webhooks "
        "WHERE organization_id = {} ORDER BY id",
        organization_id,
    )
    assert rows[0] == {
        "url": f"https://hooks.{acme.domain}/postal?a=b",
        "events": ["MessageBounced", "MessageHeld"],
        "format": "postal",
        "enabled": True,
        "header_names": ["authorization"],
        "project_id": project_id,
    }
    # What happens to domains is told to webhooks of a whole organization.
    assert (rows[1]["enabled"], rows[1]["project_id"]) == (False, None)
    assert "DomainDNSError" in rows[1]["events"]


async def test_everything_that_was_made_is_in_the_audit_log(acme: Acme) -> None:
    furnish(acme)

    await acme.take()

    organization_id, _ = await acme.ids()
    rows = await fetch(
        "SELECT action, actor_kind FROM audit_entries WHERE organization_id = {} ORDER BY id",
        organization_id,
    )
    assert [row["action"] for row in rows] == [
        "organization.created",
        "project.created",
        "domain.created",
        "domain.adopted",
        "api_key.adopted",
        "webhook.created",
        "suppressions.adopted",
    ]
    assert {row["actor_kind"] for row in rows[1:]} == {"platform"}


async def test_servers_of_a_suspended_organization_wait_until_they_are_restored(acme: Acme) -> None:
    secret = a_key()
    acme.installation.main["organizations"][0]["suspended_at"] = "2025-01-01 00:00:00"
    acme.installation.credential(acme.server, secret)

    await acme.take()

    with pytest.raises(KeyUnknown, match="its project is archived"):
        await actor_from_api_key(secret, Origin())
