"""Projects: made, renamed, and only one's own."""

import asyncio
from typing import Any

import pytest

from postlane.accounts.tables import Project
from postlane.core.actor import ProjectId, Role
from postlane.security.rules import both_allow
from tests.client import Client
from tests.factories import (
    default_project,
    make_actor,
    make_api_key,
    make_organization,
    make_project,
)
from tests.people import VIEWER, WHO

CREATE = """
mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { slug name } } }
"""
UPDATE = """
mutation ($input: UpdateProjectInput!) { updateProject(input: $input) { project { slug name } } }
"""
ARCHIVE = """
mutation ($input: ArchiveProjectInput!) {
  archiveProject(input: $input) { project { archivedAt } }
}
"""
RESTORE = """
mutation ($input: RestoreProjectInput!) {
  restoreProject(input: $input) { project { archivedAt } }
}
"""
SETTINGS = """
mutation ($input: UpdateProjectInput!) {
  updateProject(input: $input) { project { name mode allowedDomains rateLimitPerMinute } }
}
"""
LIST = "{ organization { projects { totalCount nodes { slug } } } }"


async def test_slug_is_made_of_the_name(client: Client) -> None:
    actor = await make_actor(role=Role.ADMIN)

    data = await client.data(CREATE, {"input": {"name": "Web Shop: Café"}}, actor=actor)

    assert data["createProject"]["project"] == {"slug": "web-shop-cafe", "name": "Web Shop: Café"}


async def test_of_two_projects_with_one_slug_one_is_made(client: Client) -> None:
    actor = await make_actor()

    answers = await asyncio.gather(
        *(
            client.graphql(CREATE, {"input": {"name": "Shop", "slug": "shop"}}, actor=actor)
            for _ in range(2)
        )
    )

    codes = [a["errors"][0]["extensions"]["code"] for a in answers if "errors" in a]
    assert codes == ["PROJECT_EXISTS"]
    data = await client.data(LIST, actor=actor)
    assert data["organization"]["projects"] == {
        "totalCount": 2,
        "nodes": [{"slug": "default"}, {"slug": "shop"}],
    }


@pytest.mark.parametrize("slug", ["", "Shop", "-shop", "a b", "x" * 64, "shop\n", "шоп"])
async def test_what_cannot_be_a_slug_is_refused(client: Client, slug: str) -> None:
    actor = await make_actor()

    code = await client.refusal(CREATE, {"input": {"name": "Shop", "slug": slug}}, actor=actor)

    assert code == "INVALID_INPUT"
    assert await Project.count().where(Project.organization_id == actor.organization_id) == 1


async def test_developer_makes_no_projects(client: Client) -> None:
    actor = await make_actor(role=Role.DEVELOPER)

    assert await client.refusal(CREATE, {"input": {"name": "Shop"}}, actor=actor) == (
        "INSUFFICIENT_ROLE"
    )


async def test_project_of_another_tenant_is_not_renamed(client: Client) -> None:
    theirs = await make_project(await make_organization(), name="Theirs")
    variables: dict[str, Any] = {"input": {"projectId": str(theirs.id), "name": "Ours"}}

    assert await client.refusal(UPDATE, variables, actor=await make_actor()) == "NOT_FOUND"

    row = await Project.objects().get(Project.id == theirs.id)
    assert row is not None
    assert row.name == "Theirs"


async def test_actor_bound_to_a_project_sees_and_changes_no_other(client: Client) -> None:
    organization = await make_organization()
    own, other = await default_project(organization), await make_project(organization)
    actor = await make_actor(organization, project_id=ProjectId(own.id))
    variables = {"input": {"projectId": str(other.id), "name": "Taken"}}

    data = await client.data(LIST, actor=actor)

    assert data["organization"]["projects"] == {"totalCount": 1, "nodes": [{"slug": "default"}]}
    assert await client.refusal(UPDATE, variables, actor=actor) == "NOT_FOUND"


