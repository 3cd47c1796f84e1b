"""Queues: is anything stuck, why, and what can be done about it."""

from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import Action, Call, Done, Page, shown

STATES = ("ACTIVE", "BACKOFF", "HELD", "PAUSED")


def _filter(call: Call) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if domain := call.query.get("domain", "").strip():
        asked["domain"] = domain
    if (state := call.query.get("state", "")) in STATES:
        asked["states"] = [state]
    return asked


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]["queues"]
    asked = {name: call.query.get(name, "") for name in ("domain", "state")}
    after = found["pageInfo"]["endCursor"] if found["pageInfo"]["hasNextPage"] else None
    return {
        "queues": found["nodes"],
        "overview": data["organization"]["queueOverview"],
        "search": asked,
        "here_again": call.link("/queues", **asked, after=call.query.get("after", "")),
        "is_filtered": bool(_filter(call)),
        "queue_states": STATES,
        "more": call.link("/queues", **asked, after=after) if after else None,
        "can_change": call.may("queues:write"),
    }


LIST = Page(
    path="/o/{org:str}/queues",
    title=N_("Queues"),
    template="queues/index.html",
    document=shown(
        "query Queues($filter: QueueFilter, $after: String) { ...Shell organization { "
        "queueOverview { queueDepth ready deferred inFlight scheduled held oldestMessageAt } "
        "queues(filter: $filter, orderBy: DEPTH, first: 50, after: $after) { "
        "nodes { uuid domain vmtaName state depth ready deferred inFlight oldestMessageAt "
        "nextAttemptAt lastResponse { code text at } hold { reason until } } "
        "pageInfo { hasNextPage endCursor } } } }"
    ),
    variables=lambda call: {"filter": _filter(call), "after": call.query.get("after") or None},
    view=_view,
)
PAGES = (LIST,)


def _action(verb: str) -> Action:
    name = f"{verb}Queue"
    type_ = f"{verb.capitalize()}QueueInput"

    def variables(call: Call) -> dict[str, Any]:
        return {"input": {"queue": call.path["queue"], "reason": call.form.get("reason") or None}}

    return Action(
        path="/o/{org:str}/queues/{queue:str}/" + verb,
        page=LIST,
        document=Document(
            f"mutation {verb.capitalize()}($input: {type_}!) {{ {name}(input: $input) "
            "{ __typename } }"
        ),
        variables=variables,
        then=lambda data, call: Done(call.link("/queues", done=f"queue-{verb}")),
        form=verb,
    )


ACTIONS = tuple(_action(verb) for verb in ("flush", "hold", "release"))
