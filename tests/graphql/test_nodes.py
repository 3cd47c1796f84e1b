"""Finding objects again by their global id, and only one's own."""

import uuid

from graphql import GraphQLObjectType, get_named_type

from postlane.core.actor import Actor
from postlane.graphql.nodes import registered
from postlane.graphql.schema import CORE
from tests.client import Client
from tests.factories import make_actor

NODE = "query ($id: ID!) { node(id: $id) { __typename id uuid } }"
NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"


PARTS = frozenset(
    {"CapturedMessage", "CreditUsage", "Engagement", "OverseenOrganization", "RefusedLine"}
)
"""What is listed without being an object: sums made when they are asked for, lines of a file,
events, files on this machine, and what operators see of organizations."""


def test_every_object_that_is_listed_can_be_found_again() -> None:
    listed = {
        get_named_type(type_.fields["node"].type)
        for name, type_ in CORE.type_map.items()
        if isinstance(type_, GraphQLObjectType) and name.endswith("Edge")
    }

    objects = {type_.name for type_ in listed if CORE.type_map["Node"] in type_.interfaces}
    assert {type_.name for type_ in listed} - objects == PARTS
    assert objects <= registered()


async def own_id(client: Client, actor: Actor) -> str:
    data = await client.data("{ organization { id } }", actor=actor)
    found: str = data["organization"]["id"]
    return found


async def test_an_object_is_found_by_the_id_it_shows(client: Client) -> None:
    actor = await make_actor()
    id = await own_id(client, actor)

    data = await client.data(NODE, {"id": id}, actor=actor)

    assert data["node"] == {
        "__typename": "Organization",
        "id": id,
        "uuid": str(actor.organization_id),
    }


async def test_the_id_of_another_tenant_finds_nothing(client: Client) -> None:
    theirs = await own_id(client, await make_actor())

    data = await client.data(NODE, {"id": theirs}, actor=await make_actor())

    assert data == {"node": None}


async def test_garbage_finds_nothing(client: Client) -> None:
    actor = await make_actor()
    garbage = ["", "x", "T3JnYW5pemF0aW9u", str(uuid.uuid4()), "=" * 300, "Ωμέγα", "💥"]

    data = await client.data(NODES, {"ids": garbage}, actor=actor)

    assert data == {"nodes": [None] * 7}


async def test_nodes_keep_the_order_asked_for(client: Client) -> None:
    actor = await make_actor()
    id = await own_id(client, actor)

    data = await client.data(NODES, {"ids": ["x", id, id]}, actor=actor)

    assert data == {"nodes": [None, {"id": id}, {"id": id}]}


async def test_a_hundred_ids_are_the_most(client: Client) -> None:
    code = await client.refusal(
        NODES,
        {"ids": ["x"] * 101},
        actor=await make_actor(),
    )

    assert code == "INVALID_INPUT"


async def test_a_stranger_is_told_to_sign_in(client: Client) -> None:
    assert await client.refusal(NODE, {"id": "x"}) == "NOT_AUTHENTICATED"


async def test_an_organization_is_found_by_its_own_slug_only(client: Client) -> None:
    actor, other = await make_actor(), await make_actor()
    slug = (await client.data("{ organization { slug } }", actor=actor))["organization"]["slug"]
    query = "query ($slug: String!) { organization(slug: $slug) { slug } }"

    assert await client.data(query, {"slug": slug}, actor=actor) == {"organization": {"slug": slug}}
    assert await client.refusal(query, {"slug": slug}, actor=other) == "NOT_FOUND"