async def test_settings_hold_for_the_keys_of_a_project_at_once(client: Client) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    project = await make_project(organization)
    key = await make_api_key(organization, project_id=project.id, rate_limit_per_minute=90)
    free = await make_api_key(organization)
    asked = {
        "projectId": str(project.id),
        "mode": "SANDBOX",
        "allowedDomains": ["Shop.Example.", "shop.example"],
        "rateLimitPerMinute": 60,
    }

    data = await client.data(SETTINGS, {"input": asked}, actor=actor)

    assert data["updateProject"]["project"] == {
        "name": project.name,
        "mode": "SANDBOX",
        "allowedDomains": ["shop.example"],
        "rateLimitPerMinute": 60,
    }
    bound = (await client.data(VIEWER, key=key.secret))["viewer"]["credential"]
    assert (bound["mode"], bound["rateLimitPerMinute"]) == ("SANDBOX", 60)
    other = (await client.data(VIEWER, key=free.secret))["viewer"]["credential"]
    assert (other["mode"], other["rateLimitPerMinute"]) == ("LIVE", None)
    lifted = {"projectId": str(project.id), "rateLimitPerMinute": None, "mode": "LIVE"}
    await client.data(SETTINGS, {"input": lifted}, actor=actor)
    bound = (await client.data(VIEWER, key=key.secret))["viewer"]["credential"]
    assert (bound["mode"], bound["rateLimitPerMinute"]) == ("LIVE", 90)


@pytest.mark.parametrize(
    ("key", "project", "found"),
    [
        ((), (), set()),
        (("a.example",), (), {"a.example"}),
        ((), ("b.example",), {"b.example"}),
        (("a.example", "b.example"), ("b.example",), {"b.example"}),
        (("a.example",), ("b.example",), {"-"}),
    ],
)
def test_a_key_and_its_project_narrow_each_other(
    key: tuple[str, ...], project: tuple[str, ...], found: set[str]
) -> None:
    assert both_allow(key, project) == found


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"allowedDomains": ["not a domain"]}, "allowedDomains[0]"),
        ({"allowedDomains": [f"d{n}.example" for n in range(51)]}, "allowedDomains"),
        ({"rateLimitPerMinute": 0}, "rateLimitPerMinute"),
        ({"rateLimitPerMinute": 1_000_001}, "rateLimitPerMinute"),
        ({"name": " "}, "name"),
    ],
)
async def test_settings_that_cannot_be_are_refused(
    client: Client, values: dict[str, Any], field: str
) -> None:
    organization = await make_organization()
    project = await make_project(organization)
    asked = {"input": {"projectId": str(project.id), **values}}

    body = await client.graphql(SETTINGS, asked, actor=await make_actor(organization))

    assert [d["field"] for d in body["errors"][0]["extensions"]["details"]] == [field]
    row = await Project.objects().get(Project.id == project.id)
    assert row is not None
    assert row.to_dict() == project.to_dict()


async def test_a_key_with_limits_of_its_own_loosens_no_others(client: Client) -> None:
    organization = await make_organization()
    project = await make_project(organization, mode="sandbox")
    key = await make_api_key(organization, mode="sandbox")

    asked = {"input": {"projectId": str(project.id), "mode": "LIVE"}}

    assert await client.refusal(SETTINGS, asked, key=key.secret) == "INSUFFICIENT_SCOPE"


async def test_keys_of_an_archived_project_are_refused_until_it_is_restored(
    client: Client,
) -> None:
    organization = await make_organization()
    actor = await make_actor(organization)
    project = await make_project(organization)
    key = await make_api_key(organization, project_id=project.id)
    asked = {"input": {"projectId": str(project.id)}}

    archived = await client.data(ARCHIVE, asked, actor=actor)

    assert archived["archiveProject"]["project"]["archivedAt"]
    assert await client.refusal(WHO, key=key.secret) == "INVALID_API_KEY"
    renamed = {"input": {"projectId": str(project.id), "name": "New"}}
    assert await client.refusal(UPDATE, renamed, actor=actor) == "PROJECT_ARCHIVED"
    new_key = {"input": {"name": "K", "scopes": ["*"], "projectId": str(project.id)}}
    create = (
        "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { uuid } } }"
    )
    assert await client.refusal(create, new_key, actor=actor) == "PROJECT_ARCHIVED"
    await client.data(RESTORE, asked, actor=actor)
    assert await client.data(WHO, key=key.secret)


async def test_the_default_project_is_not_archived(client: Client) -> None:
    organization = await make_organization()
    project = await default_project(organization)
    asked = {"input": {"projectId": str(project.id)}}

    code = await client.refusal(ARCHIVE, asked, actor=await make_actor(organization))

    assert code == "CONFLICT"
