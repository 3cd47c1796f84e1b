"""Captured mail as an inbox: what was sent, as its receiver would see and judge it."""

import base64
from typing import Any

from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ...graphql.execute import Document
from .. import policy
from ..page import Call, Page, shown

TABS = {
    "preview": N_("Preview"),
    "text": N_("Text"),
    "headers": N_("Headers"),
    "raw": N_("Raw"),
}
ROW = "uuid sender subject envelopeTo sizeBytes createdAt"


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]["capturedMessages"]
    asked = {"recipient": call.query.get("recipient", "")}
    after = found["pageInfo"]["endCursor"] if found["pageInfo"]["hasNextPage"] else None
    return {
        "messages": found["nodes"],
        "captures": data["organization"]["capturesMail"],
        "search": asked,
        "is_filtered": bool(asked["recipient"].strip()),
        "more": call.link("/captured", **asked, after=after) if after else None,
    }


LIST = Page(
    path="/o/{org:str}/captured",
    title=N_("Captured mail"),
    template="captured/index.html",
    document=shown(
        "query Captured($recipient: String, $after: String) { ...Shell organization { "
        "capturesMail capturedMessages(recipient: $recipient, first: 50, after: $after) "
        f"{{ nodes {{ {ROW} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
    ),
    variables=lambda call: {
        "recipient": call.query.get("recipient", "").strip()[:320] or None,
        "after": call.query.get("after") or None,
    },
    view=_view,
)


def _tab(call: Call) -> str:
    tab = call.query.get("tab", "")
    return tab if tab in TABS else "preview"


def _one_view(data: Any, call: Call) -> dict[str, Any]:
    message = data["organization"]["capturedMessage"]
    content = message["content"]
    return {
        "title": message["subject"] or _("(no subject)"),
        "message": message,
        "content": content,
        "source": base64.b64decode(content["source"]).decode("utf-8", "replace"),
        "tab": _tab(call),
        "tabs": TABS,
        "insecure": [each["url"] for each in content["links"] if not each["isEncrypted"]],
    }


ONE = Page(
    path="/o/{org:str}/captured/{id:str}",
    title=N_("Captured message"),
    template="captured/message.html",
    document=shown(
        f"""
        query CapturedOne($id: ID!) {{
          ...Shell
          organization {{ capturedMessage(id: $id) {{
            {ROW} envelopeFrom delivery {{ message {{ uuid }} }}
            content {{ text html source dkimAligned spfAligned htmlBytes isClipped
              headers {{ name value }} files {{ filename contentType sizeBytes }}
              signatures {{ domain selector algorithm verdict }} links {{ url isEncrypted }} }}
          }} }}
        }}
        """
    ),
    variables=lambda call: {"id": call.path["id"]},
    view=_one_view,
)
PREVIEW = Page(
    path="/o/{org:str}/captured/{id:str}/preview",
    title=N_("Preview"),
    template="messages/preview.html",
    document=Document(
        "query CapturedPreview($id: ID!) "
        "{ organization { capturedMessage(id: $id) { content { html } } } }"
    ),
    variables=lambda call: {"id": call.path["id"]},
    view=lambda data, call: {
        "html": data["organization"]["capturedMessage"]["content"]["html"] or ""
    },
    policy=policy.PREVIEW,
)
PAGES = (LIST, ONE, PREVIEW)
