"""PostMTA's webhooks: made, changed, tried, deleted, and the log of what was delivered."""

from typing import Any

from ....core.actor import Permission
from ....core.errors import ErrorCode
from ....graphql.execute import Document
from ...answers import Shape
from ...fields import (
    TEXT,
    UUID_TEXT,
    Field,
    Fields,
    Flag,
    Integer,
    ListOf,
    Object,
    Text,
    TextMap,
    Time,
    choice,
)
from ...parameters import Param
from ...route import Call, CompatRoute, IdForm
from ..lists import envelope, list_document, list_params, list_variables, page_answer
from ..shapes import SOURCE, STREAMS
from ..webhook_shapes import CREATED, DELETED, DELIVERY, STATES, SUMMARY, TESTED, UPDATED, WEBHOOK

SORTS = {"-created_at": True, "created_at": False}


def _fields(*, is_new: bool) -> tuple[Field, ...]:
    """Return the fields of E46, or of E49, where all may be left out."""
    clearable = not is_new
    return (
        Field(
            "url",
            Text(longest=2048, format="uri"),
            "`https`, a public address, no user name.",
            required=is_new,
            example="https://app.example.com/hooks/mail",
        ),
        Field(
            "events",
            ListOf(TEXT, fewest=1),
            "Events, wildcards such as `message.*`, or `*`.",
            required=is_new,
            example=["message.delivered", "message.bounced"],
        ),
        Field("description", Text(longest=200), "What it is for.", clearable=clearable),
        Field("enabled", Flag(), "Whether it is called.", default=True if is_new else None),
        Field(
            "headers",
            TextMap(most=10, longest=512, pairs=True),
            "Sent along with every call; not shown again.",
            clearable=clearable,
        ),
        Field(
            "filters",
            Object(
                Fields(
                    Field("domains", ListOf(TEXT, most=100), "Sending domains."),
                    Field("vmtas", ListOf(TEXT, most=100), "Names of vMTAs."),
                    Field("tags", ListOf(TEXT, most=100), "Tags of the message."),
                    Field("streams", ListOf(choice(*STREAMS), most=100), "Streams."),
                )
            ),
            "What an event has to be about; it must match each that is given.",
            clearable=clearable,
        ),
    )


CREATE = Fields(*_fields(is_new=True))
UPDATE = Fields(
    *_fields(is_new=False),
    Field("rotate_secret", Flag(), "Make a new secret; both sign for a while.", default=False),
    Field(
        "grace_period_seconds",
        Integer(0, 604_800),
        "How long the old secret goes on signing.",
        default=86_400,
    ),
)
TEST = Fields(Field("event", TEXT, "Its type; its data is made up.", default="webhook.test"))

EXISTS = Document("query Hook($id: ID!) { organization { webhook(id: $id) { uuid } } }")
BY_ID = {"id": IdForm.UUID}


def _target(call: Call) -> dict[str, Any]:
    return {"id": call.path["id"]}


def _named(call: Call) -> dict[str, Any]:
    return {"webhookId": call.path["id"]}


def _with_secret(shape: Shape, payload: Any) -> dict[str, Any]:
    written = shape.write({**payload["webhook"], "secret": payload["secret"]})
    if written["secret"] is None:
        del written["secret"]
    return written


def _tested(data: Any, call: Call) -> dict[str, Any]:
    payload = data["testWebhook"]
    made, attempt = payload["call"], payload["call"]["attempts"][0]
    return TESTED.write(
        {
            "deliveryId": made["uuid"],
            "eventId": made["eventUuid"],
            "event": made["event"],
            "success": payload["succeeded"],
            "responseStatus": attempt["status"],
            "responseBody": attempt["reply"],
            "error": attempt["error"],
            "durationMs": attempt["durationMs"],
            "attemptedAt": attempt["at"],
        }
    )


def _deliveries(data: Any, call: Call) -> dict[str, Any]:
    page = data["organization"]["webhook"]["calls"]
    info = page["pageInfo"]
    return envelope(
        [DELIVERY.write(node) for node in page["nodes"]],
        call,
        next_cursor=info["endCursor"] if info["hasNextPage"] else None,
        total=page.get("totalCount"),
    )


