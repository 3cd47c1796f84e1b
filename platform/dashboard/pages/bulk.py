"""All messages that match a search: one thing is done to every one of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, shown
from ..searching import LONGEST, STATUSES, read_search
from .messages import RANGES, ROW, filter_of

NEWEST = 5
"""Messages that are shown of those that match."""
KINDS: Mapping[str, tuple[str, str, str]] = {
    # kind: (what is done, about it, what it needs)
    "RETRY": (
        N_("Try again now"),
        N_("What was refused for now is due at once. Limits and holds of its queue still count."),
        "messages:write",
    ),
    "RESEND": (
        N_("Send again"),
        N_("A new message goes to those who did not get it, and costs credits like any other."),
        "messages:send",
    ),
    "SUPPRESS": (
        N_("Suppress their recipients"),
        N_("Nothing more is sent to these addresses until somebody takes them off the list."),
        "messages:write",
    ),
    "CANCEL": (
        N_("Cancel"),
        N_("What has not left does not leave. Credits of what nobody tried to send come back."),
        "messages:write",
    ),
}


def _as_asked(call: Call) -> Call:
    """Return the call with what was searched: the form holds what was in the address."""
    return replace(call, query=call.form) if call.form else call


def _not_understood(asked: Mapping[str, str]) -> list[str]:
    """Return what was asked for and narrows nothing down: without it more would match."""
    text = asked.get("q", "")
    found = read_search(text)
    left_out = [*found.unknown, found.message_id, text[LONGEST:]]
    for name, known in (("status", STATUSES), ("range", RANGES)):
        if (value := asked.get(name)) and value not in known:
            left_out.append(f"{name}:{value}")
    return [each for each in left_out if each]


def _kind(call: Call) -> str:
    kind = call.form.get("kind", "")
    return kind if kind in KINDS and not _not_understood(_as_asked(call).query) else ""


def _view(data: Any, call: Call) -> dict[str, Any]:
    asked = _as_asked(call).query
    search = {name: asked.get(name, "") for name in ("q", "status", "range")}
    return {
        "messages": data["organization"]["messages"]["nodes"],
        "has_more": data["organization"]["messages"]["pageInfo"]["hasNextPage"],
        "search": search,
        "unknown": _not_understood(asked),
        "is_filtered": bool(filter_of(_as_asked(call))),
        "kinds": {kind: words for kind, words in KINDS.items() if call.may(words[2])},
        "chosen": call.form.get("kind", ""),
    }


BULK = Page(
    path="/o/{org:str}/messages/bulk",
    title=N_("All that match"),
    template="messages/bulk.html",
    document=shown(
        "query Matching($filter: MessageFilter!, $first: Int!) { ...Shell organization { "
        f"messages(filter: $filter, first: $first) {{ {ROW} pageInfo {{ hasNextPage }} }} }} }}"
    ),
    variables=lambda call: {"filter": filter_of(_as_asked(call)), "first": NEWEST},
    view=_view,
)
PAGES = (BULK,)

ACTIONS = (
    Action(
        path="/o/{org:str}/messages/bulk",
        page=BULK,
        document=Document(
            "mutation StartBulk($input: StartBulkActionInput!) "
            "{ startBulkAction(input: $input) { bulkAction { uuid } } }"
        ),
        variables=lambda call: {
            "input": {
                "kind": _kind(call),
                "filter": filter_of(_as_asked(call)),
            }
        },
        then=lambda data, call: Done(call.link("/jobs", done="bulk-begun")),
        form="bulk",
    ),
)
