"""How PostMTA's clients ask and what they are answered: envelopes, codes, strictness."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.errors import Detail, DetailCode, ErrorCode
from ..bodies import Request, accepts_json, is_form, is_json, read_file, read_json
from ..fields import Findings, snake_case
from ..handlers import Reply
from ..parameters import Params, Unreadable
from ..route import Call, CompatRoute, Fault, Refused

ERRORS: dict[ErrorCode | Fault, tuple[int, str]] = {
    Fault.INVALID_JSON: (400, "invalid_json"),
    Fault.INVALID_REQUEST: (400, "invalid_request"),
    Fault.METHOD_NOT_ALLOWED: (405, "method_not_allowed"),
    Fault.NOT_ACCEPTABLE: (406, "not_acceptable"),
    Fault.UNSUPPORTED_MEDIA_TYPE: (415, "unsupported_media_type"),
    ErrorCode.INVALID_INPUT: (422, "validation_failed"),
    ErrorCode.INVALID_CURSOR: (400, "invalid_cursor"),
    ErrorCode.NOT_AUTHENTICATED: (401, "authentication_required"),
    ErrorCode.INVALID_CREDENTIALS: (401, "invalid_credentials"),
    ErrorCode.INVALID_TOKEN: (401, "invalid_token"),
    ErrorCode.TOKEN_EXPIRED: (401, "token_expired"),
    ErrorCode.TOKEN_REVOKED: (401, "token_revoked"),
    ErrorCode.INVALID_API_KEY: (401, "invalid_api_key"),
    ErrorCode.API_KEY_EXPIRED: (401, "api_key_expired"),
    ErrorCode.AMBIGUOUS_CREDENTIALS: (400, "ambiguous_credentials"),
    ErrorCode.USER_DISABLED: (403, "user_disabled"),
    ErrorCode.INSUFFICIENT_ROLE: (403, "insufficient_role"),
    ErrorCode.INSUFFICIENT_SCOPE: (403, "insufficient_scope"),
    ErrorCode.ADDRESS_NOT_ALLOWED: (403, "ip_not_allowed"),
    ErrorCode.ORGANIZATION_SUSPENDED: (403, "organization_suspended"),
    ErrorCode.FEATURE_NOT_IN_PLAN: (403, "feature_not_in_plan"),
    ErrorCode.REGISTRATION_CLOSED: (403, "registration_closed"),
    ErrorCode.INVITATION_EXPIRED: (410, "invite_expired"),
    ErrorCode.RESET_EXPIRED: (410, "reset_expired"),
    ErrorCode.SECOND_FACTOR_REQUIRED: (401, "second_factor_required"),
    ErrorCode.SECOND_FACTOR_SETUP_REQUIRED: (403, "second_factor_setup_required"),
    ErrorCode.SECOND_FACTOR_WRONG: (401, "second_factor_wrong"),
    ErrorCode.SECOND_FACTOR_EXISTS: (409, "second_factor_exists"),
    ErrorCode.PROVIDER_REFUSED: (401, "provider_refused"),
    ErrorCode.PROVIDER_UNVERIFIED: (403, "provider_unverified"),
    ErrorCode.PROVIDER_TAKEN: (409, "provider_taken"),
    ErrorCode.PASSKEY_WRONG: (401, "passkey_wrong"),
    ErrorCode.PASSKEY_EXISTS: (409, "passkey_exists"),
    ErrorCode.PASSKEY_LIMIT_REACHED: (409, "passkey_limit_reached"),
    ErrorCode.PROJECT_ARCHIVED: (409, "project_archived"),
    ErrorCode.NOT_FOUND: (404, "not_found"),
    ErrorCode.UNKNOWN_CREDIT_TYPE: (404, "unknown_credit_type"),
    ErrorCode.EMAIL_TAKEN: (409, "email_taken"),
    ErrorCode.CANNOT_CHANGE_OWN_ROLE: (409, "cannot_change_own_role"),
    ErrorCode.LAST_OWNER: (409, "last_owner"),
    ErrorCode.MEMBER_EXISTS: (409, "member_exists"),
    ErrorCode.PROJECT_EXISTS: (409, "project_exists"),
    ErrorCode.API_KEY_DISABLED: (409, "api_key_disabled"),
    ErrorCode.API_KEY_LIMIT_REACHED: (409, "api_key_limit_reached"),
    ErrorCode.DOMAIN_EXISTS: (409, "domain_exists"),
    ErrorCode.DOMAIN_CLAIMED: (409, "domain_claimed"),
    ErrorCode.DOMAIN_IN_USE: (409, "domain_in_use"),
    ErrorCode.DOMAIN_NOT_VERIFIED: (403, "domain_not_verified"),
    ErrorCode.DOMAIN_NOT_ALLOWED: (403, "domain_not_allowed"),
    ErrorCode.SELECTOR_IN_USE: (409, "selector_in_use"),
    ErrorCode.ROTATION_IN_PROGRESS: (409, "rotation_in_progress"),
    ErrorCode.NOT_CANCELLABLE: (409, "not_cancellable"),
    ErrorCode.NOT_RESENDABLE: (409, "not_resendable"),
    ErrorCode.MESSAGE_NOT_SANDBOX: (409, "message_not_sandbox"),
    ErrorCode.ALREADY_FINAL: (409, "already_final"),
    ErrorCode.QUEUE_HELD: (409, "queue_held"),
    ErrorCode.VMTA_PAUSED: (409, "vmta_paused"),
    ErrorCode.VMTA_EXISTS: (409, "vmta_exists"),
    ErrorCode.WEBHOOK_LIMIT_REACHED: (409, "webhook_limit_reached"),
    ErrorCode.IP_IN_USE: (409, "ip_in_use"),
    ErrorCode.VMTA_BUSY: (409, "vmta_busy"),
    ErrorCode.VMTA_IN_USE: (409, "vmta_in_use"),
    ErrorCode.LAST_VMTA: (409, "last_vmta"),
    ErrorCode.AUTO_BLOCK_ACTIVE: (409, "auto_block_active"),
    ErrorCode.RULE_LOCKED: (403, "rule_locked"),
    ErrorCode.ADDRESS_BLOCKED: (403, "ip_blocked"),
    ErrorCode.INVALID_ACTION: (422, "invalid_action"),
    ErrorCode.REFERENCE_CONFLICT: (409, "reference_conflict"),
    ErrorCode.ALERT_LIMIT_REACHED: (409, "alert_limit_reached"),
    ErrorCode.CONFLICT: (409, "conflict"),
    ErrorCode.TEMPLATE_EXISTS: (409, "template_exists"),
    ErrorCode.TEMPLATE_IN_USE: (409, "template_in_use"),
    ErrorCode.TEMPLATE_LIMIT_REACHED: (409, "template_limit_reached"),
    ErrorCode.MESSAGE_UID_TAKEN: (409, "message_uid_taken"),
    ErrorCode.IDEMPOTENCY_IN_PROGRESS: (409, "idempotency_in_progress"),
    ErrorCode.IDEMPOTENCY_KEY_REUSE: (422, "idempotency_key_reuse"),
    ErrorCode.BATCH_REJECTED: (422, "batch_rejected"),
    ErrorCode.MESSAGE_TOO_LARGE: (413, "message_too_large"),
    ErrorCode.PAYLOAD_TOO_LARGE: (413, "payload_too_large"),
    ErrorCode.BILLING_NOT_CONFIGURED: (409, "billing_not_configured"),
    ErrorCode.NOT_AN_UPGRADE: (409, "not_an_upgrade"),
    ErrorCode.NOT_A_DOWNGRADE: (409, "not_a_downgrade"),
    ErrorCode.DOWNGRADE_BLOCKED: (409, "downgrade_blocked"),
    ErrorCode.CONTACT_SALES: (409, "contact_sales"),
    ErrorCode.ALREADY_SUBSCRIBED: (409, "already_subscribed"),
    ErrorCode.PLAN_CHANGE_IN_PROGRESS: (409, "plan_change_in_progress"),
    ErrorCode.INVOICE_NOT_OPEN: (409, "invoice_not_open"),
    ErrorCode.PAYMENT_METHOD_REQUIRED: (402, "payment_method_required"),
    ErrorCode.PAYMENT_FAILED: (402, "payment_failed"),
    ErrorCode.PAYMENT_PROVIDER_ERROR: (502, "payment_provider_error"),
    ErrorCode.RANGE_TOO_LARGE: (422, "range_too_large"),
    ErrorCode.INVALID_PERIOD: (422, "invalid_period"),
    ErrorCode.INVALID_INTERVAL: (422, "invalid_interval"),
    ErrorCode.INVALID_DIMENSION: (422, "invalid_dimension"),
    ErrorCode.EXPORT_TOO_LARGE: (422, "export_too_large"),
    ErrorCode.REPORT_TIMEOUT: (503, "report_timeout"),
    ErrorCode.INSUFFICIENT_CREDITS: (402, "insufficient_credits"),
    ErrorCode.QUOTA_EXCEEDED: (429, "quota_exceeded"),
    ErrorCode.RATE_LIMITED: (429, "rate_limited"),
    ErrorCode.ACCOUNT_LOCKED: (429, "account_locked"),
    ErrorCode.SCANNER_UNAVAILABLE: (503, "scanner_unavailable"),
    ErrorCode.DNS_UNAVAILABLE: (503, "dns_unavailable"),
    ErrorCode.SERVICE_UNAVAILABLE: (503, "service_unavailable"),
    ErrorCode.TIME_LIMIT: (503, "service_unavailable"),
    # Documents are ours, so that one which does not fit is our mistake.
    ErrorCode.DOCUMENT_INVALID: (500, "internal_error"),
    ErrorCode.PERSISTED_QUERY_NOT_FOUND: (500, "internal_error"),
    ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED: (500, "internal_error"),
    ErrorCode.DOCUMENT_NOT_TRUSTED: (500, "internal_error"),
    ErrorCode.DOCUMENT_TOO_COMPLEX: (500, "internal_error"),
    ErrorCode.SUBSCRIPTION_LIMIT_REACHED: (500, "internal_error"),
    ErrorCode.SUBSCRIPTION_OVERFLOW: (500, "internal_error"),
    ErrorCode.INTERNAL: (500, "internal_error"),
}
"""Status and code of every refusal; a test keeps it complete."""

RETRY_AFTER_SECONDS = 5
"""When a dependency is down, or too much was asked, and nothing better is known."""

PREFIX = "/api/v1"
NO_PARAMS = Params()


class PostmtaDialect:
    """PostMTA's way of asking and answering."""

    prefix = PREFIX
    api = "rest"
    suffix = ""
    reads_first = False
    inflates = False

    def __init__(self, routes: Sequence[CompatRoute]) -> None:
        self.routes = routes

    def open(self, request: Request) -> None:
        """Nothing is read before it is known who asks."""

    def speaks(self, request: Request) -> bool:
        """Every request that no other dialect of the prefix has claimed."""
        return True

    def key(self, request: Request) -> str | None:
        """Where everybody's are."""
        return None

    def accept(self, request: Request, route: CompatRoute) -> None:
        """Refuse all that is not JSON, in either direction."""
        if route.body is not None and request.has_body:
            _check_content_type(request, route)
        if not accepts_json(request.headers.get("accept")):
            raise Refused(Fault.NOT_ACCEPTABLE, "This endpoint answers application/json.")

    def read(
        self, request: Request, route: CompatRoute, path: Mapping[str, str], body: bytes
    ) -> Call:
        """Return what the request asks, with every field checked for its JSON type."""
        call = Call(path)
        found = Findings()
        strict = "handling=strict" in request.headers.get("prefer", "").replace(" ", "").lower()
        unknown = _read_query(request, route, call)
        if strict:
            for name in unknown:
                found.add(name, DetailCode.UNKNOWN_FIELD, "There is no such parameter.")
        if route.body is not None and (body or not route.body_is_optional):
            if body and not request.has_body:
                _check_content_type(request, route)
            content_type = request.headers.get("content-type", "")
            if route.takes_file and is_form(content_type):
                value = read_file(body, content_type)
            else:
                value = read_json(body)
            call.body = route.body.read(value, found)
            if strict:
                route.body.note_unknown(value, found)
        if found.details:
            raise _invalid(found.details)
        return call

    def success(self, request: Request, route: CompatRoute, data: Any, call: Call) -> Reply:
        """Answer the route's body with its status."""
        status = route.status if isinstance(route.status, int) else route.status(data)
        return Reply(status, route.answer(data, call))

    def failure(self, refused: Refused, request: Request, route: CompatRoute | None) -> Reply:
        """Answer the error envelope."""
        status, code = _status_and_code(refused, route)
        headers = list(refused.headers)
        if status == 401:
            headers.append(("www-authenticate", "Bearer"))
        if (wait := _retry_after(refused, status)) is not None:
            headers.append(("retry-after", str(wait)))
        error = {
            "code": code,
            "message": refused.message,
            "status": status,
            "details": details(refused, route),
            "request_id": request.request_id,
        }
        return Reply(status, {"error": error}, headers)


