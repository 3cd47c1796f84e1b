"""Webhooks: who is called when something happens, and why a call failed."""

from typing import Any

from ...graphql.execute import Document
from ..page import SHOWN_ONCE, Action, Call, Done, Page, shown

COMMON = (
    ("message.*", "Everything that happens to messages"),
    ("message.delivered", "Delivered"),
    ("message.bounced", "Bounced"),
    ("message.complained", "Complained"),
    ("message.opened", "Opened"),
    ("message.clicked", "Clicked"),
    ("message.unsubscribed", "Unsubscribed"),
    ("*", "Everything"),
)
STATES = ("PENDING", "DELIVERED", "DEAD")
ROW = (
    "uuid url events description enabled disabledReason lastDeliveryAt "
    "stats { delivered failedAttempts dead pending medianMs successRate }"
)

LIST = Page(
    path="/o/{org:str}/webhooks",
    title="Webhooks",
    template="webhooks/index.html",
    document=shown(
        "query Webhooks($after: String) { ...Shell organization { "
        f"webhooks(first: 50, after: $after) {{ nodes {{ {ROW} }} "
        "pageInfo { hasNextPage endCursor } } } }"
    ),
    variables=lambda call: {"after": call.query.get("after") or None},
    view=lambda data, call: {
        "webhooks": data["organization"]["webhooks"]["nodes"],
        "more": data["organization"]["webhooks"]["pageInfo"],
        "common": COMMON,
        "url": call.form.get("url", ""),
        "can_change": call.may("webhooks:write"),
    },
)


def _filter(call: Call) -> dict[str, Any]:
    state = call.query.get("state", "")
    return {"state": state} if state in STATES else {}


def _webhook_view(data: Any, call: Call) -> dict[str, Any]:
    webhook = data["organization"]["webhook"]
    found = webhook["calls"]
    after = found["pageInfo"]["endCursor"] if found["pageInfo"]["hasNextPage"] else None
    at = f"/webhooks/{webhook['uuid']}"
    return {
        "title": "Webhook",
        "webhook": webhook,
        "calls": found["nodes"],
        "call_states": STATES,
        "state": call.query.get("state", ""),
        "is_filtered": bool(_filter(call)),
        "more": call.link(at, state=call.query.get("state", ""), after=after) if after else None,
        "can_change": call.may("webhooks:write"),
    }


WEBHOOK = Page(
    path="/o/{org:str}/webhooks/{webhook:str}",
    title="Webhook",
    template="webhooks/webhook.html",
    document=shown(
        "query Webhook($id: ID!, $filter: WebhookCallFilter, $after: String) { ...Shell "
        f"organization {{ webhook(id: $id) {{ {ROW} "
        "payloadVersion inOrder document previousSecretExpiresAt "
        "calls(filter: $filter, first: 25, after: $after) { nodes { uuid event messageUuid state "
        "test attemptCount nextAttemptAt createdAt deliveredAt request "
        "attempts { number at status reply error durationMs } } "
        "pageInfo { hasNextPage endCursor } } } } }"
    ),
    variables=lambda call: {
        "id": call.path["webhook"],
        "filter": _filter(call),
        "after": call.query.get("after") or None,
    },
    view=_webhook_view,
)
PAGES = (LIST, WEBHOOK)


def _back(note: str) -> Any:
    return lambda data, call: Done(call.link(f"/webhooks/{call.path['webhook']}", done=note))


UPDATE = Document(
    "mutation ChangeWebhook($input: UpdateWebhookInput!) { changed: updateWebhook(input: $input) "
    "{ secret webhook { uuid } } }"
)

ACTIONS = (
    Action(
        path="/o/{org:str}/webhooks",
        page=LIST,
        document=Document(
            "mutation AddWebhook($input: CreateWebhookInput!) "
            "{ made: createWebhook(input: $input) { secret webhook { uuid url } } }"
        ),
        variables=lambda call: {
            "input": {
                "url": call.form.get("url", "").strip(),
                "events": list(call.chosen.get("events", ())) or ["message.*"],
            }
        },
        then=lambda data, call: SHOWN_ONCE,
    ),
    Action(
        path="/o/{org:str}/webhooks/{webhook:str}/test",
        page=WEBHOOK,
        document=Document(
            "mutation TestWebhook($input: TestWebhookInput!) { tested: testWebhook(input: $input) "
            "{ succeeded } }"
        ),
        variables=lambda call: {"input": {"webhookId": call.path["webhook"]}},
        then=lambda data, call: Done(
            call.link(
                f"/webhooks/{call.path['webhook']}",
                done="webhook-answered" if data["tested"]["succeeded"] else "webhook-failed",
            )
        ),
        form="test",
    ),
    Action(
        path="/o/{org:str}/webhooks/{webhook:str}/switch",
        page=WEBHOOK,
        document=UPDATE,
        variables=lambda call: {
            "input": {
                "webhookId": call.path["webhook"],
                "enabled": call.form.get("enabled") == "yes",
            }
        },
        then=_back("saved"),
        form="switch",
    ),
    Action(
        path="/o/{org:str}/webhooks/{webhook:str}/rotate",
        page=WEBHOOK,
        document=UPDATE,
        variables=lambda call: {"input": {"webhookId": call.path["webhook"], "rotateSecret": True}},
        then=lambda data, call: SHOWN_ONCE,
        form="rotate",
    ),
    Action(
        path="/o/{org:str}/webhooks/{webhook:str}/calls/{id:str}/replay",
        page=WEBHOOK,
        document=Document(
            "mutation Replay($input: ReplayWebhookCallInput!) { replayWebhookCall(input: $input) "
            "{ __typename } }"
        ),
        variables=lambda call: {"input": {"callId": call.path["id"]}},
        then=_back("webhook-replayed"),
        form="replay",
    ),
    Action(
        path="/o/{org:str}/webhooks/{webhook:str}/delete",
        page=WEBHOOK,
        document=Document(
            "mutation DeleteWebhook($input: DeleteWebhookInput!) { deleteWebhook(input: $input) "
            "{ __typename } }"
        ),
        variables=lambda call: {"input": {"webhookId": call.path["webhook"]}},
        then=lambda data, call: Done(call.link("/webhooks", done="webhook-deleted")),
        form="delete",
    ),
)