ROUTES = (
    CompatRoute(
        method="POST",
        path="/api/v1/webhooks",
        source=SOURCE,
        summary="Create a webhook endpoint",
        permission=Permission.WRITE_WEBHOOKS,
        body=CREATE,
        document=Document(
            "mutation CreateHook($input: CreateWebhookInput!) { createWebhook(input: $input) "
            f"{{ secret webhook {CREATED.selection()} }} }}"
        ),
        variables=lambda call: {"input": call.body},
        answer=lambda data, call: _with_secret(CREATED, data["createWebhook"]),
        shape=CREATED,
        status=201,
        refusals=(ErrorCode.WEBHOOK_LIMIT_REACHED,),
        differences=(
            "Beyond PostMTA's events there are `suppression.created` and `suppression.removed`. Of "
            "a header's name the case is not kept.",
        ),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/webhooks",
        source=SOURCE,
        summary="List all webhooks",
        permission=Permission.READ_WEBHOOKS,
        query=list_params(
            Param("enabled", Flag(), "Those that are on, or off."),
            Param("event", TEXT, "Those that are called for it, by whatever pattern."),
            sorts=SORTS,
            usual="-created_at",
        ),
        document=list_document(
            "webhooks",
            SUMMARY,
            declared="$filter: WebhookFilter, $order: Boolean!",
            passed="filter: $filter, descending: $order",
        ),
        variables=lambda call: list_variables(call, usual=True),
        answer=page_answer(SUMMARY),
        shape=SUMMARY,
        is_list=True,
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/webhooks/{id}",
        source=SOURCE,
        summary="Get webhook details",
        permission=Permission.READ_WEBHOOKS,
        ids=BY_ID,
        document=Document(
            f"query Hook($id: ID!) {{ organization {{ webhook(id: $id) {WEBHOOK.selection()} }} }}"
        ),
        variables=_target,
        answer=lambda data, call: WEBHOOK.write(data["organization"]["webhook"]),
        shape=WEBHOOK,
        differences=(
            "`stats_24h` counts by full hours, its median is good to about a tenth, and `pending` "
            "ends at 10,000.",
        ),
    ),
    CompatRoute(
        method="PUT",
        path="/api/v1/webhooks/{id}",
        source=SOURCE,
        summary="Update webhook configuration",
        permission=Permission.WRITE_WEBHOOKS,
        ids=BY_ID,
        target=EXISTS,
        body=UPDATE,
        document=Document(
            "mutation UpdateHook($input: UpdateWebhookInput!) { updateWebhook(input: $input) "
            f"{{ secret webhook {UPDATED.selection()} }} }}"
        ),
        variables=lambda call: {"input": {**_named(call), **call.body}},
        answer=lambda data, call: _with_secret(UPDATED, data["updateWebhook"]),
        shape=UPDATED,
    ),
    CompatRoute(
        method="POST",
        path="/api/v1/webhooks/{id}/test",
        source=SOURCE,
        summary="Send a test event to a webhook",
        permission=Permission.WRITE_WEBHOOKS,
        ids=BY_ID,
        target=EXISTS,
        body=TEST,
        body_is_optional=True,
        document=Document(
            "mutation TestHook($input: TestWebhookInput!) { testWebhook(input: $input) { "
            "succeeded call { uuid eventUuid event attempts { at status reply error durationMs } "
            "} } }"
        ),
        variables=lambda call: {"input": {**_named(call), **call.body}},
        answer=_tested,
        shape=TESTED,
        refusals=(ErrorCode.RATE_LIMITED,),
    ),
    CompatRoute(
        method="GET",
        path="/api/v1/webhooks/{id}/deliveries",
        source=SOURCE,
        summary="Get webhook delivery logs",
        permission=Permission.READ_WEBHOOKS,
        ids=BY_ID,
        query=list_params(
            Param("status", choice(*STATES), "Only in this state.", ours="state"),
            Param("event", TEXT, "Only for such events."),
            Param("message_id", UUID_TEXT, "Only about this message.", ours="message"),
            Param("test", Flag(), "Tests only, or none."),
            Param("created_after", Time(), "From then on."),
            Param("created_before", Time(), "Before that."),
            sorts=SORTS,
            usual="-created_at",
        ),
        document=Document(f"""
            query HookCalls($id: ID!, $first: Int, $after: String, $total: Boolean!,
                $filter: WebhookCallFilter, $order: Boolean!) {{
              organization {{ webhook(id: $id) {{
                calls(first: $first, after: $after, filter: $filter, descending: $order) {{
                  nodes {DELIVERY.selection()}
                  pageInfo {{ hasNextPage endCursor }}
                  totalCount(exact: true) @include(if: $total)
                }}
              }} }}
            }}
        """),
        variables=lambda call: {**_target(call), **list_variables(call, usual=True)},
        answer=_deliveries,
        shape=DELIVERY,
        is_list=True,
        differences=("A replay is a further delivery of the same event.",),
    ),
    CompatRoute(
        method="DELETE",
        path="/api/v1/webhooks/{id}",
        source=SOURCE,
        summary="Delete a webhook",
        permission=Permission.WRITE_WEBHOOKS,
        ids=BY_ID,
        document=Document(
            "mutation DeleteHook($input: DeleteWebhookInput!) "
            f"{{ deleteWebhook(input: $input) {DELETED.selection()} }}"
        ),
        variables=lambda call: {"input": _named(call)},
        answer=lambda data, call: DELETED.write(data["deleteWebhook"]),
        shape=DELETED,
    ),
)
