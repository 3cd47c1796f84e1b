"""What PostMTA has outside `/api/v1`, for OpenAPI; it is served by `server`."""

from ..fields import JsonSchema
from .analytics_files import EXPORT
from .shapes import SOURCE


def _check(*statuses: str, timed: bool = False) -> JsonSchema:
    properties: JsonSchema = {"status": {"type": "string", "enum": list(statuses)}}
    if timed:
        properties["latency_ms"] = {"type": "integer"}
    return {"type": "object", "required": list(properties), "properties": properties}


_STATUS: JsonSchema = {
    "type": "string",
    "enum": ["ok", "degraded", "fail"],
    "description": "`fail` when mail cannot be taken and delivered, or the process is stopping.",
}
_NAMES = ("database", "spool", "delivery", "dns", "spam_scanner", "av_scanner")
_HEALTH: JsonSchema = {
    "type": "object",
    "required": ["status", "version", "started_at", "uptime_seconds", "checks"],
    "properties": {
        "status": _STATUS,
        "version": {"type": "string"},
        "started_at": {"type": "string", "format": "date-time"},
        "uptime_seconds": {"type": "integer"},
        "checks": {
            "type": "object",
            "required": list(_NAMES),
            "properties": {
                name: _check("ok", "fail", "disabled", timed=name in ("database", "dns"))
                for name in _NAMES
            },
        },
    },
}
_SERIES: JsonSchema = {
    "type": "object",
    "required": ["name", "type", "labels"],
    "properties": {
        "name": {"type": "string", "pattern": "^pmta_"},
        "type": {"type": "string", "enum": ["counter", "gauge", "histogram"]},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "value": {"type": "number", "description": "Of a counter or a gauge."},
        "count": {"type": "integer", "description": "Of a histogram."},
        "sum": {"type": "number", "description": "Of a histogram."},
        "buckets": {
            "type": "array",
            "description": "Of a histogram: how many were at most `le`; null is any.",
            "items": {
                "type": "object",
                "required": ["le", "count"],
                "properties": {"le": {"type": ["number", "null"]}, "count": {"type": "integer"}},
            },
        },
    },
}
_METRICS: JsonSchema = {
    "type": "object",
    "required": ["generated_at", "metrics"],
    "properties": {
        "generated_at": {"type": "string", "format": "date-time"},
        "metrics": {"type": "array", "items": _SERIES},
    },
}
_HEALTH_EXAMPLE: JsonSchema = {
    "status": "ok",
    "version": "1.0.0",
    "started_at": "2026-05-30T06:00:00.000Z",
    "uptime_seconds": 194400,
    "checks": {
        "database": {"status": "ok", "latency_ms": 1},
        "spool": {"status": "ok"},
        "delivery": {"status": "ok"},
        "dns": {"status": "ok", "latency_ms": 9},
        "spam_scanner": {"status": "disabled"},
        "av_scanner": {"status": "disabled"},
    },
}
_METRICS_EXAMPLE: JsonSchema = {
    "generated_at": "2026-06-01T12:00:00.000Z",
    "metrics": [
        {
            "name": "pmta_recipients_total",
            "type": "counter",
            "labels": {"status": "delivered"},
            "value": 98211,
        }
    ],
}
_REQUEST_ID: JsonSchema = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
_REFUSALS = {
    "400": ("One of `ambiguous_credentials`, `invalid_request`.", "invalid_request"),
    "401": (
        "One of `api_key_expired`, `authentication_required`, `invalid_api_key`, "
        "`invalid_token`, `token_expired`, `token_revoked`.",
        "authentication_required",
    ),
    "403": (
        "One of `insufficient_role`, `insufficient_scope`, `ip_not_allowed`, `user_disabled`.",
        "insufficient_scope",
    ),
    "404": ("`invalid_tracking_token`.", "invalid_tracking_token"),
    "406": ("`not_acceptable`.", "not_acceptable"),
    "410": ("`tracking_link_expired`.", "tracking_link_expired"),
    "429": ("`rate_limited`.", "rate_limited"),
    "500": ("`internal_error`.", "internal_error"),
    "503": ("`service_unavailable`.", "service_unavailable"),
}
_FILE_REFUSALS = _REFUSALS | {
    "422": (
        "One of `export_too_large`, `invalid_dimension`, `invalid_interval`, `invalid_period`, "
        "`range_too_large`, `validation_failed`.",
        "invalid_period",
    ),
}
del _FILE_REFUSALS["406"]


_METRICS_REFUSALS = ("400", "401", "403", "406", "429", "500", "503")


def _token(name: str, description: str) -> JsonSchema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }


def _refusal(status: str) -> JsonSchema:
    description, code = _FILE_REFUSALS.get(status) or _REFUSALS[status]
    error = {
        "code": code,
        "message": "What is wrong, for people.",
        "status": int(status),
        "details": [],
        "request_id": "0197a000-0000-7000-8000-00000000f001",
    }
    media = {"schema": {"$ref": "#/components/schemas/Error"}, "example": {"error": error}}
    found: JsonSchema = {"description": description, "content": {"application/json": media}}
    if status in ("429", "503"):
        found["headers"] = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
    return found


