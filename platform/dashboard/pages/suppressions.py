"""Suppressions: addresses that get no mail, and why."""

from typing import Any

from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, shown

REASONS = ("COMPLAINT", "HARD_BOUNCE", "MANUAL", "UNSUBSCRIBE", "SOFT_BOUNCE_COOLING")


def _filter(call: Call) -> dict[str, Any]:
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
        "search": asked,
        "is_filtered": bool(_filter(call)),
        "reasons": REASONS,
        "more": call.link("/suppressions", **asked, after=after) if after else None,
        "can_change": call.may("messages:write"),
        "values": {name: call.form.get(name, "") for name in ("address", "description")},
    }


LIST = Page(
    path="/o/{org:str}/suppressions",
    title="Suppressions",
    template="suppressions/index.html",
    document=shown(
        "query Suppressions($filter: SuppressionFilter, $after: String) { ...Shell organization { "
        "suppressions(filter: $filter, first: 50, after: $after) { "
        "nodes { uuid address reason description stream expiresAt createdAt } "
        "pageInfo { hasNextPage endCursor } } } }"
    ),
    variables=lambda call: {"filter": _filter(call), "after": call.query.get("after") or None},
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
    Action(
        path="/o/{org:str}/suppressions/{id:str}/remove",
        page=LIST,
        document=Document(
            "mutation RemoveSuppression($input: RemoveSuppressionInput!) "
            "{ removeSuppression(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {"suppression": {"id": call.path["id"]}}},
        then=lambda data, call: Done(call.link("/suppressions", done="suppression-removed")),
        form="remove",
    ),
)
