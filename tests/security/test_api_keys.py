"""API keys: made, rotated, switched off, deleted; never more than their makers hold."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from postlane.accounts.tables import Membership
from postlane.audit.tables import AuditEntry
from postlane.core import clock
from postlane.core.actor import ROLE_PERMISSIONS, Actor, Permission, Role
from postlane.security.rules import KeyFormat
from postlane.security.tables import ApiKey, ApiKeySecret
from tests.client import Client
from tests.factories import (
    make_actor,
    make_api_key,
    make_membership,
    make_organization,
    make_project,
)
from tests.people import VIEWER, WHO

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
CREATE = """
mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) {
    key
    apiKey {
      id uuid name prefix format scopes mode status expiresAt allowedNetworks allowedDomains
      rateLimitPerMinute createdByUuid project { slug } previousKey { prefix }
    }
  }
}
"""
ROTATE = """
mutation ($input: RotateApiKeyInput!) {
  rotateApiKey(input: $input) {
    key apiKey { uuid prefix status previousKey { prefix expiresAt } rotatedAt }
  }
}
"""
UPDATE = """
mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { apiKey { name status } } }
"""
DELETE = "mutation ($input: DeleteApiKeyInput!) { deleteApiKey(input: $input) { deletedId } }"
ONE = "query ($id: ID!) { organization { apiKey(id: $id) { name status } } }"
LIST = """
query ($filter: ApiKeyFilterInput) {
  organization { apiKeys(filter: $filter) { totalCount nodes { name } } }
}
"""


def new_key(**values: Any) -> dict[str, Any]:
    """Return the variables of `CREATE`."""
    return {"input": {"name": "Web shop", "scopes": ["messages:send"], **values}}


async def created(client: Client, **who_and_values: Any) -> dict[str, Any]:
    """Make a key and return the answer."""
    who = {name: who_and_values.pop(name) for name in ("actor", "key") if name in who_and_values}
    answer: dict[str, Any] = (await client.data(CREATE, new_key(**who_and_values), **who))[
        "createApiKey"
    ]
    return answer


async def keys_of(actor: Actor) -> int:
    """Count the keys of an organization."""
    return await ApiKey.count().where(ApiKey.organization_id == actor.organization_id)


async def test_new_key_signs_in_and_is_shown_once(client: Client) -> None:
    actor = await make_actor(role=Role.DEVELOPER)

    answer = await created(client, actor=actor, scopes=["messages:send", "messages:read"])

    secret = answer["key"]
    assert re.fullmatch(r"pmta_[0-9a-f]{8}_[A-Za-z0-9]{43}", secret)
    assert answer["apiKey"] == {
        "id": answer["apiKey"]["id"],
        "uuid": answer["apiKey"]["uuid"],
        "name": "Web shop",
        "prefix": secret[:13],
        "format": "STANDARD",
        "scopes": ["messages:send", "messages:read"],
        "mode": "LIVE",
        "status": "ACTIVE",
        "expiresAt": None,
        "allowedNetworks": [],
        "allowedDomains": [],
        "rateLimitPerMinute": None,
        "createdByUuid": str(actor.user_id),
        "project": None,
        "previousKey": None,
    }
    viewer = (await client.data(VIEWER, key=secret))["viewer"]
    assert viewer["credential"]["scopes"] == ["messages:read", "messages:send"]
    assert viewer["credential"]["apiKey"] == {"uuid": answer["apiKey"]["uuid"]}
    stored = await ApiKeySecret.objects().where(ApiKeySecret.api_key_id == answer["apiKey"]["uuid"])
    assert [secret[14:] in str(row.to_dict()) for row in stored] == [False]


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        (KeyFormat.STANDARD, r"pmta_[0-9a-f]{8}_[A-Za-z0-9]{43}"),
        (KeyFormat.POSTAL, r"[A-Za-z0-9]{24}"),
        (KeyFormat.POSTAGEAPP, r"[A-Za-z0-9]{32}"),
    ],
)
async def test_every_form_signs_in_in_either_header(
    client: Client, form: KeyFormat, pattern: str
) -> None:
    answer = await created(client, actor=await make_actor(), format=form.name)

    secret = answer["key"]
    assert re.fullmatch(pattern, secret)
    assert await client.data(WHO, key=secret)
    assert await client.data(WHO, token=secret)


@pytest.mark.parametrize(
    ("values", "field", "detail"),
    [
        ({"name": " "}, "name", "REQUIRED"),
        ({"name": "x" * 101}, "name", "TOO_LONG"),
        ({"scopes": []}, "scopes", "REQUIRED"),
        ({"scopes": ["messages:send"] * 51}, "scopes", "TOO_MANY"),
        ({"scopes": ["messages:sned"]}, "scopes[0]", "NOT_ALLOWED"),
        ({"scopes": ["messages:send", "*:*"]}, "scopes[1]", "NOT_ALLOWED"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt", "IN_PAST"),
        ({"allowedNetworks": ["198.51.100.0/33"]}, "allowedNetworks[0]", "INVALID_IP"),
        ({"allowedNetworks": ["example.org"]}, "allowedNetworks[0]", "INVALID_IP"),
        ({"allowedNetworks": ["192.0.2.1"] * 51}, "allowedNetworks", "TOO_MANY"),
        ({"allowedDomains": ["not a domain"]}, "allowedDomains[0]", "INVALID_DOMAIN"),
        ({"rateLimitPerMinute": 0}, "rateLimitPerMinute", "TOO_SMALL"),
        ({"projectId": "garbage"}, "projectId", "NOT_FOUND"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    client: Client, values: dict[str, Any], field: str, detail: str
) -> None:
    actor = await make_actor()

    answer = await client.graphql(CREATE, new_key(**values), actor=actor)

    details = answer["errors"][0]["extensions"]["details"]
    assert [(d["field"], d["code"]) for d in details] == [(field, detail)]
    assert await keys_of(actor) == 0


async def test_limit_above_the_plan_is_refused(client: Client) -> None:
    actor = await make_actor(await make_organization(plan="trial"))

    assert await client.refusal(CREATE, new_key(rateLimitPerMinute=301), actor=actor) == (
        "INVALID_INPUT"
    )
    assert (await created(client, actor=actor, rateLimitPerMinute=300))["key"]


async def test_project_of_another_tenant_is_not_found(client: Client) -> None:
    theirs = await make_project(await make_organization())
    actor = await make_actor()

    code = await client.refusal(CREATE, new_key(projectId=str(theirs.id)), actor=actor)

    assert code == "INVALID_INPUT"
    assert await keys_of(actor) == 0


@pytest.mark.parametrize("scope", ["billing:write", "users:write", "users:*,audit:*"])
async def test_nobody_gives_a_scope_they_lack(client: Client, scope: str) -> None:
    actor = await make_actor(
        role=Role.DEVELOPER,
        permissions=ROLE_PERMISSIONS[Role.DEVELOPER] - {Permission.READ_USERS},
    )

    code = await client.refusal(CREATE, new_key(scopes=scope.split(",")), actor=actor)

    assert code == "INSUFFICIENT_SCOPE"
    assert await keys_of(actor) == 0


async def test_wildcard_follows_the_makers_role(client: Client) -> None:
    organization = await make_organization()
    await make_membership(organization)
    membership = await make_membership(organization, role=Role.ADMIN)
    key = await make_api_key(organization, membership=membership, scopes=["*"])

    async def scopes() -> set[str]:
        data = await client.data(VIEWER, key=key.secret)
        return set(data["viewer"]["credential"]["scopes"])

    assert "users:write" in await scopes()
    await Membership.update({Membership.role: "viewer"}).where(Membership.id == membership.id)

    assert await scopes() == {p.value for p in ROLE_PERMISSIONS[Role.VIEWER]}


async def test_key_makes_no_key_that_outgrows_it(client: Client) -> None:
    organization = await make_organization()
    project = await make_project(organization)
    end = clock.now() + timedelta(hours=1)
    parent = await make_api_key(
        organization,
        scopes=["messages:send", "api_keys:write"],
        mode="sandbox",
        project_id=project.id,
        expires_at=end,
        allowed_networks=["2001:db8::/32"],
        allowed_domains=["example.org"],
        rate_limit_per_minute=6_000,
    )
    limits: dict[str, Any] = {
        "scopes": ["messages:*"],
        "mode": "SANDBOX",
        "projectId": str(project.id),
        "expiresAt": end.isoformat(),
        "allowedNetworks": ["2001:db8:1::/48"],
        "allowedDomains": ["example.org"],
        "rateLimitPerMinute": 10,
    }

    child = await created(client, key=parent.secret, **limits)

    assert child["apiKey"]["scopes"] == ["messages:send"]
    for outgrown in (
        {"mode": "LIVE"},
        {"expiresAt": None},
        {"expiresAt": (end + timedelta(seconds=1)).isoformat()},
        {"allowedNetworks": []},
        {"allowedNetworks": ["2001:db8::/31"]},
        {"allowedNetworks": ["2001:db8:1::/48", "192.0.2.0/24"]},
        {"allowedDomains": []},
        {"allowedDomains": ["example.org", "example.net"]},
        {"rateLimitPerMinute": None},
        {"rateLimitPerMinute": 6_001},
        {"scopes": ["messages:read"]},
    ):
        code = await client.refusal(CREATE, new_key(**limits | outgrown), key=parent.secret)
        assert (outgrown, code) == (outgrown, "INSUFFICIENT_SCOPE")


async def test_wildcard_from_a_key_is_what_that_key_holds(client: Client) -> None:
    parent = await make_api_key(
        await make_organization(), scopes=["messages:send", "api_keys:write"]
    )

    child = await created(client, key=parent.secret, scopes=["*"])

    assert child["apiKey"]["scopes"] == ["api_keys:write", "messages:send"]


async def test_key_bound_to_a_project_holds_nothing_beyond_it(client: Client) -> None:
    organization = await make_organization()
    project = await make_project(organization)
    key = await make_api_key(organization, project_id=project.id)

    viewer = (await client.data(VIEWER, key=key.secret))["viewer"]

    assert viewer["credential"]["project"] == {"slug": project.slug}
    assert not {"users:write", "billing:write", "audit:read", "projects:write"} & set(
        viewer["credential"]["scopes"]
    )


async def test_hundred_keys_are_the_most_even_at_once(client: Client) -> None:
    organization = await make_organization()
    membership = await make_membership(organization)
    actor = await make_actor(organization)
    for _ in range(98):
        await make_api_key(organization, membership=membership)

    answers = await asyncio.gather(
        *(client.graphql(CREATE, new_key(), actor=actor) for _ in range(5))
    )

    codes = [a["errors"][0]["extensions"]["code"] for a in answers if "errors" in a]
    assert codes == ["API_KEY_LIMIT_REACHED"] * 3
    assert await keys_of(actor) == 100


async def test_rotated_key_has_two_secrets_for_a_while(client: Client) -> None:
    organization = await make_organization()
    key = await make_api_key(organization)
    actor = await make_actor(organization)
    with clock.frozen(NOON):
        variables = {"input": {"apiKeyId": str(key.row.id), "gracePeriodSeconds": 3600}}
        answer = (await client.data(ROTATE, variables, actor=actor))["rotateApiKey"]

        assert answer["apiKey"] == {
            "uuid": str(key.row.id),
            "prefix": answer["key"][:13],
            "status": "ROTATING",
            "previousKey": {
                "prefix": key.secret[:13],
                "expiresAt": "2026-06-01T13:00:00.000Z",
            },
            "rotatedAt": "2026-06-01T12:00:00.000Z",
        }
        assert await client.data(WHO, key=answer["key"])
        assert await client.data(WHO, key=key.secret)
    with clock.frozen(NOON + timedelta(hours=1)):
        assert await client.data(WHO, key=answer["key"])
        assert await client.refusal(WHO, key=key.secret) == "INVALID_API_KEY"


async def test_second_rotation_ends_the_oldest_secret_at_once(client: Client) -> None:
    organization = await make_organization()
    key = await make_api_key(organization)
    actor = await make_actor(organization)
    variables = {"input": {"apiKeyId": str(key.row.id)}}

    second = (await client.data(ROTATE, variables, actor=actor))["rotateApiKey"]["key"]
    third = (await client.data(ROTATE, variables, actor=actor))["rotateApiKey"]["key"]

    assert await client.refusal(WHO, key=key.secret) == "INVALID_API_KEY"
    assert await client.data(WHO, key=second)
    assert await client.data(WHO, key=third)


async def test_rotations_at_once_leave_two_secrets(client: Client) -> None:
    organization = await make_organization()
    key = await make_api_key(organization)
    actor = await make_actor(organization)
    variables = {"input": {"apiKeyId": str(key.row.id)}}

    await asyncio.gather(*(client.data(ROTATE, variables, actor=actor) for _ in range(4)))

    left = await ApiKeySecret.objects().where(ApiKeySecret.api_key_id == key.row.id)
    assert sorted(row.expires_at is None for row in left) == [False, True]


async def test_rotation_without_grace_ends_the_old_secret_now(client: Client) -> None:
    organization = await make_organization()
    key = await make_api_key(organization, format=KeyFormat.POSTAL)
    await ApiKey.update({ApiKey.format: "postal"}).where(ApiKey.id == key.row.id)
    variables = {"input": {"apiKeyId": str(key.row.id), "gracePeriodSeconds": 0}}

    answer = await client.data(ROTATE, variables, key=key.secret)

    assert await client.refusal(WHO, key=key.secret) == "INVALID_API_KEY"
    assert re.fullmatch("[A-Za-z0-9]{24}", answer["rotateApiKey"]["key"])


@pytest.mark.parametrize("seconds", [-1, 604_801])
async def test_impossible_grace_is_refused(client: Client, seconds: int) -> None:
    organization = await make_organization()
    key = await make_api_key(organization)
    variables = {"input": {"apiKeyId": str(key.row.id), "gracePeriodSeconds": seconds}}

    code = await client.refusal(ROTATE, variables, actor=await make_actor(organization))

    assert code == "INVALID_INPUT"
    assert await ApiKeySecret.count().where(ApiKeySecret.api_key_id == key.row.id) == 1


async def test_nobody_rotates_a_key_that_holds_more_to_learn_its_secret(client: Client) -> None:
    organization = await make_organization()
    owners = await make_api_key(organization)
    admin = await make_actor(organization, role=Role.ADMIN)
    narrow = await make_api_key(organization, scopes=["messages:send", "api_keys:write"])
    variables = {"input": {"apiKeyId": str(owners.row.id)}}

    assert await client.refusal(ROTATE, variables, actor=admin) == "INSUFFICIENT_SCOPE"
    assert await client.refusal(ROTATE, variables, key=narrow.secret) == "INSUFFICIENT_SCOPE"
    assert await client.data(WHO, key=owners.secret)


async def test_disabled_key_is_refused_from_the_next_request_on(client: Client) -> None:
    organization = await make_organization()
    key = await make_api_key(organization)
    actor = await make_actor(organization)
    assert await client.data(WHO, key=key.secret)

    async def switch(*, enabled: bool) -> Any:
        variables = {"input": {"apiKeyId": str(key.row.id), "enabled": enabled}}
        return (await client.data(UPDATE, variables, actor=actor))["updateApiKey"]["apiKey"]

    assert (await switch(enabled=False))["status"] == "DISABLED"
    assert await client.refusal(WHO, key=key.secret) == "INVALID_API_KEY"
    rotate = {"input": {"apiKeyId": str(key.row.id)}}
    assert await client.refusal(ROTATE, rotate, actor=actor) == "API_KEY_DISABLED"
    assert (await switch(enabled=True))["status"] == "ACTIVE"
    assert await client.data(WHO, key=key.secret)


async def test_deleted_key_is_refused_with_every_secret(client: Client) -> None:
    organization = await make_organization()
    key = await make_api_key(organization)
    actor = await make_actor(organization)
    variables = {"input": {"apiKeyId": str(key.row.id)}}
    newer = (await client.data(ROTATE, variables, actor=actor))["rotateApiKey"]["key"]

    await client.data(DELETE, variables, actor=actor)

    assert await client.refusal(WHO, key=key.secret) == "INVALID_API_KEY"
    assert await client.refusal(WHO, key=newer) == "INVALID_API_KEY"
    assert await client.refusal(DELETE, variables, actor=actor) == "NOT_FOUND"
    actions = (
        await AuditEntry.select(AuditEntry.action)
        .where(AuditEntry.target_id == str(key.row.id))
        .order_by(AuditEntry.id)
    )
    assert [row["action"] for row in actions] == ["api_key.rotated", "api_key.deleted"]


@pytest.mark.parametrize("document", [ONE, ROTATE, UPDATE, DELETE])
async def test_key_of_another_tenant_is_not_found(client: Client, document: str) -> None:
    key = await make_api_key(await make_organization())
    id = str(key.row.id)
    variables: dict[str, Any] = {"id": id} if document == ONE else {"input": {"apiKeyId": id}}

    assert await client.refusal(document, variables, actor=await make_actor()) == "NOT_FOUND"

    assert await client.data(WHO, key=key.secret)


@pytest.mark.parametrize("document", [ONE, ROTATE, UPDATE, DELETE])
async def test_developer_handles_own_keys_only(client: Client, document: str) -> None:
    organization = await make_organization()
    developer = await make_actor(organization, role=Role.DEVELOPER)
    colleague = await make_membership(organization, role=Role.DEVELOPER)
    key = await make_api_key(organization, membership=colleague)
    id = str(key.row.id)
    variables: dict[str, Any] = {"id": id} if document == ONE else {"input": {"apiKeyId": id}}

    assert await client.refusal(document, variables, actor=developer) == "NOT_FOUND"

    await created(client, actor=developer, name="Mine")
    data = await client.data(LIST, actor=developer)
    assert data["organization"]["apiKeys"] == {"totalCount": 1, "nodes": [{"name": "Mine"}]}


async def test_keys_are_found_by_what_they_are_good_for(client: Client) -> None:
    organization = await make_organization()
    gone = await make_membership(organization)
    actor = await make_actor(organization)
    rotating = await make_api_key(organization, name="rotating")
    await client.data(ROTATE, {"input": {"apiKeyId": str(rotating.row.id)}}, actor=actor)
    await make_api_key(organization, name="active")
    await make_api_key(organization, name="expired", expires_at=NOON - timedelta(days=400))
    await make_api_key(organization, name="disabled", status="disabled")
    await make_api_key(organization, name="orphan", membership=gone)
    await Membership.delete().where(Membership.id == gone.id)

    async def found(status: str) -> list[str]:
        data = await client.data(LIST, {"filter": {"status": status}}, actor=actor)
        return sorted(node["name"] for node in data["organization"]["apiKeys"]["nodes"])

    assert [await found(s) for s in ("ACTIVE", "ROTATING", "EXPIRED", "DISABLED")] == [
        ["active"],
        ["rotating"],
        ["expired"],
        ["disabled", "orphan"],
    ]


async def test_viewer_makes_no_keys(client: Client) -> None:
    actor = await make_actor(role=Role.VIEWER)

    assert await client.refusal(CREATE, new_key(), actor=actor) == "INSUFFICIENT_ROLE"
    assert await client.refusal(LIST, actor=actor) == "INSUFFICIENT_ROLE"
    assert await keys_of(actor) == 0


async def test_suspended_organization_makes_no_keys(client: Client) -> None:
    organization = await make_organization(status="suspended")
    key = await make_api_key(organization)

    assert await client.refusal(CREATE, new_key(), key=key.secret) == "ORGANIZATION_SUSPENDED"
    assert await client.data(LIST, key=key.secret)
