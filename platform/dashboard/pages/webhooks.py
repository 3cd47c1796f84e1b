"""Webhooks: who is called when something happens, and why a call failed."""

from typing import Any

from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ...core.languages import ngettext
from ...graphql.execute import Document
from ..page import SHOWN_ONCE, Action, Call, Done, Page, shown

COMMON = (
    ("message.*", N_("Everything that happens to messages")),
    ("message.delivered", N_("Delivered")),
    ("message.bounced", N_("Bounced")),
    ("message.complained", N_("Complained")),
    ("message.opened", N_("Opened")),
    ("message.clicked", N_("Clicked")),
    ("message.unsubscribed", N_("Unsubscribed")),
    ("*", N_("Everything")),
)
MOST_NEW = 50
POSTALS = (
    ("MessageSent", N_("MessageSent: delivered")),
    ("MessageDelayed", N_("MessageDelayed: put off")),
    ("MessageDeliveryFailed", N_("MessageDeliveryFailed: refused or given up")),
    ("MessageHeld", N_("MessageHeld: suppressed, or in the sandbox")),
    ("MessageBounced", N_("MessageBounced: came back")),
    ("MessageLinkClicked", N_("MessageLinkClicked: clicked")),
    ("MessageLoaded", N_("MessageLoaded: opened")),
    ("DomainDNSError", N_("DomainDNSError: a domain's records are wrong")),
)
"""What Postal calls events, for webhooks in its format."""
FORMATS = (
    ("STANDARD", N_("Ours, as Standard Webhooks")),
    ("POSTAL", N_("Postal's, for receivers that were made for it")),
)
STATES = ("PENDING", "DELIVERED", "DEAD")
ROW = (
    "uuid url events format description enabled disabledReason lastDeliveryAt "
    "stats { delivered failedAttempts dead pending medianMs successRate }"
)

LIST = Page(
    path="/o/{org:str}/webhooks",
    title=N_("Webhooks"),
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
        "postals": POSTALS,
        "formats": FORMATS,
        "format": call.form.get("format", "STANDARD"),
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
        "title": _("Webhook"),
        "webhook": webhook,
        "calls": found["nodes"],
        "call_states": STATES,
        "state": call.query.get("state", ""),
        "is_filtered": bool(_filter(call)),
        "more": call.link(at, state=call.query.get("state", ""), after=after) if after else None,
        "can_change": call.may("webhooks:write"),
        "is_first": not call.query.get("after"),
        "newer": call.link(
            f"{at}/newer",
            state=call.query.get("state", ""),
            since=found["pageInfo"]["startCursor"] or "",
        ),
    }


WEBHOOK = Page(
    path="/o/{org:str}/webhooks/{webhook:str}",
    title=N_("Webhook"),
    template="webhooks/webhook.html",
    document=shown(
        "query Webhook($id: ID!, $filter: WebhookCallFilter, $after: String) { ...Shell "
        f"organization {{ webhook(id: $id) {{ {ROW} "
        "payloadVersion inOrder document previousSecretExpiresAt "
        "calls(filter: $filter, first: 25, after: $after) { nodes { uuid event messageUuid state "
        "test attemptCount nextAttemptAt createdAt deliveredAt request "
        "attempts { number at status reply error durationMs } } "
        "pageInfo { hasNextPage startCursor endCursor } } } } }"
    ),
    variables=lambda call: {
        "id": call.path["webhook"],
        "filter": _filter(call),
        "after": call.query.get("after") or None,
    },
    view=_webhook_view,
)


def _newer_view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]["webhook"]["calls"]
    n = len(found["nodes"])
    told = ngettext("%(n)s new call, show", "%(n)s new calls, show", n)
    if found["pageInfo"]["hasPreviousPage"]:
        told = _("%(n)s or more new calls, show", n=n)
    back = call.link(f"/webhooks/{call.path['webhook']}", state=call.query.get("state", ""))
    return {"count": n, "told": told, "back": back}


NEWER = Page(
    path="/o/{org:str}/webhooks/{webhook:str}/newer",
    title=N_("New calls"),
    template="newer.html",
    document=shown(
        "query NewCalls($id: ID!, $filter: WebhookCallFilter, $last: Int, $since: String) "
        "{ ...Shell organization { webhook(id: $id) { calls(filter: $filter, last: $last, "
        "before: $since) { nodes { uuid } pageInfo { hasPreviousPage } } } } }"
    ),
    variables=lambda call: {
        "id": call.path["webhook"],
        "filter": _filter(call),
        "last": MOST_NEW,
        "since": call.query.get("since") or None,
    },
    view=_newer_view,
)
PAGES = (LIST, WEBHOOK, NEWER)


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
            "{ made: createWebhook(input: $input) { secret webhook { uuid url format } } }"
        ),
        variables=lambda call: {
            "input": {
                "url": call.form.get("url", "").strip(),
                "events": list(call.chosen.get("events", ())) or ["message.*"],
                "format": "POSTAL" if call.form.get("format") == "POSTAL" else "STANDARD",
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
