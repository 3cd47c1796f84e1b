"""PostMTA's vMTAs: made, changed, paused, resumed, warmed up, deleted."""

from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import Shape
from ...fields import TEXT, UUID_PATTERN, Flag, Integer, choice
from ...parameters import Param, Params
from ...route import Call, CompatRoute, IdForm
from ..lists import envelope, list_document, list_params, list_variables, page_answer
from ..shapes import SOURCE
from ..vmta_fields import CREATE, PAUSE_BODY, UPDATE
from ..vmta_shapes import (
    CONTROLLED,
    DELETED,
    LARGEST,
    OWNER,
    PAUSED,
    PROGRESS,
    QUEUE,
    QUEUE_OWNER,
    RESUMED,
    STATUSES,
    SUMMARY,
    TOTALS,
    VMTA,
    WARMUP_ANSWER,
)
from .queues import SORTS as QUEUE_SORTS
from .queues import STATES

VMTA_EXISTS = Document("query Vmta($id: ID!) { organization { vmta(ref: {id: $id}) { uuid } } }")
SORTS = {
    "name": "NAME",
    "-name": "NAME_DESCENDING",
    "-created_at": "CREATED_AT",
    "created_at": "CREATED_AT_ASCENDING",
    "-queue_depth": "QUEUE_DEPTH",
    "queue_depth": "QUEUE_DEPTH_ASCENDING",
}


def _ref(call: Call) -> dict[str, str]:
    text = call.path["id"]
    return {"id": text} if UUID_PATTERN.fullmatch(text) else {"name": text}


def _target(call: Call) -> dict[str, Any]:
    return {"ref": _ref(call)}


def _changed(data: Any, field: str, shape: Shape) -> dict[str, Any]:
    payload = data[field]
    return shape.write({**payload, **payload["vmta"]})


def _warmup_answer(data: Any, call: Call) -> dict[str, Any]:
    vmta = data["organization"]["vmta"]
    return {"vmta": OWNER.write(vmta), **PROGRESS.write(vmta["warmupProgress"])}


def _queue_answer(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]["vmtaQueues"]
    page = found["queues"]
    info = page["pageInfo"]
    body = envelope(
        [QUEUE.write(node) for node in page["nodes"]],
        call,
        next_cursor=info["endCursor"] if info["hasNextPage"] else None,
        total=page.get("totalCount"),
    )
    return {
        "vmta": QUEUE_OWNER.write(found["vmta"]),
        "totals": TOTALS.write(found["totals"]),
        **body,
    }


