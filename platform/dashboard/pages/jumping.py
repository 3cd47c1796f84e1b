"""The palette: anywhere by a few letters, and any message by its id or an address."""

import uuid
from typing import Any

from ...core.languages import gettext as _
from ...core.languages import marked as N_
from ..menu import MENU
from ..page import Call, Page, shown

LONGEST = 300
MOST = 5
"""Of each kind that is found."""


def _asked(call: Call) -> str:
    return call.query.get("q", "").strip()[:LONGEST]


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _filter(text: str) -> dict[str, Any]:
    if _is_id(text):
        # The Message-ID is sought, too: it is the other name that people hold in their hands.
        return {"messageId": text}
    if text.startswith("<") or text.endswith(">"):
        return {"messageId": text}
    return {"recipient": text} if "@" in text else {}


def _variables(call: Call) -> dict[str, Any]:
    text = _asked(call)
    may_read = call.may("messages:read")
    return {
        "domains": bool(text) and call.may("domains:read"),
        "domain": {"search": text[:253]} if text else None,
        # With nothing typed, the latest messages are what one most likely comes back for.
        "messages": may_read and (not text or bool(_filter(text))),
        "filter": _filter(text),
        "first": MOST,
    }


def _view(data: Any, call: Call) -> dict[str, Any]:
    text = _asked(call)
    found = data["organization"]
    pages = [
        entry
        for _heading, entries in MENU
        for entry in entries
        if (entry.needs is None or call.may(entry.needs))
        and (entry.to != "/captured" or data["shell"]["capturesMail"])
        and text.lower() in _(entry.word).lower()
    ]
    return {
        "q": text,
        "pages": pages,
        "domains": (found.get("domains") or {"nodes": []})["nodes"],
        "messages": (found.get("messages") or {"nodes": []})["nodes"],
        "message_id": text if _is_id(text) and call.may("messages:read") else None,
    }


JUMP = Page(
    path="/o/{org:str}/jump",
    title=N_("Go to"),
    template="jump.html",
    document=shown(
        """
        query Jump($domains: Boolean!, $domain: DomainFilter, $messages: Boolean!,
                   $filter: MessageFilter, $first: Int) {
          ...Shell
          organization {
            slug
            domains(filter: $domain, first: $first) @include(if: $domains) { nodes { name } }
            messages(filter: $filter, first: $first) @include(if: $messages) {
              nodes { uuid subject to status createdAt }
            }
          }
        }
        """
    ),
    variables=_variables,
    view=_view,
)
PAGES = (JUMP,)
