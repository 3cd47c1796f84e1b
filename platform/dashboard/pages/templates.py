"""Templates: what messages are filled from, in versions, with a look at what comes of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from .. import drafts, policy
from ..page import SHOWN_ONCE, Action, Call, Done, Page, Passage, shown

SYNTAXES = {"JINJA": "Jinja: {{ name }}, {% if %}", "BRACES": "Braces: {{name}}"}
LARGEST_VERSION = 8 * 2**20
"""Bytes of the form: some languages of half a megabyte each, and what encoding adds."""
VERSION = (
    "number sender createdAt layout { uuid slug projectUuid } texts { locale subject html text } "
    "variables { name default isRequired }"
)
ROW = "uuid slug name syntax projectUuid latestNumber published { number } updatedAt"


def _list_view(data: Any, call: Call) -> dict[str, Any]:
    page = data["organization"]["templates"]
    after = page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else None
    return {
        "templates": page["nodes"],
        "is_first": not call.query.get("after"),
        "more": call.link("/templates", after=after) if after else None,
        "can_change": call.may("templates:write"),
    }


LIST = Page(
    path="/o/{org:str}/templates",
    title=N_("Templates"),
    template="templates/index.html",
    document=shown(
        "query Templates($after: String) { ...Shell organization { "
        f"templates(first: 50, after: $after) {{ nodes {{ {ROW} "
        "published { number texts { locale subject } } } "
        "pageInfo { hasNextPage endCursor } } } }"
    ),
    variables=lambda call: {"after": call.query.get("after") or None},
    view=_list_view,
)


def _editor(data: Any, call: Call, version: Mapping[str, Any] | None) -> dict[str, Any]:
    is_sent = "html" in call.chosen
    return {
        "edited": drafts.spared(drafts.written(call) if is_sent else drafts.form_of(version)),
        "syntaxes": SYNTAXES,
        "layouts": [each["slug"] for each in data["organization"]["templates"]["nodes"]],
        "locales": [each["locale"] for each in version["texts"] if each["locale"]]
        if version
        else [],
        "can_change": call.may("templates:write"),
        "values": {
            name: call.form.get(name, "") for name in ("slug", "name", "syntax", "values", "in")
        },
    }


LAYOUTS = "templates(first: 100) { nodes { slug } }"

NEW = Page(
    path="/o/{org:str}/templates/new",
    title=N_("New template"),
    template="templates/new.html",
    document=shown(f"query NewTemplate {{ ...Shell organization {{ {LAYOUTS} }} }}"),
    view=lambda data, call: _editor(data, call, None),
)


def _number(call: Call) -> int | None:
    text = call.query.get("version", "") or call.form.get("number", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _one_view(data: Any, call: Call) -> dict[str, Any]:
    template = data["organization"]["template"]
    newest: Sequence[Mapping[str, Any]] = template["newest"]["nodes"]
    version = template.get("wanted") or newest[0]
    versions = template["versions"]
    after = versions["pageInfo"]["endCursor"] if versions["pageInfo"]["hasNextPage"] else None
    at = f"/templates/{template['uuid']}"
    return {
        **_editor(data, call, version),
        "title": template["name"],
        "template": template,
        "version": version,
        "versions": versions["nodes"],
        "published": (template["published"] or {}).get("number"),
        "at": call.link(at),
        "preview": call.link(f"{at}/preview", version=str(version["number"])),
        "older": call.link(at, version=str(version["number"]), after=after) if after else None,
    }


ONE = Page(
    path="/o/{org:str}/templates/{template:str}",
    title=N_("Template"),
    template="templates/template.html",
    document=shown(
        f"""
        query Template($ref: TemplateRef!, $number: Int!, $has: Boolean!, $after: String) {{
          ...Shell
          organization {{
            {LAYOUTS}
            template(ref: $ref) {{
              {ROW}
              newest: versions(first: 1) {{ nodes {{ {VERSION} }} }}
              wanted: version(number: $number) @include(if: $has) {{ {VERSION} }}
              versions(first: 10, after: $after) {{
                nodes {{ number createdAt texts {{ locale }} }}
                pageInfo {{ hasNextPage endCursor }}
              }}
            }}
          }}
        }}
        """
    ),
    variables=lambda call: {
        "ref": {"id": call.path["template"]},
        "number": _number(call) or 0,
        "has": _number(call) is not None,
        "after": call.query.get("after") or None,
    },
    view=_one_view,
)
LOOK = Page(
    path="/o/{org:str}/templates/{template:str}/look",
    title=N_("Preview"),
    template="templates/preview.html",
    policy=policy.PREVIEW,
)
"""What a frame holds; it has no address of its own, because it asks nothing by itself."""
PAGES = (LIST, NEW, ONE)

TRY = Document(
    "mutation TryTemplate($input: PreviewTemplateInput!) { tried: previewTemplate(input: $input) "
    "{ subject html text sender missing } }"
)


def _stored(call: Call) -> dict[str, Any]:
    return {
        "input": {
            "template": {"id": call.path["template"]},
            "number": _number(call),
            "locale": call.query.get("in") or None,
        }
    }


PASSAGES = (
    Passage(
        path="/o/{org:str}/templates/{template:str}/preview",
        document=TRY,
        variables=_stored,
        page=LOOK,
        then=lambda data, call: Done("", more={"done": data}),
    ),
)


def _ref(call: Call) -> dict[str, Any]:
    return {"id": call.path["template"]}


def _create(call: Call) -> dict[str, Any]:
    syntax = call.form.get("syntax", "")
    return {
        "input": {
            "slug": call.form.get("slug", "").strip(),
            "name": call.form.get("name", "").strip() or None,
            "syntax": syntax if syntax in SYNTAXES else "JINJA",
            "version": drafts.version_of(call),
            "publish": call.form.get("publish") == "yes",
        }
    }


def _draft(call: Call) -> dict[str, Any]:
    """Return what is written in the form, to be tried with the values beside it."""
    syntax = call.form.get("syntax", "")
    values = call.form.get("values", "").strip()
    asked: dict[str, Any] = {
        "draft": drafts.version_of(call),
        # What is no object is refused by the schema, in its words.
        "variables": drafts.read_value(values) if values else {},
        "locale": call.form.get("in", "").strip() or None,
    }
    if "template" in call.path:
        asked["template"] = _ref(call)
    else:
        asked["syntax"] = syntax if syntax in SYNTAXES else "JINJA"
    return {"input": asked}


def _after(note: str) -> Any:
    return lambda data, call: Done(call.link(f"/templates/{call.path['template']}", done=note))


ACTIONS = (
    Action(
        path="/o/{org:str}/templates/new",
        page=NEW,
        document=Document(
            "mutation CreateTemplate($input: CreateTemplateInput!) "
            "{ createTemplate(input: $input) { template { uuid } } }"
        ),
        variables=_create,
        names=drafts.NAMES,
        then=lambda data, call: Done(
            call.link(
                f"/templates/{data['createTemplate']['template']['uuid']}", done="template-made"
            )
        ),
        form="new",
        largest=LARGEST_VERSION,
    ),
    *(
        Action(
            path="/o/{org:str}/templates" + place + "/try",
            page=LOOK,
            document=TRY,
            variables=_draft,
            then=lambda data, call: SHOWN_ONCE,
            form="try",
            largest=LARGEST_VERSION,
        )
        for place in ("/new", "/{template:str}")
    ),
    Action(
        path="/o/{org:str}/templates/{template:str}",
        page=ONE,
        document=Document(
            "mutation SaveTemplate($input: SaveTemplateInput!) "
            "{ saveTemplate(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {
                "template": _ref(call),
                "version": drafts.version_of(call),
                "publish": call.form.get("publish") == "yes",
            }
        },
        names=drafts.NAMES,
        then=_after("template-saved"),
        form="save",
        largest=LARGEST_VERSION,
    ),
    Action(
        path="/o/{org:str}/templates/{template:str}/publish",
        page=ONE,
        document=Document(
            "mutation PublishTemplate($input: PublishTemplateInput!) "
            "{ publishTemplate(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {"template": _ref(call), "number": _number(call) or 0}},
        then=_after("template-published"),
        form="publish",
    ),
    Action(
        path="/o/{org:str}/templates/{template:str}/rename",
        page=ONE,
        document=Document(
            "mutation RenameTemplate($input: RenameTemplateInput!) "
            "{ renameTemplate(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {"template": _ref(call), "name": call.form.get("name", "").strip()}
        },
        then=_after("saved"),
        form="rename",
    ),
    Action(
        path="/o/{org:str}/templates/{template:str}/delete",
        page=ONE,
        document=Document(
            "mutation DeleteTemplate($input: DeleteTemplateInput!) "
            "{ deleteTemplate(input: $input) { deleted } }"
        ),
        variables=lambda call: {"input": {"template": _ref(call)}},
        then=lambda data, call: Done(call.link("/templates", done="template-deleted")),
        form="delete",
    ),
)
