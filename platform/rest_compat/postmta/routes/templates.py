"""Templates over REST, which PostMTA's reference does not have."""

import re
from dataclasses import replace
from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import FLAG, INTEGER, TIME, UUID, Leaf, Many, Out, Shape, word
from ...fields import TEXT, Field, Fields, Flag, FreeObject, Integer, ListOf, Object, Text, choice
from ...route import MIB, Call, CompatRoute, IdForm, Refused
from ..lists import envelope, list_params
from ..shapes import SOURCE

ANY = Leaf({})
SYNTAX = word("jinja", "braces")
BODY_BYTES = 4 * MIB
BY_ID = {"id": IdForm.UUID}


class AnyValue:
    """A value of any JSON type."""

    parts = None

    def read(self, value: Any, at: str, found: Any) -> Any:
        return value

    def schema(self) -> dict[str, Any]:
        return {}


TEXT_FIELDS = Fields(
    Field("locale", TEXT, "Language tag; without it, for everybody whose language has no text."),
    Field("subject", Text(longest=2_000), "Source of the subject."),
    Field("html", TEXT, "Source of the HTML, at most 512 KiB."),
    Field("text", TEXT, "Source of the plain text, at most 512 KiB."),
)
VARIABLE_FIELDS = Fields(
    Field("name", Text(1, 64), "Letters, digits and `_`.", required=True),
    Field("default", AnyValue(), "What it stands for where a message does not give it."),
    Field("required", Flag(), "Whether a message has to give it.", ours="isRequired"),
)
VERSION_FIELDS = (
    Field(
        "texts",
        ListOf(Object(TEXT_FIELDS), fewest=1, most=50),
        "A language each.",
        required=True,
        example=[{"subject": "Hi {{ name }}", "text": "Dear {{ name }}"}],
    ),
    Field(
        "variables", ListOf(Object(VARIABLE_FIELDS), most=100), "Names with defaults.", default=[]
    ),
    Field("layout", TEXT, "Slug or UUID of the published template that it is put into."),
    Field("sender", TEXT, "From, where a message names none."),
)
OF_VERSION = ("texts", "variables", "layout", "sender")
CREATE = Fields(
    Field("slug", Text(1, 63), "Name in requests.", required=True, example="receipt"),
    Field("name", Text(1, 100), "Name for people; the slug without it."),
    Field("project_id", TEXT, "The only project that it is for."),
    Field("syntax", choice("jinja", "braces"), "How values are written.", default="jinja"),
    *VERSION_FIELDS,
    Field("publish", Flag(), "Let the version count at once.", default=True),
)
SAVE = Fields(*VERSION_FIELDS, Field("publish", Flag(), "Let it count at once.", default=False))
PUBLISH = Fields(
    Field("version", Integer(1), "Its number.", required=True, ours="number", example=2)
)
PREVIEW = Fields(
    Field("version", Integer(1), "Its number; the published one without it.", ours="number"),
    Field("locale", TEXT, "In which language."),
    Field("variables", FreeObject(), "What names stand for.", default={}),
)

VERSION = Shape(
    "TemplateVersion",
    Out("version", INTEGER, of="number"),
    Out("layout", from_whole=lambda v: v["layout"] and v["layout"]["slug"], maybe=True),
    Out("sender", maybe=True),
    Out(
        "texts",
        Many(
            Shape(
                "TemplateText",
                Out("locale", maybe=True),
                Out("subject", maybe=True),
                Out("html", maybe=True),
                Out("text", maybe=True),
            )
        ),
    ),
    Out(
        "variables",
        Many(
            Shape(
                "TemplateVariable",
                Out("name"),
                Out("default", ANY, maybe=True),
                Out("required", FLAG, of="isRequired"),
            )
        ),
    ),
    Out("created_at", TIME),
    extra="layout { slug }",
)
TEMPLATE = Shape(
    "Template",
    Out("id", UUID, of="uuid"),
    Out("slug"),
    Out("name"),
    Out("project_id", UUID, of="projectUuid", maybe=True),
    Out("syntax", SYNTAX),
    Out("latest_version", INTEGER, of="latestNumber"),
    Out("published", VERSION, maybe=True),
    Out("created_at", TIME),
    Out("updated_at", TIME),
)
RENDERED = Shape(
    "RenderedTemplate",
    Out("subject", maybe=True),
    Out("html", maybe=True),
    Out("text", maybe=True),
    Out("sender", maybe=True),
    Out("missing", Many(Leaf({"type": "string"})), about="Names that a message has to give."),
)
DELETED = Shape("DeletedTemplate", Out("deleted", FLAG))
THERE = Document(
    "query TemplateThere($id: ID!) { organization { template(ref: {id: $id}) { uuid } } }"
)
_OF_VERSION = re.compile(r"^version\.")


def _ref(call: Call) -> dict[str, Any]:
    return {"id": call.path["id"]}


def _version(body: dict[str, Any]) -> dict[str, Any]:
    found = {name: body[name] for name in OF_VERSION if name in body}
    rest = {name: value for name, value in body.items() if name not in OF_VERSION}
    return {**rest, "version": found}


