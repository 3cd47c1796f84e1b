"""Developers: from a key to a first call that works, and what the keys have done."""

import uuid
from typing import Any

from ...core.languages import marked as N_
from ..page import Call, Page, shown
from ..snippets import LANGUAGES, Example

APIS = {"GRAPHQL": "GraphQL", "REST": "REST", "POSTAL": "Postal", "POSTAGEAPP": "PostageApp"}
OUTCOMES = {"SUCCEEDED": N_("Succeeded"), "REFUSED": N_("Refused"), "FAILED": N_("Failed")}


def _search(call: Call) -> tuple[dict[str, str], list[str]]:
    """Return which requests the address asks for, and what of it is not understood."""
    asked = {name: call.query.get(name, "") for name in ("key", "api", "outcome")}
    known = {
        "key": _is_uuid(asked["key"]),
        "api": asked["api"] in APIS,
        "outcome": asked["outcome"] in OUTCOMES,
    }
    left_out = [f"{name}={value}" for name, value in asked.items() if value and not known[name]]
    return {name: value if known[name] else "" for name, value in asked.items()}, left_out


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _variables(call: Call) -> dict[str, Any]:
    search, _ = _search(call)
    wanted = {"apiKeyId": search["key"], "api": search["api"], "outcome": search["outcome"]}
    return {
        "keys": call.may("api_keys:read"),
        "domains": call.may("domains:read"),
        "filter": {name: value for name, value in wanted.items() if value},
        "after": call.query.get("after") or None,
    }


def _language(call: Call) -> str:
    asked = call.query.get("tab", "")
    return asked if asked in LANGUAGES else next(iter(LANGUAGES))


def _view(data: Any, call: Call) -> dict[str, Any]:
    found = data["organization"]
    domains = (found.get("domains") or {"nodes": []})["nodes"]
    domain = domains[0]["name"] if domains else None
    keys = (found.get("apiKeys") or {"nodes": []})["nodes"]
    return {
        **_log(found, call),
        "domain": domain,
        "example": lambda base: LANGUAGES[_language(call)][1](
            Example(
                base, f"hello@{domain or 'your-domain.example'}", data["viewer"]["user"]["email"]
            )
        ),
        "language": _language(call),
        "languages": {name: word for name, (word, _) in LANGUAGES.items()},
        "keys": keys,
        "key_names": {each["uuid"]: each["name"] for each in keys},
        "sees_keys": call.may("api_keys:read"),
        "can_make": call.may("api_keys:write"),
        "rate": data["viewer"]["credential"]["rateLimitPerMinute"],
    }


def _log(found: Any, call: Call) -> dict[str, Any]:
    """Return what the page shows of the requests of keys."""
    search, left_out = _search(call)
    asked = found.get("apiRequests") or {"nodes": [], "pageInfo": {"hasNextPage": False}}
    after = asked["pageInfo"]["endCursor"] if asked["pageInfo"]["hasNextPage"] else None
    return {
        "requests": asked["nodes"],
        "search": search,
        "left_out": left_out,
        "is_filtered": any(search.values()) or bool(call.query.get("after")),
        "more": call.link("/developers", **search, after=after) if after else None,
        "apis": APIS,
        "outcomes": OUTCOMES,
        "days": found["retention"]["requestDays"],
    }


DEVELOPERS = Page(
    path="/o/{org:str}/developers",
    title=N_("Developers"),
    template="developers/index.html",
    document=shown(
        """
        query Developers(
          $keys: Boolean!, $domains: Boolean!, $filter: ApiRequestFilterInput, $after: String
        ) {
          ...Shell
          viewer { credential { rateLimitPerMinute } }
          organization {
            retention { requestDays }
            domains(first: 1, filter: { status: VERIFIED }) @include(if: $domains) {
              nodes { name }
            }
            apiKeys(first: 50) @include(if: $keys) {
              nodes { uuid name prefix mode status lastUsedAt lastUsedAddress requestsIn24Hours }
            }
            apiRequests(first: 20, filter: $filter, after: $after) @include(if: $keys) {
              nodes {
                apiKey { name } api method route operation status code outcome requestId requests
                durationMs createdAt
              }
              pageInfo { hasNextPage endCursor }
            }
          }
        }
        """
    ),
    variables=_variables,
    view=_view,
)
PAGES = (DEVELOPERS,)
