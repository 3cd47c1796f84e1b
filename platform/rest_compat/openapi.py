"""OpenAPI 3.1 out of the routes' own declarations, so that it cannot say anything else."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Response
from litestar import route as route_to
from litestar.handlers import HTTPRouteHandler

from ..core.actor import Permission, least_role
from ..core.errors import DetailCode, ErrorCode
from .answers import Shape
from .fields import JsonSchema
from .route import CompatRoute, Fault, IdForm
from .samples import sample

Words = Mapping[ErrorCode | Fault, tuple[int, str]]
"""Status and code of each refusal, as a dialect says them."""

_SIGNED_IN = (
    ErrorCode.NOT_AUTHENTICATED,
    ErrorCode.INVALID_TOKEN,
    ErrorCode.TOKEN_EXPIRED,
    ErrorCode.TOKEN_REVOKED,
    ErrorCode.INVALID_API_KEY,
    ErrorCode.API_KEY_EXPIRED,
    ErrorCode.AMBIGUOUS_CREDENTIALS,
    ErrorCode.USER_DISABLED,
    ErrorCode.ADDRESS_NOT_ALLOWED,
    ErrorCode.RATE_LIMITED,
)
_BODY = (
    Fault.INVALID_JSON,
    Fault.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.PAYLOAD_TOO_LARGE,
)
_PERMITTED = (ErrorCode.INSUFFICIENT_ROLE, ErrorCode.INSUFFICIENT_SCOPE)
_ALWAYS = (
    Fault.INVALID_REQUEST,
    Fault.NOT_ACCEPTABLE,
    # Also without a body: an unknown parameter, when the request wants to be told.
    ErrorCode.INVALID_INPUT,
    ErrorCode.INTERNAL,
    ErrorCode.SERVICE_UNAVAILABLE,
)
_IDEMPOTENT = (ErrorCode.IDEMPOTENCY_IN_PROGRESS, ErrorCode.IDEMPOTENCY_KEY_REUSE)
_ID_SCHEMAS: dict[IdForm, JsonSchema] = {
    IdForm.UUID: {"type": "string", "format": "uuid"},
    IdForm.UUID_OR_ME: {"type": "string", "description": "A UUID, or `me`."},
    IdForm.UUID_OR_DOMAIN: {"type": "string", "description": "A UUID, or a domain name."},
    IdForm.ANY: {"type": "string"},
}


def describe(
    routes: Sequence[CompatRoute],
    *,
    words: Words,
    server_url: str,
    samples: Mapping[str, Any] | None = None,
    outside: Mapping[str, JsonSchema] | None = None,
) -> JsonSchema:
    """Return the OpenAPI document of *routes*; *samples* are values of fields by their name.

    *outside* are path items of what is no route, such as `/health`.
    """
    paths: dict[str, JsonSchema] = dict(outside or {})
    schemas = _schemas(routes, words, also=_codes_of(paths))
    for route in routes:
        operation = _operation(route, words)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
        for answer in operation["responses"].values():
            media = answer["content"]["application/json"]
            media.setdefault("example", sample(media["schema"], schemas, samples or {}))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Postlane REST API",
            "version": version("postlane"),
            "summary": "Sending email, compatible with PostMTA's REST API.",
            "description": "Every endpoint answers JSON. Unknown fields and parameters are "
            "ignored, unless the request says `Prefer: handling=strict`. A trailing slash is "
            "ignored, and HEAD is answered wherever GET is.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server_url}],
        "tags": [{"name": name} for name in _tags(paths)],
        "paths": paths,
        "components": {
            "securitySchemes": _SECURITY,
            "headers": _HEADERS,
            "parameters": _PARAMETERS,
            "schemas": schemas,
        },
    }


def _codes_of(paths: Mapping[str, JsonSchema]) -> set[str]:
    """Return the codes of refusals that are shown as examples."""
    examples = (
        media.get("example")
        for item in paths.values()
        for operation in item.values()
        for answer in operation["responses"].values()
        for media in answer.get("content", {}).values()
    )
    errors = (each.get("error") for each in examples if isinstance(each, dict))
    return {error["code"] for error in errors if error is not None}


def openapi_handler(document: JsonSchema) -> HTTPRouteHandler:
    """Return the handler that serves *document* at `/openapi.json`."""
    body = msgspec.json.encode(document)

    @route_to(
        "/openapi.json", http_method=["GET", "HEAD"], sync_to_thread=False, include_in_schema=False
    )
    def openapi() -> Response[bytes]:
        """Return the description of the REST API."""
        return Response(body, media_type="application/json")

    return openapi


def _operation(route: CompatRoute, words: Words) -> JsonSchema:
    found: JsonSchema = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "description": _description(route),
        "tags": [_tag(route)],
        "externalDocs": {"url": route.source},
        "security": [] if route.is_public else [{"bearer": []}, {"api_key": []}],
        "parameters": _parameters(route),
        "responses": _responses(route, words),
    }
    if route.body is not None:
        media: JsonSchema = {"schema": route.body.schema()}
        if example := route.body.example():
            media["example"] = example
        content: JsonSchema = {"application/json": media}
        if route.takes_file:
            content["multipart/form-data"] = {"schema": _FORM}
        found["requestBody"] = {"required": not route.body_is_optional, "content": content}
    return found


_FORM: JsonSchema = {
    "type": "object",
    "properties": {"file": {"type": "string", "format": "binary"}},
    "required": ["file"],
}


def operation_id(route: CompatRoute) -> str:
    """Return the name of the operation, such as `post_messages_send`."""
    pieces = route.path.removeprefix("/api/v1/").replace("-", "_").split("/")
    return "_".join([route.method.lower(), *(piece.strip("{}") for piece in pieces)])


def _tag(route: CompatRoute) -> str:
    return route.path.removeprefix("/api/v1/").partition("/")[0]


def _tags(paths: Mapping[str, JsonSchema]) -> list[str]:
    operations = (operation for item in paths.values() for operation in item.values())
    return sorted({tag for operation in operations for tag in operation["tags"]})


def _description(route: CompatRoute) -> str:
    lines = [f"{route.summary}."]
    if route.permission is not None:
        role = least_role(route.permission).value
        also = " or `billing`" if route.permission in _BILLING_TOO else ""
        lines.append(f"Needs the role `{role}`{also}, or the scope `{route.permission.value}`.")
    lines.extend(route.differences)
    return " ".join(lines)


_BILLING_TOO = frozenset(
    {Permission.READ_CREDITS, Permission.READ_USERS, Permission.SET_CREDIT_ALERTS}
)


def _parameters(route: CompatRoute) -> list[JsonSchema]:
    found: list[JsonSchema] = [
        {"name": name, "in": "path", "required": True, "schema": _ID_SCHEMAS[form]}
        for name, form in route.ids.items()
    ]
    found += [{"$ref": f"#/components/parameters/{name}"} for name in ("RequestId", "Prefer")]
    if route.is_idempotent:
        found.append({"$ref": "#/components/parameters/IdempotencyKey"})
    return found + (route.query.parameters() if route.query is not None else [])


def _responses(route: CompatRoute, words: Words) -> JsonSchema:
    names = ["RequestId"]
    if not route.is_public or route.window is not None:
        names += ["RateLimitLimit", "RateLimitRemaining", "RateLimitReset"]
    if route.is_idempotent:
        names.append("IdempotentReplayed")
    headers = {_HEADER_NAMES[name]: {"$ref": f"#/components/headers/{name}"} for name in names}
    schema = list_schema(route.shape) if route.is_list else route.shape.schema()
    found: JsonSchema = {
        str(status): {
            "description": "Success.",
            "headers": headers,
            "content": {"application/json": {"schema": schema}},
        }
        for status in ([route.status] if isinstance(route.status, int) else route.statuses)
    }
    for error_status, codes in _grouped(refusals_of(route), words).items():
        named = _HEADERS_OF_REFUSALS.get(error_status, "RequestId")
        found[str(error_status)] = {
            "description": "One of " + ", ".join(f"`{code}`" for code in codes) + ".",
            "headers": {_HEADER_NAMES[named]: {"$ref": f"#/components/headers/{named}"}},
            "content": {
                "application/json": {
                    "schema": _ERROR_REFERENCE,
                    "example": _error_example(error_status, codes[0]),
                }
            },
        }
    return found


def _error_example(status: int, code: str) -> JsonSchema:
    return {
        "error": {
            "code": code,
            "message": "What is wrong, for people.",
            "status": status,
            "details": [],
            "request_id": "0197a000-0000-7000-8000-00000000f001",
        }
    }


_ERROR_REFERENCE: JsonSchema = {"$ref": "#/components/schemas/Error"}


def refusals_of(route: CompatRoute) -> list[ErrorCode | Fault]:
    """Return everything *route* may be refused with."""
    found: list[ErrorCode | Fault] = list(_ALWAYS)
    if not route.is_public:
        found += _SIGNED_IN
    if route.permission is not None:
        found += _PERMITTED
        if not route.permission.value.endswith(":read"):
            found.append(ErrorCode.ORGANIZATION_SUSPENDED)
    if route.ids:
        found.append(ErrorCode.NOT_FOUND)
    if route.body is not None:
        found += _BODY
    if route.query is not None:
        found.append(ErrorCode.INVALID_CURSOR)
    if route.is_idempotent:
        found += _IDEMPOTENT
    return list(dict.fromkeys([*found, *route.refusals]))


def _grouped(codes: Iterable[ErrorCode | Fault], words: Words) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for status, code in sorted(words[c] for c in codes):
        found.setdefault(status, []).append(code)
    return found


def list_schema(shape: Shape) -> JsonSchema:
    """Return the envelope of a list of *shape*."""
    return {
        "type": "object",
        "required": ["data", "pagination", "filters"],
        "properties": {
            "data": {"type": "array", "items": shape.schema()},
            "pagination": {"$ref": "#/components/schemas/Pagination"},
            "filters": {
                "type": "object",
                "description": "The filters that were understood and applied.",
                "additionalProperties": True,
            },
        },
    }


def _schemas(routes: Sequence[CompatRoute], words: Words, *, also: Iterable[str]) -> JsonSchema:
    found: dict[str, Any] = {
        "Error": _error(words, also),
        "ErrorDetail": _DETAIL,
        "Pagination": _PAGINATION,
    }
    waiting = [route.shape for route in routes]
    while waiting:
        shape = waiting.pop()
        if shape.name not in found:
            found[shape.name] = shape.definition()
            waiting += shape.nested()
    for route in routes:
        if route.body is not None:
            found |= {name: fields.definition() for name, fields in route.body.named().items()}
    return dict(sorted(found.items()))


def _error(words: Words, also: Iterable[str]) -> JsonSchema:
    codes = sorted({code for _, code in words.values()} | set(also))
    return {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "status", "details", "request_id"],
                "properties": {
                    "code": {"type": "string", "enum": codes},
                    "message": {"type": "string", "description": "For people; may change."},
                    "status": {"type": "integer"},
                    "details": {
                        "type": "array",
                        "items": {"$ref": "#/components/schemas/ErrorDetail"},
                    },
                    "request_id": {"type": "string"},
                },
            }
        },
    }


_DETAIL: JsonSchema = {
    "type": "object",
    "required": ["field", "code", "message"],
    "properties": {
        "field": {"type": "string", "examples": ["to[0]"]},
        "code": {"type": "string", "enum": [code.value.lower() for code in DetailCode]},
        "message": {"type": "string"},
    },
}
_PAGINATION: JsonSchema = {
    "type": "object",
    "required": ["limit", "next_cursor", "has_more"],
    "properties": {
        "limit": {"type": "integer"},
        "next_cursor": {"type": ["string", "null"]},
        "has_more": {"type": "boolean"},
        "total": {"type": "integer", "description": "Only with `include_total=true`."},
    },
}
_SECURITY: JsonSchema = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token from `/api/v1/auth/login`, or an API key.",
    },
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_HEADER_NAMES = {
    "RequestId": "X-Request-Id",
    "RateLimitLimit": "X-RateLimit-Limit",
    "RateLimitRemaining": "X-RateLimit-Remaining",
    "RateLimitReset": "X-RateLimit-Reset",
    "IdempotentReplayed": "Idempotent-Replayed",
    "RetryAfter": "Retry-After",
    "Challenge": "WWW-Authenticate",
}
_HEADERS_OF_REFUSALS = {401: "Challenge", 429: "RetryAfter", 503: "RetryAfter"}
_HEADERS: JsonSchema = {
    "RequestId": {
        "description": "The request's id, the client's own or one we made.",
        "schema": {"type": "string"},
    },
    "RateLimitLimit": {
        "description": "Requests per minute, or in the endpoint's own time; absent when there "
        "is no limit.",
        "schema": {"type": "integer"},
    },
    "RateLimitRemaining": {
        "description": "Requests that may follow at once.",
        "schema": {"type": "integer"},
    },
    "RateLimitReset": {
        "description": "Unix seconds at which nothing of the limit is used.",
        "schema": {"type": "integer"},
    },
    "RetryAfter": {
        "description": "Seconds to wait before asking again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "Challenge": {
        "description": "How to sign in.",
        "required": True,
        "schema": {"type": "string"},
    },
    "IdempotentReplayed": {
        "description": "The answer is the one that was given to the first such request.",
        "schema": {"type": "string", "const": "true"},
    },
}
_PARAMETERS: JsonSchema = {
    "RequestId": {
        "name": "X-Request-Id",
        "in": "header",
        "required": False,
        "description": "An id of the client's own, to be found in answers and logs: 1 to 128 of "
        "`A-Za-z0-9._-`. Anything else is passed over, and the server makes one.",
        "schema": {"type": "string"},
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "description": "`handling=strict` refuses unknown fields and parameters.",
        "schema": {"type": "string", "examples": ["handling=strict"]},
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "A repeat with the same key within 24 hours is answered like the "
        "first request and has no effect.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    },
}
