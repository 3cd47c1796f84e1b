"""Templates: made, changed, published, tried, deleted."""

from asyncio import gather
from dataclasses import replace
from typing import Any

import pytest

from postlane.core.actor import Actor, Permission, ProjectId
from postlane.core.database import fetch
from tests.client import Client
from tests.factories import make_actor, make_organization, make_project

from .setup import CREATE, DELETE, PREVIEW, PUBLISH, SAVE, make_template, preview, version


@pytest.fixture
async def actor(database: None) -> Actor:
    """An owner of a new organization."""
    return await make_actor()


async def refusal(client: Client, document: str, asked: dict[str, Any], actor: Actor) -> Any:
    """Return the one error that a mutation is refused with."""
    body = await client.graphql(document, {"input": asked}, actor=actor)
    [error] = body["errors"]
    return error["extensions"]


async def details(
    client: Client, document: str, asked: dict[str, Any], actor: Actor
) -> dict[str, str]:
    found = await refusal(client, document, asked, actor)
    return {detail["field"]: detail["code"] for detail in found["details"]}


async def count(actor: Actor) -> int:
    rows = await fetch(
        "SELECT count(*) AS n FROM templates WHERE organization_id = {}", actor.organization_id
    )
    return int(rows[0]["n"])


async def test_a_template_is_what_it_was_made_of(client: Client, actor: Actor) -> None:
    variables = [
        {"name": "name", "isRequired": True},
        {"name": "items", "default": [1, {"a": None}]},
    ]

    made = await make_template(
        client,
        actor,
        "receipt",
        subject="Thanks, {{ name }}",
        html="<p>{{ name }}</p>",
        text="Hi {{ name }}",
        sender="Shop <shop@example.org>",
        variables=variables,
        name="Receipts",
    )

    published = made["published"]
    assert (made["slug"], made["name"], made["syntax"]) == ("receipt", "Receipts", "JINJA")
    assert (made["latestNumber"], published["number"]) == (1, 1)
    assert published["sender"] == "Shop <shop@example.org>"
    assert published["texts"] == [
        {
            "locale": None,
            "subject": "Thanks, {{ name }}",
            "html": "<p>{{ name }}</p>",
            "text": "Hi {{ name }}",
        }
    ]
    assert published["variables"] == [
        {"name": "name", "default": None, "isRequired": True},
        {"name": "items", "default": [1, {"a": None}], "isRequired": False},
    ]


async def test_a_version_counts_once_it_is_published_and_an_older_one_again(
    client: Client, actor: Actor
) -> None:
    await make_template(client, actor, "a", text="One")
    ref = {"slug": "a"}
    saved = {"template": ref, "version": version("Two")}
    data = await client.data(SAVE, {"input": saved}, actor=actor)
    assert data["saveTemplate"]["template"] == {"latestNumber": 2, "published": {"number": 1}}
    assert (await preview(client, actor, template=ref))["text"] == "One"
    assert (await preview(client, actor, template=ref, number=2))["text"] == "Two"

    await client.data(PUBLISH, {"input": {"template": ref, "number": 2}}, actor=actor)
    second = await preview(client, actor, template=ref)
    await client.data(PUBLISH, {"input": {"template": ref, "number": 1}}, actor=actor)
    first = await preview(client, actor, template=ref)

    assert (second["text"], first["text"]) == ("Two", "One")


async def test_versions_saved_at_once_have_numbers_of_their_own(
    client: Client, actor: Actor
) -> None:
    await make_template(client, actor, "a", text="One")
    saved = {"template": {"slug": "a"}, "version": version("More")}

    answers = await gather(*(client.data(SAVE, {"input": saved}, actor=actor) for _ in range(5)))

    numbers = [answer["saveTemplate"]["template"]["latestNumber"] for answer in answers]
    assert sorted(numbers) == [2, 3, 4, 5, 6]


async def test_of_two_with_one_slug_one_is_made(client: Client, actor: Actor) -> None:
    asked = {"input": {"slug": "a", "version": version("x")}}

    answers = await gather(*(client.graphql(CREATE, asked, actor=actor) for _ in range(4)))

    codes = [a["errors"][0]["extensions"]["code"] for a in answers if "errors" in a]
    assert codes == ["TEMPLATE_EXISTS"] * 3
    assert await count(actor) == 1


async def test_the_language_that_comes_nearest_counts(client: Client, actor: Actor) -> None:
    texts = [
        {"text": "Hello ({{ locale }})"},
        {"locale": "de", "text": "Hallo ({{ locale }})"},
        {"locale": "pt-BR", "text": "Oi ({{ locale }})"},
    ]
    made = {"slug": "a", "version": {"texts": texts}}
    await client.data(CREATE, {"input": made}, actor=actor)

    found = [
        (await preview(client, actor, template={"slug": "a"}, locale=locale))["text"]
        for locale in (None, "de", "de-AT", "PT-br", "pt", "fr")
    ]

    assert found[:3] == ["Hello ()", "Hallo (de)", "Hallo (de-AT)"]
    assert found[3:] == ["Oi (PT-br)", "Hello (pt)", "Hello (fr)"]


