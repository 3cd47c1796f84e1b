"""Suppressions: addresses that get no mail, and why."""

from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, shown
from . import removals

REASONS = ("COMPLAINT", "HARD_BOUNCE", "MANUAL", "UNSUBSCRIBE", "SOFT_BOUNCE_COOLING")


def filter_of(call: Call) -> dict[str, Any]:
    """Return what the address asks for, as a filter of the schema."""
    asked: dict[str, Any] = {}
    if address := call.query.get("address", "").strip():
        asked["address"] = address
    if (reason := call.query.get("reason", "")) in REASONS:
        asked["reason"] = reason
    return asked


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]["suppressions"]
    asked = {name: call.query.get(name, "") for name in ("address", "reason")}
    after = found["pageInfo"]["endCursor"] if found["pageInfo"]["hasNextPage"] else None
    return {
        "suppressions": found["nodes"],
        **removals.shown(data["organization"]),
        "here_again": call.link("/suppressions", **asked, after=call.query.get("after", "")),
        "search": asked,
        "is_filtered": bool(filter_of(call)),
        "reasons": REASONS,
        "more": call.link("/suppressions", **asked, after=after) if after else None,
        "can_change": call.may("messages:write"),
        "values": {name: call.form.get(name, "") for name in ("address", "description")},
    }


LIST = Page(
    path="/o/{org:str}/suppressions",
    title=N_("Suppressions"),
    template="suppressions/index.html",
    document=shown(
        "query Suppressions($filter: SuppressionFilter, $after: String, $removals: Boolean!) "
        "{ ...Shell organization { "
        "suppressions(filter: $filter, first: 50, after: $after) { "
        "nodes { uuid address reason description stream expiresAt createdAt } "
        "pageInfo { hasNextPage endCursor } } " + removals.asked("SUPPRESSION") + " } }"
    ),
    variables=lambda call: {
        "filter": filter_of(call),
        "after": call.query.get("after") or None,
        "removals": call.may("messages:write"),
    },
    view=_view,
)
PAGES = (LIST,)

ACTIONS = (
    Action(
        path="/o/{org:str}/suppressions",
        page=LIST,
        document=Document(
            "mutation AddSuppression($input: AddSuppressionInput!) "
            "{ addSuppression(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {
                "address": call.form.get("address", "").strip(),
                "description": call.form.get("description") or None,
            }
        },
        then=lambda data, call: Done(call.link("/suppressions", done="suppression-added")),
        form="add",
    ),
    removals.remove(
        LIST,
        "/o/{org:str}/suppressions/{id:str}/remove",
        back="/suppressions",
        subject="suppressionId",
    ),
    removals.undo(LIST, back="/suppressions"),
)
