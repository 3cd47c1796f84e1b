"""Removals on pages: what is being removed, and the form that takes it back."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from ...core import clock
from ...graphql.execute import Document
from ..format import moment
from ..page import Action, Call, Done, Page

FAILED_SHOWN = timedelta(minutes=10)
"""How long it is shown that a removal was refused when its time came."""
WAITING = frozenset({"WAITING", "REMOVING"})


def asked(kind: str) -> str:
    """Return the field of an organization that holds removals of a kind of things."""
    return (
        f"removals(kind: {kind}, first: 20) @include(if: $removals) "
        "{ nodes { uuid targetUuid name state failure dueAt completedAt } }"
    )


def shown(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of a page that shows what waits, by what is removed."""
    nodes = (found.get("removals") or {"nodes": []})["nodes"]
    return {
        "removals": [each for each in nodes if each["state"] in WAITING],
        "refused_removals": list(_lately_refused(nodes)),
        "removing": {each["targetUuid"] for each in nodes if each["state"] in WAITING},
    }


def _lately_refused(nodes: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    since = clock.now() - FAILED_SHOWN
    for each in nodes:
        at = moment(each["completedAt"])
        if each["state"] == "FAILED" and at is not None and at > since:
            yield each


REMOVE = Document(
    "mutation RemoveLater($input: RemoveLaterInput!) "
    "{ removeLater(input: $input) { removal { uuid } } }"
)


def remove(page: Page, path: str, *, back: str, subject: str) -> Action:
    """Return the action that removes what the last part of *path* names, with time to undo it."""
    return Action(
        path=path,
        page=page,
        document=REMOVE,
        variables=lambda call: {"input": {"subject": {subject: call.path["id"]}}},
        then=lambda data, call: Done(call.link(back, done="removal-begun")),
        form="remove",
    )


def undo(page: Page, *, back: str) -> Action:
    """Return the action that takes a removal back, and shows *page*, which is at *back*."""

    def variables(call: Call) -> dict[str, Any]:
        return {"input": {"removalId": call.path["removal"]}}

    return Action(
        path=f"/o/{{org:str}}{back}/removals/{{removal:str}}/undo",
        page=page,
        document=Document(
            "mutation UndoRemoval($input: UndoRemovalInput!) "
            "{ undoRemoval(input: $input) { __typename } }"
        ),
        variables=variables,
        then=lambda data, call: Done(call.link(back, done="removal-undone")),
        form="undo",
    )
