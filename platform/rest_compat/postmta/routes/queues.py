"""PostMTA's queues: what waits, and flushing, holding and releasing it."""

from typing import Any

from ....core.actor import Permission
from ....core.errors import Detail, DetailCode, ErrorCode
from ....graphql.execute import Document
from ...answers import INTEGER, NUMBER, TIME, UUID, Group, Leaf, Many, Out, Shape, word
from ...fields import TEXT, Field, Fields, Integer, Text, choice
from ...parameters import Param, Params
from ...route import Call, CompatRoute, Fault, IdForm, Refused
from ..lists import list_document, list_params, list_variables, page_answer
from ..shapes import ISPS, SOURCE

STATES = ("active", "backoff", "held", "paused")
ACTIONS = ("flush", "hold", "release")
STATE = word(*STATES)

DESTINATION = Shape("QueueDestination", Out("domain"), Out("depth", INTEGER), Out("state", STATE))
COUNTS = Shape("QueueCounts", Out("total", INTEGER), *(Out(state, INTEGER) for state in STATES))
OVERVIEW = Shape(
    "QueueOverview",
    *(
        Out(name, INTEGER)
        for name in ("queue_depth", "ready", "deferred", "in_flight", "scheduled", "held")
    ),
    Out("queues", COUNTS),
    Out("oldest_message_at", TIME, maybe=True),
    Out("delivery_rate", NUMBER, maybe=True),
    Out("bounce_rate", NUMBER, maybe=True),
    Out("complaint_rate", NUMBER, maybe=True),
    Out("sending_velocity", INTEGER),
    Out("smtp_connections", INTEGER),
    Out("top_destinations", Many(DESTINATION)),
    Out("updated_at", TIME),
)
VMTA = Shape("QueueVmta", Out("id", UUID, of="vmtaUuid"), Out("name", of="vmtaName"))
LIMITS = Shape(
    "QueueLimits",
    Out("max_connections", INTEGER, maybe=True),
    Out("max_messages_per_connection", INTEGER, maybe=True),
    Out("max_messages_per_hour", INTEGER, maybe=True),
)
RESPONSE = Shape(
    "QueueResponse",
    Out("code", INTEGER, maybe=True),
    Out("enhanced_code", maybe=True),
    Out("text"),
    Out("at", TIME),
)
HOLD = Shape(
    "QueueHold",
    Out("reason", maybe=True),
    Out("by", UUID, maybe=True),
    Out("source", Leaf({"type": "string", "enum": ["user", "auto_block"]})),
    Out("at", TIME),
    Out("until", TIME, maybe=True),
)
QUEUE = Shape(
    "Queue",
    Out("id", UUID, of="uuid"),
    Out("name"),
    Out("vmta", Group(VMTA)),
    Out("domain"),
    Out("isp", word(*ISPS)),
    Out("site", maybe=True),
    Out("state", STATE),
    Out("depth", INTEGER),
    Out("ready", INTEGER),
    Out("deferred", INTEGER),
    Out("in_flight", INTEGER),
    Out("connections", INTEGER),
    Out("limits", LIMITS),
    Out("delivered_last_hour", INTEGER),
    Out("oldest_message_at", TIME, maybe=True),
    Out("next_attempt_at", TIME, maybe=True),
    Out("last_response", RESPONSE, maybe=True),
    Out("hold", HOLD, maybe=True),
)
_ACTED_QUEUE = Shape(
    "ActedQueue",
    Out("id", UUID, of="uuid"),
    Out("name"),
    Out("state", STATE),
    Out("hold", HOLD, maybe=True),
)
ACTED = Shape(
    "QueueAction",
    Out("id", UUID),
    Out("name"),
    Out("action", Leaf({"type": "string", "enum": list(ACTIONS)})),
    Out("state", STATE),
    Out("affected", INTEGER),
    Out("hold", HOLD, maybe=True),
)
ACT = Fields(
    Field("reason", Text(longest=200), "Shown with the queue and in the audit log."),
    Field(
        "duration_seconds",
        Integer(60, 604_800),
        "`hold` only: how long; until it is released without it.",
    ),
)
_PAYLOAD = f"{{ queue {_ACTED_QUEUE.selection()} affected }}"
QUEUE_EXISTS = Document("query Queue($id: ID!) { organization { queue(id: $id) { uuid } } }")
SORTS = {
    "-depth": "DEPTH",
    "depth": "DEPTH_ASCENDING",
    "name": "NAME",
    "-name": "NAME_DESCENDING",
    "oldest_message_at": "OLDEST_MESSAGE_AT",
    "-oldest_message_at": "OLDEST_MESSAGE_AT_DESCENDING",
}


