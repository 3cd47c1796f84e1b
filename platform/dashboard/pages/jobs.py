"""Long work: what is done in bulk, files that are written of lists, and files that are read."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, shown
from . import audit, bulk, messages, suppressions

SUBJECTS: Mapping[str, tuple[str, Callable[[Call], dict[str, Any]]]] = {
    "messages": ("messages", messages.filter_of),
    "events": ("events", messages.filter_of),
    "suppressions": ("suppressions", suppressions.filter_of),
    "audit": ("auditLog", audit.filter_of),
}
"""What a form calls a list, what the schema calls it, and how its search is read."""
OPEN = frozenset({"QUEUED", "RUNNING"})


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]
    page = found["exports"]["pageInfo"]
    return {
        "exports": found["exports"]["nodes"],
        "bulk": found["bulkActions"]["nodes"] if "bulkActions" in found else [],
        "bulk_kinds": bulk.KINDS,
        "can_stop": call.may("messages:write"),
        "imports": (found.get("suppressionImports") or {"nodes": []})["nodes"],
        "open": OPEN,
        "here_again": call.link("/jobs", after=call.query.get("after", "")),
        "more": call.link("/jobs", after=page["endCursor"]) if page["hasNextPage"] else None,
    }


JOBS = Page(
    path="/o/{org:str}/jobs",
    title=N_("Exports and jobs"),
    template="jobs/index.html",
    document=shown(
        """
        query Jobs($after: String, $messages: Boolean!) { ...Shell organization {
          exports(first: 20, after: $after) {
            nodes { uuid dataset state rows estimatedRows progress sizeBytes failure createdAt
              completedAt expiresAt downloadUrl }
            pageInfo { hasNextPage endCursor }
          }
          bulkActions(first: 10) @include(if: $messages) {
            nodes { uuid kind state messages affected refused waiting waitingFor progress failure
              createdAt completedAt }
          }
          suppressionImports(first: 10) @include(if: $messages) {
            nodes { uuid done added alreadyThere refused failure createdAt completedAt }
          }
        } }
        """
    ),
    variables=lambda call: {
        "after": call.query.get("after") or None,
        "messages": call.may("messages:read"),
    },
    view=_view,
)
PAGES = (JOBS,)


def _subject(call: Call) -> dict[str, Any]:
    """Return what to write: the list that the form names, as it was searched."""
    name, filter_of = SUBJECTS.get(call.form.get("of", ""), SUBJECTS["messages"])
    # The form holds what was in the address of the list.
    return {name: filter_of(replace(call, query=call.form))}


ACTIONS = (
    Action(
        path="/o/{org:str}/jobs",
        page=JOBS,
        document=Document(
            "mutation Export($input: StartExportInput!) "
            "{ startExport(input: $input) { export { uuid } } }"
        ),
        variables=lambda call: {"input": {"subject": _subject(call)}},
        then=lambda data, call: Done(call.link("/jobs", done="export-begun")),
        form="export",
    ),
    Action(
        path="/o/{org:str}/jobs/{id:str}/cancel",
        page=JOBS,
        document=Document(
            "mutation CancelExport($input: CancelExportInput!) "
            "{ cancelExport(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {"exportId": call.path["id"]}},
        then=lambda data, call: Done(call.link("/jobs", done="export-cancelled")),
        form="cancel",
    ),
    Action(
        path="/o/{org:str}/jobs/bulk/{id:str}/cancel",
        page=JOBS,
        document=Document(
            "mutation CancelBulk($input: CancelBulkActionInput!) "
            "{ cancelBulkAction(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {"bulkActionId": call.path["id"]}},
        then=lambda data, call: Done(call.link("/jobs", done="bulk-cancelled")),
        form="cancel-bulk",
    ),
    Action(
        path="/o/{org:str}/jobs/import",
        page=suppressions.LIST,
        document=Document(
            "mutation ImportSuppressions($input: ImportSuppressionsInput!) "
            "{ importSuppressions(input: $input) { __typename } }"
        ),
        variables=lambda call: {
            "input": {"data": base64.b64encode(call.form.get("lines", "").encode()).decode()}
        },
        names={"data": "lines"},
        then=lambda data, call: Done(call.link("/jobs", done="import-begun")),
        form="import",
    ),
)
