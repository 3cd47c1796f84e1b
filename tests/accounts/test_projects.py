"""Projects: made, renamed, and only one's own."""

import asyncio
from typing import Any

import pytest

from postlane.accounts.tables import Project
from postlane.core.actor import ProjectId, Role
from tests.client import Client
from tests.factories import default_project, make_actor, make_organization, make_project

CREATE = """
mutation ($input: CreateProjectInput!) { createProject(input: $input) { project { slug name } } }
"""
UPDATE = """
mutation ($input: UpdateProjectInput!) { updateProject(input: $input) { project { slug name } } }
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
