"""What PostMTA's reference lists, and how much of it is served, for `docs/compat/postmta.md`."""

from collections.abc import Mapping, Sequence

from ..route import CompatRoute
from .routes.ingress import ROUTES as INGRESS
from .routes.templates import ROUTES as TEMPLATES
from .shapes import SOURCE

ENDPOINTS = tuple(
    (method, path)
    for method, path in (
        line.split()
        for line in """
GET    /health
GET    /metrics
POST   /api/v1/auth/register
POST   /api/v1/auth/login
GET    /api/v1/auth/me
GET    /api/v1/users
GET    /api/v1/users/{id}
PUT    /api/v1/users/{id}/role
GET    /api/v1/credits
GET    /api/v1/credits/{type}
POST   /api/v1/credits/consume
GET    /api/v1/credits/usage
GET    /api/v1/credits/packages
GET    /api/v1/credits/alerts
POST   /api/v1/credits/alerts
POST   /api/v1/api-keys
GET    /api/v1/api-keys
GET    /api/v1/api-keys/{id}
POST   /api/v1/api-keys/{id}/rotate
DELETE /api/v1/api-keys/{id}
POST   /api/v1/messages/send
POST   /api/v1/messages/batch
GET    /api/v1/messages
GET    /api/v1/messages/{id}
POST   /api/v1/messages/{id}/cancel
POST   /api/v1/messages/simulate-delivery
GET    /api/v1/queues/status
GET    /api/v1/queues
POST   /api/v1/queues/{id}/{action}
POST   /api/v1/domains
GET    /api/v1/domains
GET    /api/v1/domains/{id}
POST   /api/v1/domains/{id}/verify
POST   /api/v1/domains/{id}/rotate-dkim
PUT    /api/v1/domains/{id}/bimi
DELETE /api/v1/domains/{id}
POST   /api/v1/vmtas
GET    /api/v1/vmtas
GET    /api/v1/vmtas/{id}
PUT    /api/v1/vmtas/{id}
POST   /api/v1/vmtas/{id}/pause
POST   /api/v1/vmtas/{id}/resume
GET    /api/v1/vmtas/{id}/warmup
GET    /api/v1/vmtas/{id}/queue
DELETE /api/v1/vmtas/{id}
POST   /api/v1/webhooks
GET    /api/v1/webhooks
GET    /api/v1/webhooks/{id}
PUT    /api/v1/webhooks/{id}
POST   /api/v1/webhooks/{id}/test
GET    /api/v1/webhooks/{id}/deliveries
DELETE /api/v1/webhooks/{id}
GET    /track/open/{id}
GET    /track/click/{token}
GET    /api/v1/security/status
GET    /api/v1/security/greylisting/stats
GET    /api/v1/security/greylisting/config
POST   /api/v1/security/dnsbl/check
GET    /api/v1/security/dnsbl/blocklists
POST   /api/v1/security/dnsbl/clear-cache
POST   /api/v1/security/spam-score
POST   /api/v1/security/av-scan
GET    /api/v1/security/auto-block/rules
POST   /api/v1/security/auto-block/toggle
GET    /api/v1/security/auto-block/active
POST   /api/v1/security/auto-block/{id}/resolve
GET    /api/v1/analytics/summary
GET    /api/v1/analytics/timeseries
GET    /api/v1/analytics/breakdown
GET    /api/v1/analytics/isp
GET    /api/v1/analytics/trend
GET    /api/v1/analytics/bounce-reasons
GET    /api/v1/analytics/report
GET    /api/v1/analytics/export
GET    /api/v1/billing/plan
POST   /api/v1/billing/upgrade
POST   /api/v1/billing/downgrade
POST   /api/v1/billing/checkout
GET    /api/v1/billing/invoices
GET    /api/v1/billing/usage-rollup
GET    /api/v1/billing/organization
""".strip().splitlines()
    )
)
"""Method and path of all 81 endpoints, in the order of PostMTA's reference."""

ELSEWHERE: Mapping[tuple[str, str], str] = {
    ("GET", "/health"): "Each web process answers for itself; nobody has to sign in.",
    ("GET", "/metrics"): "Each web process answers for itself, and adds what the database says. An "
    "organization's view has its mail, calls to webhooks, credits, blocks and warm-ups; requests, "
    "connections, signatures, durations and `spool_bytes` are in the deployment's view only. "
    "`queue_depth` has the state of the vMTA, `active` or `paused`.",
    ("GET", "/track/open/{id}"): "`first` is told "
    "for people and for machines apart, and `machine` names what made a `machine_open`. It is an "
    "event some seconds after the answer.",
    ("GET", "/track/click/{token}"): "Where the link "
    "leads is sealed in the token, not kept on the server; an address over 2,000 characters is not "
    "rewritten. To browsers an error is a page. A delivery has at most 1,000 opens and clicks. "
    "`message.opened` with `implied` follows where opens are tracked.",
    (
        "GET",
        "/api/v1/analytics/export",
    ): "It comes as a stream. Of `messages` and `events` a filter "
    "takes one value, and an event has the provider of its recipient. The limit of a million rows "
    "counts messages.",
}
"""Endpoints that are no part of the API, and who serves them."""

EXTENSIONS = frozenset((route.method, route.path) for route in (*TEMPLATES, *INGRESS))
"""Method and path of endpoints that PostMTA does not have."""

HEAD = f"""# PostMTA's REST API

Written by `make docs` from the routes themselves; do not edit.

PostMTA lists its endpoints at <{SOURCE}>.
It documents methods, paths and purposes, and neither bodies nor errors; the OpenAPI document at
`/openapi.json` says what ours are. Where nothing stands under "Differences", nothing differs from
what it documents; what else stands there is what its users may not expect.
"""


def page(routes: Sequence[CompatRoute]) -> str:
    """Return the page: each endpoint, whether it is served, and where it differs."""
    served = {(route.method, route.path): route for route in routes}
    rows = [_row(method, path, served.get((method, path))) for method, path in ENDPOINTS]
    count = sum((m, p) in served or (m, p) in ELSEWHERE for m, p in ENDPOINTS)
    summary = f"{count} of {len(ENDPOINTS)} endpoints are served."
    table = "\n".join(["| Endpoint | State | Differences |", "|---|---|---|", *rows])
    more = [f"| `{r.method} {r.path}` | {r.summary} |" for r in routes if key_of(r) in EXTENSIONS]
    beyond = "\n".join(["## Beyond it", "", "| Endpoint | Does |", "|---|---|", *more])
    return f"{HEAD}\n{summary}\n\n{table}\n\n{beyond}\n"


def key_of(route: CompatRoute) -> tuple[str, str]:
    """Return what an endpoint is known by."""
    return route.method, route.path


def _row(method: str, path: str, route: CompatRoute | None) -> str:
    state, notes = "not yet", ""
    if route is not None:
        state, notes = "served", " ".join(route.differences)
    elif (method, path) in ELSEWHERE:
        state, notes = "served", ELSEWHERE[method, path]
    return f"| `{method} {path}` | {state} | {notes} |"
