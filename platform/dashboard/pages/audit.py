"""Audit: who did what, when, from where."""

from typing import Any

from ...core.languages import marked as N_
from ..page import Call, Page, shown


def filter_of(call: Call) -> dict[str, Any]:
    """Return what the address asks for, as a filter of the schema."""
    asked = {"action": "action", "target": "targetType"}
    return {theirs: call.query[ours] for ours, theirs in asked.items() if call.query.get(ours)}


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]["auditLog"]
    asked = {name: call.query.get(name, "") for name in ("action", "target")}
    after = found["pageInfo"]["endCursor"] if found["pageInfo"]["hasNextPage"] else None
    return {
        "entries": found["nodes"],
        "search": asked,
        "is_filtered": bool(filter_of(call)),
        "more": call.link("/audit", **asked, after=after) if after else None,
    }


AUDIT = Page(
    path="/o/{org:str}/audit",
    title=N_("Audit log"),
    template="audit/index.html",
    document=shown(
        "query Audit($filter: AuditFilterInput, $after: String) { ...Shell organization { "
        "auditLog(filter: $filter, first: 50, after: $after) { nodes { uuid action actorKind "
        "user { name email } apiKeyUuid targetType targetId changes sourceAddress requestId "
        "createdAt } pageInfo { hasNextPage endCursor } } } }"
    ),
    variables=lambda call: {"filter": filter_of(call), "after": call.query.get("after") or None},
    view=_view,
)
PAGES = (AUDIT,)