def _check_content_type(request: Request, route: CompatRoute) -> None:
    content_type = request.headers.get("content-type", "")
    if not is_json(content_type) and not (route.takes_file and is_form(content_type)):
        raise Refused(Fault.UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(Fault.UNSUPPORTED_MEDIA_TYPE, "Send the body without a Content-Encoding.")


def _read_query(request: Request, route: CompatRoute, call: Call) -> list[str]:
    """Read the query string into *call* and return the names nobody knows."""
    if not request.query:
        return []
    found = Findings()
    params = route.query or NO_PARAMS
    try:
        call.query, call.given, unknown = params.read(request.query, found)
    except Unreadable as error:
        raise Refused(Fault.INVALID_REQUEST, "The query string cannot be read.") from error
    if found.details:
        raise Refused(
            Fault.INVALID_REQUEST, "A query parameter is malformed.", details=found.details
        )
    return unknown


def _invalid(found: Sequence[Detail]) -> Refused:
    noun = "field" if len(found) == 1 else "fields"
    return Refused(
        ErrorCode.INVALID_INPUT, f"The request has {len(found)} invalid {noun}.", details=found
    )


def _status_and_code(refused: Refused, route: CompatRoute | None) -> tuple[int, str]:
    if refused.code is ErrorCode.INVALID_INPUT and route is not None and route.method == "GET":
        unknown = all(d.code is DetailCode.UNKNOWN_FIELD for d in refused.details)
        if not (refused.details and unknown):
            return ERRORS[Fault.INVALID_REQUEST]
    return ERRORS[refused.code]


def _retry_after(refused: Refused, status: int) -> int | None:
    if refused.retry_after_seconds is not None:
        return max(1, refused.retry_after_seconds)
    return RETRY_AFTER_SECONDS if status in (429, 503) else None


def details(refused: Refused, route: CompatRoute | None) -> list[dict[str, str]]:
    """Return what is wrong with each field, by the client's names and in its words."""
    found = refused.details
    if not found and refused.code is ErrorCode.INSUFFICIENT_ROLE:
        found = (Detail("role", DetailCode.NOT_ALLOWED, refused.message),)
    return [
        {
            "field": theirs(d.field, route) if refused.in_our_words else d.field,
            "code": d.code.value.lower(),
            "message": d.message,
        }
        for d in found
    ]


PAGING = {"first": "limit", "after": "cursor"}


def theirs(path: str, route: CompatRoute | None) -> str:
    """Return the client's name for a path of our input."""
    if route is None:
        return snake_case(path)
    if route.query is not None:
        name = path.removeprefix("filter.")
        return PAGING.get(name) or route.query.theirs(name) or snake_case(name)
    return route.body.theirs(path) if route.body is not None else snake_case(path)
