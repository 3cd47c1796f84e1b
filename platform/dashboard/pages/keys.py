"""API keys: who may send in the organization's name, and with which secret."""

from typing import Any

from ...core.languages import marked as N_
from ...graphql.execute import Document
from ..page import SHOWN_ONCE, Action, Call, Done, Page, shown
from . import removals

SCOPES = {
    "send": (["messages:send", "messages:read"], N_("Send, and see what became of it")),
    "read": (["messages:read", "queues:read", "domains:read"], N_("Read only")),
    "all": (["*"], N_("Everything that you may do")),
}


def _view(data: Any, call: Call) -> dict[str, Any]:
    return {
        **removals.shown(data["organization"]),
        "here_again": call.link("/keys", after=call.query.get("after", "")),
        "keys": data["organization"]["apiKeys"]["nodes"],
        "more": data["organization"]["apiKeys"]["pageInfo"],
        "scopes": SCOPES,
        "name": call.form.get("name", ""),
        "can_make": call.may("api_keys:write"),
    }


KEYS = Page(
    path="/o/{org:str}/keys",
    title=N_("API keys"),
    template="keys/index.html",
    document=shown(
        "query Keys($after: String, $removals: Boolean!) { ...Shell organization { "
        "apiKeys(first: 50, after: $after) "
        "{ nodes { uuid id name prefix scopes mode status expiresAt lastUsedAt lastUsedAddress "
        "createdAt requestsIn24Hours previousKey { expiresAt } } "
        "pageInfo { hasNextPage endCursor } } " + removals.asked("API_KEY") + " } }"
    ),
    variables=lambda call: {
        "after": call.query.get("after") or None,
        "removals": call.may("api_keys:write"),
    },
    view=_view,
)
PAGES = (KEYS,)
MADE = "{ key apiKey { name prefix mode } }"

ACTIONS = (
    Action(
        path="/o/{org:str}/keys",
        page=KEYS,
        document=Document(
            "mutation MakeKey($input: CreateApiKeyInput!) "
            f"{{ made: createApiKey(input: $input) {MADE} }}"
        ),
        variables=lambda call: {
            "input": {
                "name": call.form.get("name", ""),
                "scopes": SCOPES.get(call.form.get("scopes", ""), SCOPES["send"])[0],
                "mode": "SANDBOX" if call.form.get("mode") == "sandbox" else "LIVE",
            }
        },
        then=lambda data, call: SHOWN_ONCE,
    ),
    Action(
        path="/o/{org:str}/keys/{key:str}/rotate",
        page=KEYS,
        document=Document(
            "mutation RotateKey($input: RotateApiKeyInput!) "
            f"{{ made: rotateApiKey(input: $input) {MADE} }}"
        ),
        variables=lambda call: {
            "input": {"apiKeyId": call.path["key"], "gracePeriodSeconds": 86_400}
        },
        then=lambda data, call: SHOWN_ONCE,
        form="rotate",
    ),
    Action(
        path="/o/{org:str}/keys/{key:str}/revoke",
        page=KEYS,
        document=Document(
            "mutation RevokeKey($input: DeleteApiKeyInput!) "
            "{ deleteApiKey(input: $input) { __typename } }"
        ),
        variables=lambda call: {"input": {"apiKeyId": call.path["key"]}},
        then=lambda data, call: Done(call.link("/keys", done="key-revoked")),
        form="revoke",
    ),
    removals.remove(KEYS, "/o/{org:str}/keys/{id:str}/remove", back="/keys", subject="apiKeyId"),
    removals.undo(KEYS, back="/keys"),
)