def _by_their_names(refused: Refused, call: Call) -> Refused:
    """Return a refusal that names the fields of a version as the client does."""
    details = [replace(d, field=_OF_VERSION.sub("", d.field, count=1)) for d in refused.details]
    return Refused(
        refused.code,
        refused.message,
        details=details,
        retry_after_seconds=refused.retry_after_seconds,
        in_our_words=refused.in_our_words,
    )


def _list(data: Any, call: Call) -> dict[str, Any]:
    page = data["organization"]["templates"]
    info = page["pageInfo"]
    return envelope(
        [TEMPLATE.write(node) for node in page["nodes"]],
        call,
        next_cursor=info["endCursor"] if info["hasNextPage"] else None,
    )


def _changed(name: str, kind: str) -> Document:
    title = name[0].upper() + name[1:]
    return Document(
        f"mutation {title}($input: {kind}!) {{ {name}(input: $input) "
        f"{{ template {TEMPLATE.selection()} }} }}"
    )


ROUTES = (
    CompatRoute(
        method="GET",
        path="/api/v1/templates",
        source=SOURCE,
        summary="List templates",
        permission=Permission.READ_TEMPLATES,
        query=list_params(sorts={"-created_at": True}, usual="-created_at"),
        document=Document(
            "query Templates($first: Int, $after: String) { organization "
            "{ templates(first: $first, after: $after) { "
            f"nodes {TEMPLATE.selection()} pageInfo {{ hasNextPage endCursor }} }} }} }}"
        ),
        variables=lambda call: {n: call.query[n] for n in ("first", "after") if n in call.query},
        answer=_list,
        shape=TEMPLATE,
        is_list=True,
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/templates",
        source=SOURCE,
        summary="Create a template",
        permission=Permission.WRITE_TEMPLATES,
        body=CREATE,
        refused=_by_their_names,
        body_limit_bytes=BODY_BYTES,
        document=_changed("createTemplate", "CreateTemplateInput"),
        variables=lambda call: {"input": _version(call.body)},
        answer=lambda data, call: TEMPLATE.write(data["createTemplate"]["template"]),
        shape=TEMPLATE,
        status=201,
        refusals=(ErrorCode.TEMPLATE_EXISTS, ErrorCode.TEMPLATE_LIMIT_REACHED),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/templates/{id}",
        source=SOURCE,
        summary="Get a template",
        permission=Permission.READ_TEMPLATES,
        ids=BY_ID,
        document=Document(
            "query Template($ref: TemplateRef!) { organization "
            f"{{ template(ref: $ref) {TEMPLATE.selection()} }} }}"
        ),
        variables=lambda call: {"ref": _ref(call)},
        answer=lambda data, call: TEMPLATE.write(data["organization"]["template"]),
        shape=TEMPLATE,
    ),
    CompatRoute(
        method="PUT",
        path="/api/v1/templates/{id}",
        source=SOURCE,
        summary="Give a template another version",
        permission=Permission.WRITE_TEMPLATES,
        ids=BY_ID,
        target=THERE,
        body=SAVE,
        refused=_by_their_names,
        body_limit_bytes=BODY_BYTES,
        document=_changed("saveTemplate", "SaveTemplateInput"),
        variables=lambda call: {"input": {"template": _ref(call), **_version(call.body)}},
        answer=lambda data, call: TEMPLATE.write(data["saveTemplate"]["template"]),
        shape=TEMPLATE,
        refusals=(ErrorCode.TEMPLATE_LIMIT_REACHED,),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/templates/{id}/publish",
        source=SOURCE,
        summary="Let a version of a template count",
        permission=Permission.WRITE_TEMPLATES,
        ids=BY_ID,
        target=THERE,
        body=PUBLISH,
        document=_changed("publishTemplate", "PublishTemplateInput"),
        variables=lambda call: {"input": {"template": _ref(call), **call.body}},
        answer=lambda data, call: TEMPLATE.write(data["publishTemplate"]["template"]),
        shape=TEMPLATE,
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/templates/{id}/preview",
        source=SOURCE,
        summary="Try what a template makes of values",
        permission=Permission.READ_TEMPLATES,
        ids=BY_ID,
        target=THERE,
        body=PREVIEW,
        body_is_optional=True,
        document=Document(
            "mutation PreviewTemplate($input: PreviewTemplateInput!) "
            f"{{ previewTemplate(input: $input) {RENDERED.selection()} }}"
        ),
        variables=lambda call: {"input": {"template": _ref(call), **call.body}},
        answer=lambda data, call: RENDERED.write(data["previewTemplate"]),
        shape=RENDERED,
    ),
    CompatRoute(
        method="DELETE",
        path="/api/v1/templates/{id}",
        source=SOURCE,
        summary="Delete a template",
        permission=Permission.WRITE_TEMPLATES,
        ids=BY_ID,
        document=Document(
            "mutation DeleteTemplate($input: DeleteTemplateInput!) "
            f"{{ deleteTemplate(input: $input) {DELETED.selection()} }}"
        ),
        variables=lambda call: {"input": {"template": _ref(call)}},
        answer=lambda data, call: DELETED.write(data["deleteTemplate"]),
        shape=DELETED,
        refusals=(ErrorCode.TEMPLATE_IN_USE,),
    ),
)
