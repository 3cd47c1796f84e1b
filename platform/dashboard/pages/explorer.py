"""The API explorer: any document, run as whoever is signed in, beside the schema's reference."""

from typing import Any

from ...core.languages import marked as N_
from ..page import Call, Page, shown

SAMPLE = """# Ctrl-Enter runs it. Ctrl-Space says what fits.
query Latest {
  organization {
    name
    messages(first: 5) {
      nodes {
        id
        subject
        status
        createdAt
      }
    }
  }
}
"""
TYPE = """
fragment Type on __Type {
  kind name description
  fields(includeDeprecated: true) {
    name description isDeprecated deprecationReason
    args { name description defaultValue type { ...Ref } }
    type { ...Ref }
  }
  inputFields { name description defaultValue type { ...Ref } }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
  possibleTypes { name }
  interfaces { name }
}
fragment Ref on __Type {
  kind name ofType { kind name ofType { kind name ofType { kind name } } }
}
"""


def written(ref: dict[str, Any]) -> str:
    """Return a type as GraphQL writes it."""
    if ref["kind"] == "NON_NULL":
        return f"{written(ref['ofType'])}!"
    if ref["kind"] == "LIST":
        return f"[{written(ref['ofType'])}]"
    return str(ref["name"])


def named(ref: dict[str, Any]) -> str:
    """Return the name of a type without what is around it."""
    while ref.get("ofType"):
        ref = ref["ofType"]
    return str(ref["name"])


def _members(type_: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the fields or values of a type, each with what a reference shows of it."""
    fields = [
        {
            **field,
            "type": (named(field["type"]), written(field["type"])),
            "args": [
                {**arg, "type": (named(arg["type"]), written(arg["type"]))}
                for arg in field.get("args") or ()
            ],
        }
        for field in [*(type_["fields"] or ()), *(type_["inputFields"] or ())]
    ]
    return fields or [{**value, "type": None, "args": []} for value in type_["enumValues"] or ()]


def _view(data: Any, call: Call) -> dict[str, Any]:
    type_ = data["__type"]
    return {
        "sample": SAMPLE,
        "type": type_,
        "members": _members(type_) if type_ else [],
        "asked": call.query.get("type", ""),
        "roots": ("Query", "Mutation", "Subscription"),
    }


EXPLORER = Page(
    path="/o/{org:str}/explorer",
    title=N_("API explorer"),
    template="explorer/index.html",
    document=shown(
        "query Explorer($type: String!) { ...Shell __type(name: $type) { ...Type } }" + TYPE
    ),
    variables=lambda call: {"type": call.query.get("type", "").strip()[:200] or "Query"},
    view=_view,
)
PICK = Page(
    path="/explorer",
    title=N_("API explorer"),
    template="explorer/pick.html",
    document=shown("query ExplorerPick { ...Shell }"),
)
PAGES = (EXPLORER, PICK)