def _health(description: str, status: str) -> JsonSchema:
    media = {"schema": _HEALTH, "example": _HEALTH_EXAMPLE | {"status": status}}
    return {
        "description": description,
        "headers": _REQUEST_ID,
        "content": {"application/json": media},
    }


PATHS: JsonSchema = {
    "/health": {
        "get": {
            "operationId": "get_health",
            "summary": "Whether mail can be taken and delivered",
            "description": "Whether mail can be taken and delivered. It is not limited, and "
            "what was found is kept for five seconds.",
            "tags": ["health"],
            "externalDocs": {"url": SOURCE},
            "security": [],
            "parameters": [{"$ref": "#/components/parameters/RequestId"}],
            "responses": {
                "200": _health("It can; `degraded` if something else does not work.", "ok"),
                "500": _refusal("500"),
                "503": _health("It cannot.", "fail"),
            },
        }
    },
    "/metrics": {
        "get": {
            "operationId": "get_metrics",
            "summary": "Counts and times, for Prometheus or as JSON",
            "description": "Counts and times, for Prometheus or as JSON. Needs the role `admin`, "
            "the scope `metrics:read`, or an address of `POSTLANE_METRICS_ALLOW`; but for those "
            "addresses and platform administrators, only the organization's own are shown.",
            "tags": ["metrics"],
            "externalDocs": {"url": SOURCE},
            "security": [{}, {"bearer": []}, {"api_key": []}],
            "parameters": [
                {"$ref": "#/components/parameters/RequestId"},
                {
                    "name": "format",
                    "in": "query",
                    "required": False,
                    "description": "In what form; without it as `Accept` says.",
                    "schema": {"type": "string", "enum": ["prometheus", "json"]},
                },
            ],
            "responses": {
                "200": {
                    "description": "The metrics.",
                    "headers": _REQUEST_ID,
                    "content": {
                        "application/json": {"schema": _METRICS, "example": _METRICS_EXAMPLE},
                        "text/plain": {
                            "schema": {"type": "string"},
                            "example": "# TYPE pmta_recipients_total counter\n"
                            'pmta_recipients_total{status="delivered"} 98211.0\n',
                        },
                    },
                },
                **{status: _refusal(status) for status in _METRICS_REFUSALS},
            },
        }
    },
    "/track/open/{id}": {
        "get": {
            "operationId": "get_track_open",
            "summary": "The pixel of tracked mail",
            "description": "The pixel of tracked mail: the same picture whatever the token is. "
            "Asking for it is recorded after the answer; HEAD records nothing.",
            "tags": ["tracking"],
            "externalDocs": {"url": SOURCE},
            "security": [],
            "parameters": [
                _token("id", "What the mail has there, with or without `.gif`."),
                {"$ref": "#/components/parameters/RequestId"},
            ],
            "responses": {
                "200": {
                    "description": "A transparent picture of one pixel.",
                    "headers": _REQUEST_ID,
                    "content": {"image/gif": {"schema": {"type": "string", "format": "binary"}}},
                },
                "500": _refusal("500"),
            },
        }
    },
    "/track/click/{token}": {
        "get": {
            "operationId": "get_track_click",
            "summary": "A link of tracked mail",
            "description": "A link of tracked mail: leads to where it led before. Following it is "
            "recorded after the answer; HEAD records nothing. Links live for 365 days, and not "
            "after their recipient was erased.",
            "tags": ["tracking"],
            "externalDocs": {"url": SOURCE},
            "security": [],
            "parameters": [
                _token("token", "What the mail has there."),
                {"$ref": "#/components/parameters/RequestId"},
            ],
            "responses": {
                "302": {
                    "description": "It leads there.",
                    "headers": {
                        **_REQUEST_ID,
                        "Location": {
                            "description": "An `http` or `https` address.",
                            "schema": {"type": "string", "format": "uri"},
                        },
                    },
                },
                **{status: _refusal(status) for status in ("404", "410", "500")},
            },
        }
    },
    EXPORT.path: {
        "get": {
            "operationId": "get_analytics_export",
            "summary": EXPORT.summary,
            "description": f"{EXPORT.summary}. Needs the scope `analytics:read`, and for messages "
            "and events `messages:read`; ten an hour for an organization. A file that is cut off "
            "ends without its last chunk.",
            "tags": ["analytics"],
            "externalDocs": {"url": SOURCE},
            "security": [{"bearer": []}, {"api_key": []}],
            "parameters": [
                {"$ref": "#/components/parameters/RequestId"},
                *(EXPORT.query.parameters() if EXPORT.query else ()),
            ],
            "responses": {
                "200": {
                    "description": "The file.",
                    "headers": _REQUEST_ID,
                    "content": {
                        "text/csv": {
                            "schema": {"type": "string"},
                            "example": "timestamp,accepted,delivered\r\n"
                            "2026-05-30T00:00:00.000Z,14100,13960\r\n",
                        }
                    },
                },
                **{status: _refusal(status) for status in _FILE_REFUSALS},
            },
        }
    },
}
"""The path items of OpenAPI."""