async def test_defaults_stand_in_and_what_is_required_is_named(
    client: Client, actor: Actor
) -> None:
    variables = [{"name": "name", "isRequired": True}, {"name": "company", "default": "Acme"}]
    await make_template(client, actor, "a", text="{{ name }} of {{ company }}", variables=variables)

    without = await preview(client, actor, template={"slug": "a"})
    given = {"name": "Ann", "company": "Other"}
    with_all = await preview(client, actor, template={"slug": "a"}, variables=given)

    assert (without["text"], without["missing"]) == (" of Acme", ["name"])
    assert (with_all["text"], with_all["missing"]) == ("Ann of Other", [])


async def test_layouts_are_put_around_each_other(client: Client, actor: Actor) -> None:
    await make_template(
        client, actor, "outer", html="<html>{{ content }}</html>", sender="a@example.org"
    )
    await make_template(
        client, actor, "inner", syntax="BRACES", html="<b>{{*}}{{sign}}</b>", layout="outer"
    )
    made = await make_template(client, actor, "a", html="<i>{{ n }}</i>", layout="inner")

    found = await preview(client, actor, template={"slug": "a"}, variables={"n": "<", "sign": "!"})

    assert made["published"]["layout"] == {"slug": "inner"}
    assert found["html"] == "<html><b><i>&lt;</i>!</b></html>"
    assert found["sender"] == "a@example.org"


async def test_a_layout_goes_on_as_it_is_published(client: Client, actor: Actor) -> None:
    await make_template(client, actor, "outer", text="[{{ content }}]")
    await make_template(client, actor, "a", text="x", layout="outer")
    saved = {"template": {"slug": "outer"}, "version": version("({{ content }})"), "publish": True}

    await client.data(SAVE, {"input": saved}, actor=actor)

    assert (await preview(client, actor, template={"slug": "a"}))["text"] == "(x)"


async def test_layouts_do_not_go_in_a_circle(client: Client, actor: Actor) -> None:
    await make_template(client, actor, "a", text="{{ content }}a")
    await make_template(client, actor, "b", text="{{ content }}b", layout="a")
    saved = {"template": {"slug": "a"}, "version": version("x{{ content }}", layout="b")}

    found = await details(client, SAVE, saved, actor)

    assert found == {"version.layout": "NOT_ALLOWED"}


async def test_a_circle_that_came_about_all_the_same_is_refused(
    client: Client, actor: Actor
) -> None:
    a = await make_template(client, actor, "a", text="{{ content }}a")
    await make_template(client, actor, "b", text="{{ content }}b", layout="a")
    await fetch(
        "UPDATE template_versions SET layout_id = (SELECT id FROM templates "
        "WHERE slug = 'b' AND organization_id = {}) WHERE template_id = {}::text::uuid",
        actor.organization_id,
        a["uuid"],
    )

    found = await details(client, PREVIEW, {"template": {"slug": "b"}}, actor)

    assert found == {"template": "TOO_MANY"}


async def test_there_are_at_most_four_layouts_around_a_template(
    client: Client, actor: Actor
) -> None:
    for n in range(5):
        above = {"layout": f"l{n - 1}"} if n else {}
        await make_template(client, actor, f"l{n}", text="{{ content }}", **above)
    asked = {"slug": "l5", "version": version("{{ content }}", layout="l4")}

    assert await details(client, CREATE, asked, actor) == {"version.layout": "TOO_MANY"}


async def test_what_is_a_layout_is_not_deleted(client: Client, actor: Actor) -> None:
    await make_template(client, actor, "outer", text="{{ content }}")
    await make_template(client, actor, "a", text="x", layout="outer")

    found = await refusal(client, DELETE, {"template": {"slug": "outer"}}, actor)
    await client.data(DELETE, {"input": {"template": {"slug": "a"}}}, actor=actor)
    await client.data(DELETE, {"input": {"template": {"slug": "outer"}}}, actor=actor)

    assert found["code"] == "TEMPLATE_IN_USE"
    assert await count(actor) == 0


