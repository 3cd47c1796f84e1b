"""Messages: find one, see what happened to it and why, send a test."""

import base64
from datetime import timedelta
from typing import Any

from ...core import clock
from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ...core.languages import ngettext
from ...graphql.execute import Document
from .. import policy
from ..page import Action, Call, Done, Page, shown
from ..searching import OPERATORS, STATUSES, read_search

PAGE_SIZE = 25
RANGES = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7)}
MOST_NEW = 50
"""New messages that are counted; more are told as more."""
ROW = "nodes { uuid subject sender to recipientCount status mode createdAt }"


def _status_filter(call: Call) -> str:
    status = call.query.get("status", "")
    return status if status in STATUSES else ""


def filter_of(call: Call) -> dict[str, Any]:
    """Return what the address asks for, as a filter of the schema."""
    found = read_search(call.query.get("q", ""))
    filter_ = dict(found.filter)
    if status := _status_filter(call):
        filter_["statuses"] = [status.upper()]
    if length := RANGES.get(call.query.get("range", "")):
        filter_["createdAfter"] = (clock.now() - length).isoformat()
    return filter_


def _asked(call: Call) -> dict[str, str]:
    return {name: call.query.get(name, "") for name in ("q", "status", "range")}


def _list_variables(call: Call) -> dict[str, Any]:
    return {
        "filter": filter_of(call),
        "after": call.query.get("after") or None,
        "first": PAGE_SIZE,
    }


def _list_view(data: Any, call: Call) -> dict[str, Any]:
    page = data["organization"]["messages"]
    found = read_search(call.query.get("q", ""))
    asked = _asked(call)
    after = page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else None
    return {
        "messages": page["nodes"],
        "search": asked,
        "is_filtered": any(asked.values()),
        "unknown": found.unknown,
        "jump": found.message_id,
        "statuses": STATUSES,
        "operators": OPERATORS,
        "more": call.link("/messages", **asked, after=after) if after else None,
        "is_first": not call.query.get("after"),
        "newer": call.link("/messages/newer", **asked, since=page["pageInfo"]["startCursor"] or ""),
    }


LIST = Page(
    path="/o/{org:str}/messages",
    title=N_("Messages"),
    template="messages/index.html",
    document=shown(
        "query Messages($filter: MessageFilter, $first: Int, $after: String) { ...Shell "
        "organization { messages(filter: $filter, first: $first, after: $after) "
        f"{{ {ROW} pageInfo {{ hasNextPage startCursor endCursor }} }} }} }}"
    ),
    variables=_list_variables,
    view=_list_view,
)


def _newer_view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]["messages"]
    n = len(found["nodes"])
    told = ngettext("%(n)s new message, show", "%(n)s new messages, show", n)
    if found["pageInfo"]["hasPreviousPage"]:
        told = _("%(n)s or more new messages, show", n=n)
    return {"count": n, "told": told, "back": call.link("/messages", **_asked(call))}


NEWER = Page(
    path="/o/{org:str}/messages/newer",
    title=N_("New messages"),
    template="newer.html",
    document=shown(
        "query NewMessages($filter: MessageFilter, $last: Int, $since: String) { ...Shell "
        "organization { messages(filter: $filter, last: $last, before: $since) "
        "{ nodes { uuid } pageInfo { hasPreviousPage } } } }"
    ),
    variables=lambda call: {
        "filter": filter_of(call),
        "last": MOST_NEW,
        "since": call.query.get("since") or None,
    },
    view=_newer_view,
)

TABS = {
    "timeline": N_("Timeline"),
    "preview": N_("Preview"),
    "headers": N_("Headers"),
    "raw": N_("Raw"),
    "events": N_("Events"),
}
FINAL = frozenset({"DELIVERED", "BOUNCED", "EXPIRED", "SUPPRESSED", "CANCELLED", "PARTIAL"})
UNREACHED = FINAL - {"DELIVERED"}


def _tab(call: Call) -> str:
    tab = call.query.get("tab", "")
    return tab if tab in TABS else "timeline"


def _message_view(data: Any, call: Call) -> dict[str, Any]:
    message = data["organization"]["message"]
    return {
        "title": message["subject"] or _("(no subject)"),
        "message": message,
        "deliveries": message.get("deliveries", []),
        "tab": _tab(call),
        "tabs": TABS,
        "is_final": message["status"] in FINAL,
        "source": _source(message.get("source")),
        "can_resend": call.may("messages:send") and message["status"] in UNREACHED,
        "can_cancel": call.may("messages:write")
        and message["status"] in ("SCHEDULED", "QUEUED", "DEFERRED"),
    }


def _source(content: dict[str, Any] | None) -> str | None:
    """Return the message as it goes over the wire, for reading; None if it is not kept."""
    if content is None:
        return None
    return base64.b64decode(content["source"]).decode("utf-8", "replace")


