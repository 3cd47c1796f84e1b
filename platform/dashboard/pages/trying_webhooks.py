"""Trying a webhook: what is sent and answered, and whether a call is genuine, step by step."""

from typing import Any

from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import SHOWN_ONCE, Action, Call, Page, shown

PATH = "/o/{org:str}/webhooks/{webhook:str}/try"
CALL = "event request attempts { status reply error durationMs }"


def headers_of(text: str) -> list[dict[str, str]]:
    """Return the headers in lines of `name: value`, as tools print what they got."""
    found = []
    for line in text.splitlines():
        name, colon, value = line.strip().lstrip("<> ").partition(":")
        if colon and name.strip():
            found.append({"name": name.strip(), "value": value.strip()})
    return found


def _lines(tested: Any) -> str:
    return "\n".join(f"{each['name']}: {each['value']}" for each in tested["headers"])


def _view(data: Any, call: Call) -> dict[str, Any]:
    webhook = data["organization"]["webhook"]
    return {
        "title": _("Try a webhook"),
        "webhook": webhook,
        "event": call.form.get("event", ""),
        "headers": call.form.get("headers", ""),
        "body": call.form.get("body", ""),
        "lines": _lines,
        "can_change": call.may("webhooks:write"),
    }


TRY = Page(
    path=PATH,
    title=N_("Try a webhook"),
    template="webhooks/try.html",
    document=shown(
        "query TryWebhook($id: ID!) { ...Shell organization { webhook(id: $id) { uuid url format "
        "headerNames payloadVersion triableEvents previousSecretExpiresAt } } }"
    ),
    variables=lambda call: {"id": call.path["webhook"]},
    view=_view,
)
PAGES = (TRY,)

ACTIONS = (
    Action(
        path=PATH,
        page=TRY,
        document=Document(
            "mutation SendTest($input: TestWebhookInput!) { tested: testWebhook(input: $input) "
            f"{{ succeeded headers {{ name value }} call {{ {CALL} }} }} }}"
        ),
        variables=lambda call: {
            "input": {"webhookId": call.path["webhook"], "event": call.form.get("event") or None}
        },
        then=lambda data, call: SHOWN_ONCE,
        form="send",
    ),
    Action(
        path=PATH + "/check",
        page=TRY,
        document=Document(
            "query CheckCall($id: ID!, $headers: [ReceivedHeaderInput!]!, $body: String!) { "
            "organization { webhook(id: $id) { signatureCheck(headers: $headers, body: $body) "
            "{ genuine steps { part passed told } } } } }"
        ),
        variables=lambda call: {
            "id": call.path["webhook"],
            "headers": headers_of(call.form.get("headers", "")),
            # A form sends line breaks as CR LF, whatever was pasted.
            "body": call.form.get("body", "").replace("\r\n", "\n"),
        },
        then=lambda data, call: SHOWN_ONCE,
        form="check",
    ),
)