@pytest.mark.parametrize(
    ("changed", "field", "code"),
    [
        ({"slug": "no spaces"}, "slug", "INVALID_FORMAT"),
        ({"slug": "x" * 64}, "slug", "INVALID_FORMAT"),
        ({"name": ""}, "name", "REQUIRED"),
        ({"version": {"texts": []}}, "version.texts", "REQUIRED"),
        ({"version": {"texts": [{"subject": "x"}]}}, "version.texts[0].html", "REQUIRED"),
        (
            {"version": {"texts": [{"text": "x", "locale": "not a tag"}]}},
            "version.texts[0].locale",
            "INVALID_FORMAT",
        ),
        (
            {"version": {"texts": [{"text": "x", "locale": "de"}, {"text": "x", "locale": "DE"}]}},
            "version.texts[1].locale",
            "DUPLICATE",
        ),
        ({"version": version("x" * 524_289)}, "version.texts[0].text", "TOO_LARGE"),
        ({"version": version("{{ broken")}, "version.texts[0].text", "INVALID_FORMAT"),
        ({"version": version("x", subject="s" * 2_001)}, "version.texts[0].subject", "TOO_LONG"),
        ({"version": version("x", sender="nobody")}, "version.sender", "INVALID_EMAIL"),
        ({"version": version("x", layout="nothing")}, "version.layout", "NOT_FOUND"),
        (
            {"version": version("x", variables=[{"name": "content"}])},
            "version.variables[0].name",
            "INVALID_FORMAT",
        ),
        (
            {"version": version("x", variables=[{"name": "a"}, {"name": "a"}])},
            "version.variables[1].name",
            "DUPLICATE",
        ),
        (
            {"version": version("x", variables=[{"name": "a", "default": 1, "isRequired": True}])},
            "version.variables[0].default",
            "MUTUALLY_EXCLUSIVE",
        ),
        (
            {"version": version("{% for a in range(10**9) %}x{% endfor %}")},
            "version.text",
            "INVALID_FORMAT",
        ),
    ],
)
async def test_what_cannot_be_a_template_is_refused_and_nothing_is_stored(
    client: Client, actor: Actor, changed: dict[str, Any], field: str, code: str
) -> None:
    asked = {"slug": "a", "version": version("x")} | changed

    assert await details(client, CREATE, asked, actor) == {field: code}
    assert await count(actor) == 0


async def test_a_layout_needs_a_place_for_content(client: Client, actor: Actor) -> None:
    await make_template(client, actor, "plain", text="Nothing goes in here.")
    asked = {"slug": "a", "version": version("x", layout="plain")}

    assert await details(client, CREATE, asked, actor) == {"version.layout": "NOT_ALLOWED"}


async def test_what_has_no_end_is_saved_as_a_draft_and_not_published(
    client: Client, actor: Actor
) -> None:
    await make_template(client, actor, "a", text="One")
    ref = {"slug": "a"}
    loops = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}"
    boundless = version(loops)
    await client.data(SAVE, {"input": {"template": ref, "version": boundless}}, actor=actor)

    published = await details(client, PUBLISH, {"template": ref, "number": 2}, actor)
    tried = await details(client, PREVIEW, {"template": ref, "number": 2}, actor)

    assert published == {"version.text": "INVALID_FORMAT"}
    assert tried == {"template.text": "INVALID_FORMAT"}
    assert (await preview(client, actor, template=ref))["text"] == "One"


async def test_a_draft_is_tried_without_being_stored(client: Client, actor: Actor) -> None:
    await make_template(client, actor, "outer", text="[{{ content }}]")
    draft = version("Hi {{ n }}", layout="outer", subject="S {{ n }}")

    found = await preview(client, actor, draft=draft, variables={"n": "Ann"})

    assert (found["text"], found["subject"]) == ("[Hi Ann]", "S Ann")
    assert await count(actor) == 1


async def test_values_are_an_object_of_limited_size(client: Client, actor: Actor) -> None:
    await make_template(client, actor, "a", text="x")
    ref = {"slug": "a"}

    wrong = await details(client, PREVIEW, {"template": ref, "variables": [1]}, actor)
    large = {"template": ref, "variables": {"a": "x" * 70_000}}

    assert wrong == {"variables": "INVALID_TYPE"}
    assert await details(client, PREVIEW, large, actor) == {"variables": "TOO_LARGE"}
    # JSON has such numbers; what is kept has 64 bits.
    beyond = {**large, "variables": {"n": [{"deep": 2**64}]}}
    assert await details(client, PREVIEW, beyond, actor) == {"variables": "INVALID_FORMAT"}


async def test_a_projects_key_sees_its_own_and_those_of_all(client: Client) -> None:
    organization = await make_organization()
    owner = await make_actor(organization)
    mine, other = await make_project(organization), await make_project(organization)
    bound = replace(owner, project_id=ProjectId(mine.id))
    await make_template(client, owner, "all", text="all")
    await make_template(client, owner, "same", text="of all")
    await make_template(client, bound, "same", text="mine")
    await make_template(client, owner, "theirs", text="theirs", projectId=str(other.id))
    listed = "{ organization { templates { nodes { slug projectUuid } } } }"

    data = await client.data(listed, actor=bound)
    found = await preview(client, bound, template={"slug": "same"})
    saved = {"template": {"slug": "all"}, "version": version("changed")}
    theirs = {"slug": "b", "version": version("x", layout="theirs")}

    slugs = [node["slug"] for node in data["organization"]["templates"]["nodes"]]
    assert slugs == ["same", "same", "all"]
    assert found["text"] == "mine"
    assert (await refusal(client, SAVE, saved, bound))["code"] == "NOT_FOUND"
    assert await details(client, CREATE, theirs, bound) == {"version.layout": "NOT_FOUND"}


async def test_who_may_read_may_not_write(client: Client, actor: Actor) -> None:
    await make_template(client, actor, "a", text="x")
    reader = replace(actor, permissions=frozenset({Permission.READ_TEMPLATES}))
    saved = {"template": {"slug": "a"}, "version": version("y")}

    assert (await preview(client, reader, template={"slug": "a"}))["text"] == "x"
    assert (await refusal(client, SAVE, saved, reader))["code"] == "INSUFFICIENT_ROLE"