MESSAGE = Page(
    path="/o/{org:str}/messages/{id:str}",
    title=N_("Message"),
    template="messages/message.html",
    document=shown(
        """
        query Message($id: ID!, $timeline: Boolean!, $content: Boolean!, $raw: Boolean!,
                      $events: Boolean!) {
          ...Shell
          organization { message(id: $id) {
            uuid messageId subject sender senderName to cc bcc status mode stream tags sizeBytes
            credits createdAt sendAt completedAt expiresAt vmtaName pool batchId
            deliveries @include(if: $timeline) {
              uuid address domain kind state code enhancedCode reply mxHost bounceClass
              nextAttemptAt deliveredAt settledAt attemptCount waits { reason until detail }
              attempts { uuid number verdict code enhancedCode reply mxHost mxAddress sourceAddress
                tlsVersion tlsCipher tlsVerified startedAt durationMs transcript }
            }
            content @include(if: $content) { html text headers { name value } replyTo
              attachments { filename contentType sizeBytes } }
            source: content @include(if: $raw) { source }
            events @include(if: $events) { uuid type occurredAt data simulated }
          } }
        }
        """
    ),
    variables=lambda call: {
        "id": call.path["id"],
        "timeline": _tab(call) == "timeline",
        "content": _tab(call) in ("preview", "headers"),
        "raw": _tab(call) == "raw",
        "events": _tab(call) == "events",
    },
    view=_message_view,
)


def _test_view(data: Any, call: Call) -> dict[str, Any]:
    domains = [d["name"] for d in data["organization"]["domains"]["nodes"]]
    return {
        "domains": domains,
        "values": {
            "local": call.form.get("local", "hello"),
            "domain": call.form.get("domain", ""),
            "to": call.form.get("to", data["viewer"]["user"]["email"]),
            "subject": call.form.get("subject", "A test from Postlane"),
            "text": call.form.get("text", _("Hello.\n\nThis message proves that mail arrives.")),
        },
    }


NEW = Page(
    path="/o/{org:str}/messages/new",
    title=N_("Send a test"),
    template="messages/new.html",
    document=shown(
        "query SendTest { ...Shell organization { domains(first: 100, "
        "filter: { status: VERIFIED }) { nodes { name } } } }"
    ),
    view=_test_view,
)
PREVIEW = Page(
    path="/o/{org:str}/messages/{id:str}/preview",
    title=N_("Preview"),
    template="messages/preview.html",
    document=Document(
        "query Preview($id: ID!) { organization { message(id: $id) { content { html } } } }"
    ),
    variables=lambda call: {"id": call.path["id"]},
    view=lambda data, call: {
        "html": (data["organization"]["message"]["content"] or {}).get("html") or ""
    },
    policy=policy.PREVIEW,
)
PAGES = (LIST, NEWER, NEW, MESSAGE, PREVIEW)

ACTIONS = (
    Action(
        path="/o/{org:str}/messages/new",
        page=NEW,
        document=Document(
            "mutation SendTest($input: SendMessageInput!) "
            "{ sendMessage(input: $input) { message { uuid } } }"
        ),
        variables=lambda call: {
            "input": {
                "from": f"{call.form.get('local', '')}@{call.form.get('domain', '')}",
                "to": [call.form.get("to", "").strip()],
                "subject": call.form.get("subject", ""),
                "text": call.form.get("text", ""),
                "tags": ["test"],
                # Sent twice by an impatient click, it is still one message.
                "idempotencyKey": call.form.get("once") or None,
            }
        },
        names={"from": "local"},
        then=lambda data, call: Done(
            call.link(f"/messages/{data['sendMessage']['message']['uuid']}", done="message-sent")
        ),
    ),
    Action(
        path="/o/{org:str}/messages/{id:str}/cancel",
        page=MESSAGE,
        document=Document(
            "mutation Cancel($input: CancelMessageInput!) "
            "{ cancelMessage(input: $input) { message { uuid } } }"
        ),
        variables=lambda call: {"input": {"id": call.path["id"]}},
        then=lambda data, call: Done(
            call.link(f"/messages/{call.path['id']}", done="message-cancelled")
        ),
        form="cancel",
    ),
    Action(
        path="/o/{org:str}/messages/{id:str}/resend",
        page=MESSAGE,
        document=Document(
            "mutation Resend($input: ResendMessageInput!) "
            "{ resendMessage(input: $input) { receipt { uuid } } }"
        ),
        variables=lambda call: {
            "input": {"id": call.path["id"], "idempotencyKey": call.form.get("once") or None}
        },
        then=lambda data, call: Done(
            call.link(
                f"/messages/{data['resendMessage']['receipt']['uuid']}", done="message-resent"
            )
        ),
        form="resend",
    ),
)