def _act_variables(call: Call) -> dict[str, Any]:
    action = call.path["action"]
    if action not in ACTIONS:
        raise Refused(
            ErrorCode.INVALID_ACTION, "The action is one of 'flush', 'hold' and 'release'."
        )
    if action != "hold" and call.body.get("durationSeconds") is not None:
        message = "Only 'hold' has a duration."
        detail = Detail("duration_seconds", DetailCode.NOT_ALLOWED, message)
        raise Refused(ErrorCode.INVALID_INPUT, message, details=[detail])
    said = {"queue": call.path["id"], "reason": call.body.get("reason")}
    holding = {**said, "durationSeconds": call.body.get("durationSeconds")}
    chosen = {name: name == action for name in ACTIONS}
    return {**chosen, "said": said, "holding": holding, "released": said}


def _act_answer(data: Any, call: Call) -> dict[str, Any]:
    (payload,) = data.values()
    queue = _ACTED_QUEUE.write(payload["queue"])
    return {
        "id": queue["id"],
        "name": queue["name"],
        "action": call.path["action"],
        "state": queue["state"],
        "affected": payload["affected"],
        "hold": queue["hold"],
    }


def _unknown_filter(refused: Refused, call: Call) -> Refused:
    """Return the refusal of a filter that names nothing: not found are paths only."""
    if refused.code is not ErrorCode.NOT_FOUND:
        return refused
    named = [Detail(name, DetailCode.NOT_FOUND, refused.message) for name in call.given]
    return Refused(Fault.INVALID_REQUEST, refused.message, details=named)


ROUTES = (
    CompatRoute(
        method="GET",
        path="/api/v1/queues/status",
        source=SOURCE,
        summary="Queue status overview",
        permission=Permission.READ_QUEUES,
        query=Params(
            Param("vmta", TEXT, "Only of this vMTA, by id or name."),
            Param("pool", TEXT, "Only of vMTAs in this pool."),
        ),
        document=Document(
            "query Status($vmta: String, $pool: String) { organization "
            f"{{ queueOverview(vmta: $vmta, pool: $pool) {OVERVIEW.selection()} }} }}"
        ),
        variables=lambda call: {"vmta": None, "pool": None} | call.query,
        answer=lambda data, call: OVERVIEW.write(data["organization"]["queueOverview"]),
        refused=_unknown_filter,
        shape=OVERVIEW,
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/queues",
        source=SOURCE,
        summary="List all queues",
        permission=Permission.READ_QUEUES,
        query=list_params(
            Param("vmta", TEXT, "Only of this vMTA, by id or name."),
            Param("pool", TEXT, "Only of vMTAs in this pool."),
            Param("domain", TEXT, "Only to this domain.", normal=str.lower),
            Param("isp", choice(*ISPS), "Only to this provider."),
            Param("state", choice(*STATES), "Any of these.", ours="states", many=True),
            Param("min_depth", Integer(0, 2**31 - 1), "Only as deep or deeper."),
            sorts=SORTS,
            usual="-depth",
        ),
        document=list_document(
            "queues",
            QUEUE,
            declared="$filter: QueueFilter, $order: QueueOrder!",
            passed="filter: $filter, orderBy: $order",
        ),
        variables=lambda call: list_variables(call, usual="DEPTH"),
        answer=page_answer(QUEUE),
        shape=QUEUE,
        is_list=True,
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/queues/{id}/{action}",
        source=SOURCE,
        summary="Queue action: flush, hold or release",
        permission=Permission.WRITE_QUEUES,
        ids={"id": IdForm.UUID, "action": IdForm.ANY},
        target=QUEUE_EXISTS,
        body=ACT,
        body_is_optional=True,
        document=Document(
            "mutation Act($flush: Boolean!, $hold: Boolean!, $release: Boolean!, "
            "$said: FlushQueueInput!, $holding: HoldQueueInput!, $released: ReleaseQueueInput!) {"
            f" flushed: flushQueue(input: $said) @include(if: $flush) {_PAYLOAD}"
            f" held: holdQueue(input: $holding) @include(if: $hold) {_PAYLOAD}"
            f" released: releaseQueue(input: $released) @include(if: $release) {_PAYLOAD} }}"
        ),
        variables=_act_variables,
        answer=_act_answer,
        shape=ACTED,
        refusals=(
            ErrorCode.INVALID_ACTION,
            ErrorCode.QUEUE_HELD,
            ErrorCode.VMTA_PAUSED,
            ErrorCode.AUTO_BLOCK_ACTIVE,
        ),
    ),
)