ROUTES = (
    CompatRoute(
        method="POST",
        path="/api/v1/vmtas",
        source=SOURCE,
        summary="Create a virtual MTA",
        permission=Permission.WRITE_VMTAS,
        body=CREATE,
        is_idempotent=True,
        document=Document(
            "mutation CreateVmta($input: CreateVmtaInput!) "
            f"{{ createVmta(input: $input) {{ vmta {VMTA.selection()} }} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: VMTA.write(data["createVmta"]["vmta"]),
        shape=VMTA,
        status=201,
        refusals=(
            ErrorCode.VMTA_EXISTS,
            ErrorCode.IP_IN_USE,
            ErrorCode.FEATURE_NOT_IN_PLAN,
        ),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/vmtas",
        source=SOURCE,
        summary="List all vMTAs",
        permission=Permission.READ_VMTAS,
        query=list_params(
            Param("pool", TEXT, "Only those of this pool."),
            Param("status", choice(*STATUSES), "Only those with this status."),
            Param("warming", Flag(), "Only those being warmed up, or only the others."),
            Param("q", TEXT, "Part of the name.", ours="search"),
            sorts=SORTS,
            usual="name",
        ),
        document=list_document(
            "vmtas",
            SUMMARY,
            declared="$filter: VmtaFilter, $order: VmtaOrder!",
            passed="filter: $filter, orderBy: $order",
        ),
        variables=lambda call: list_variables(call, usual="NAME"),
        answer=page_answer(SUMMARY),
        shape=SUMMARY,
        is_list=True,
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/vmtas/{id}",
        source=SOURCE,
        summary="Get vMTA details",
        permission=Permission.READ_VMTAS,
        ids={"id": IdForm.ANY},
        document=Document(
            "query Vmta($ref: VmtaRef!) "
            f"{{ organization {{ vmta(ref: $ref) {VMTA.selection()} }} }}"
        ),
        variables=_target,
        answer=lambda data, call: VMTA.write(data["organization"]["vmta"]),
        shape=VMTA,
    ),
    CompatRoute(
        method="PUT",
        path="/api/v1/vmtas/{id}",
        source=SOURCE,
        summary="Update vMTA configuration",
        permission=Permission.WRITE_VMTAS,
        ids={"id": IdForm.UUID},
        target=VMTA_EXISTS,
        body=UPDATE,
        document=Document(
            "mutation UpdateVmta($input: UpdateVmtaInput!) "
            f"{{ updateVmta(input: $input) {{ vmta {VMTA.selection()} }} }}"
        ),
        variables=lambda call: {"input": {"vmta": _ref(call), **call.body}},
        answer=lambda data, call: VMTA.write(data["updateVmta"]["vmta"]),
        shape=VMTA,
        refusals=(ErrorCode.VMTA_EXISTS, ErrorCode.IP_IN_USE, ErrorCode.VMTA_BUSY),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/vmtas/{id}/pause",
        source=SOURCE,
        summary="Pause vMTA sending",
        permission=Permission.CONTROL_VMTAS,
        ids={"id": IdForm.UUID},
        target=VMTA_EXISTS,
        body=PAUSE_BODY,
        body_is_optional=True,
        document=Document(
            "mutation PauseVmta($input: PauseVmtaInput!) { pauseVmta(input: $input) { "
            f"vmta {CONTROLLED.selection()} rerouted waiting inFlight }} }}"
        ),
        variables=lambda call: {"input": {"vmta": _ref(call), **call.body}},
        answer=lambda data, call: _changed(data, "pauseVmta", PAUSED),
        shape=PAUSED,
        refusals=(ErrorCode.AUTO_BLOCK_ACTIVE,),
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/vmtas/{id}/resume",
        source=SOURCE,
        summary="Resume vMTA sending",
        permission=Permission.CONTROL_VMTAS,
        ids={"id": IdForm.UUID},
        document=Document(
            "mutation ResumeVmta($input: ResumeVmtaInput!) { resumeVmta(input: $input) { "
            f"vmta {CONTROLLED.selection()} waiting inFlight }} }}"
        ),
        variables=lambda call: {"input": {"vmta": _ref(call)}},
        answer=lambda data, call: _changed(data, "resumeVmta", RESUMED),
        shape=RESUMED,
        refusals=(ErrorCode.AUTO_BLOCK_ACTIVE,),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/vmtas/{id}/warmup",
        source=SOURCE,
        summary="Get warmup status",
        permission=Permission.READ_VMTAS,
        ids={"id": IdForm.UUID},
        query=Params(Param("history", Flag(), "Add the days that are over.", default=False)),
        document=Document(
            "query Warmup($ref: VmtaRef!, $history: Boolean!) { organization { vmta(ref: $ref) "
            f"{{ {OWNER.fields_selection} warmupProgress {PROGRESS.selection()} }} }} }}"
        ),
        variables=lambda call: {"ref": _ref(call), "history": call.query.get("history", False)},
        answer=_warmup_answer,
        shape=WARMUP_ANSWER,
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/vmtas/{id}/queue",
        source=SOURCE,
        summary="Get vMTA queue status",
        permission=Permission.READ_VMTAS,
        ids={"id": IdForm.UUID},
        query=list_params(
            Param("state", choice(*STATES), "Any of these.", ours="states", many=True),
            Param("min_depth", Integer(0, LARGEST), "Only as deep or deeper."),
            sorts=QUEUE_SORTS,
            usual="-depth",
        ),
        document=Document(f"""
            query VmtaQueue($ref: VmtaRef!, $first: Int, $after: String, $total: Boolean!,
                $filter: QueueFilter, $order: QueueOrder!) {{
              organization {{
                vmtaQueues(ref: $ref) {{
                  vmta {QUEUE_OWNER.selection()}
                  totals {TOTALS.selection()}
                  queues(first: $first, after: $after, filter: $filter, orderBy: $order) {{
                    nodes {QUEUE.selection()}
                    pageInfo {{ hasNextPage endCursor }}
                    totalCount(exact: true) @include(if: $total)
                  }}
                }}
              }}
            }}
        """),
        variables=lambda call: {"ref": _ref(call), **list_variables(call, usual="DEPTH")},
        answer=_queue_answer,
        shape=QUEUE,
        is_list=True,
    ),
    CompatRoute(
        method="DELETE",
        path="/api/v1/vmtas/{id}",
        source=SOURCE,
        summary="Delete a vMTA",
        permission=Permission.WRITE_VMTAS,
        ids={"id": IdForm.UUID},
        query=Params(
            Param("reassign_to", TEXT, "Id or name of a vMTA, or a pool, for what waits."),
            Param("force", Flag(), "Cancel what waits.", default=False),
        ),
        document=Document(
            "mutation DeleteVmta($input: DeleteVmtaInput!) "
            f"{{ deleteVmta(input: $input) {DELETED.selection()} }}"
        ),
        variables=lambda call: {"input": {"vmta": _ref(call), **call.query}},
        answer=lambda data, call: DELETED.write(data["deleteVmta"]),
        shape=DELETED,
        refusals=(ErrorCode.VMTA_IN_USE, ErrorCode.LAST_VMTA),
    ),
)
