"""Errors an area raises on purpose. Anything else is a bug.

* OperationError
  - InvalidInput      a value breaks a documented rule
  - NotAuthenticated  nobody, or nobody known, is asking
  - NotPermitted      the actor may see it, but not do this
  - NotFound          it is absent, or belongs to somebody else
  - Conflict          its state forbids this now
  - LimitReached      a balance, quota or rate is spent
  - Unavailable       a part that is needed is down or switched off
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """Public, stable names of refusals; more are added freely, none is renamed."""

    INVALID_INPUT = "INVALID_INPUT"
    INVALID_CURSOR = "INVALID_CURSOR"
    NOT_AUTHENTICATED = "NOT_AUTHENTICATED"
    INVALID_CREDENTIALS = "INVALID_CREDENTIALS"
    INVALID_TOKEN = "INVALID_TOKEN"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    TOKEN_REVOKED = "TOKEN_REVOKED"
    INVALID_API_KEY = "INVALID_API_KEY"
    API_KEY_EXPIRED = "API_KEY_EXPIRED"
    AMBIGUOUS_CREDENTIALS = "AMBIGUOUS_CREDENTIALS"
    USER_DISABLED = "USER_DISABLED"
    INSUFFICIENT_ROLE = "INSUFFICIENT_ROLE"
    INSUFFICIENT_SCOPE = "INSUFFICIENT_SCOPE"
    ADDRESS_NOT_ALLOWED = "ADDRESS_NOT_ALLOWED"
    ORGANIZATION_SUSPENDED = "ORGANIZATION_SUSPENDED"
    FEATURE_NOT_IN_PLAN = "FEATURE_NOT_IN_PLAN"
    REGISTRATION_CLOSED = "REGISTRATION_CLOSED"
    INVITATION_EXPIRED = "INVITATION_EXPIRED"
    RESET_EXPIRED = "RESET_EXPIRED"
    SECOND_FACTOR_REQUIRED = "SECOND_FACTOR_REQUIRED"
    SECOND_FACTOR_SETUP_REQUIRED = "SECOND_FACTOR_SETUP_REQUIRED"
    SECOND_FACTOR_WRONG = "SECOND_FACTOR_WRONG"
    SECOND_FACTOR_EXISTS = "SECOND_FACTOR_EXISTS"
    PASSKEY_WRONG = "PASSKEY_WRONG"
    PROVIDER_REFUSED = "PROVIDER_REFUSED"
    PROVIDER_UNVERIFIED = "PROVIDER_UNVERIFIED"
    PROVIDER_TAKEN = "PROVIDER_TAKEN"
    PASSKEY_EXISTS = "PASSKEY_EXISTS"
    PASSKEY_LIMIT_REACHED = "PASSKEY_LIMIT_REACHED"
    PROJECT_ARCHIVED = "PROJECT_ARCHIVED"
    NOT_FOUND = "NOT_FOUND"
    UNKNOWN_CREDIT_TYPE = "UNKNOWN_CREDIT_TYPE"
    EMAIL_TAKEN = "EMAIL_TAKEN"
    CANNOT_CHANGE_OWN_ROLE = "CANNOT_CHANGE_OWN_ROLE"
    LAST_OWNER = "LAST_OWNER"
    MEMBER_EXISTS = "MEMBER_EXISTS"
    PROJECT_EXISTS = "PROJECT_EXISTS"
    API_KEY_DISABLED = "API_KEY_DISABLED"
    API_KEY_LIMIT_REACHED = "API_KEY_LIMIT_REACHED"
    DOMAIN_EXISTS = "DOMAIN_EXISTS"
    DOMAIN_CLAIMED = "DOMAIN_CLAIMED"
    DOMAIN_IN_USE = "DOMAIN_IN_USE"
    DOMAIN_NOT_VERIFIED = "DOMAIN_NOT_VERIFIED"
    DOMAIN_NOT_ALLOWED = "DOMAIN_NOT_ALLOWED"
    SELECTOR_IN_USE = "SELECTOR_IN_USE"
    ROTATION_IN_PROGRESS = "ROTATION_IN_PROGRESS"
    NOT_CANCELLABLE = "NOT_CANCELLABLE"
    NOT_RESENDABLE = "NOT_RESENDABLE"
    MESSAGE_NOT_SANDBOX = "MESSAGE_NOT_SANDBOX"
    ALREADY_FINAL = "ALREADY_FINAL"
    QUEUE_HELD = "QUEUE_HELD"
    VMTA_PAUSED = "VMTA_PAUSED"
    VMTA_EXISTS = "VMTA_EXISTS"
    IP_IN_USE = "IP_IN_USE"
    VMTA_BUSY = "VMTA_BUSY"
    VMTA_IN_USE = "VMTA_IN_USE"
    LAST_VMTA = "LAST_VMTA"
    AUTO_BLOCK_ACTIVE = "AUTO_BLOCK_ACTIVE"
    RULE_LOCKED = "RULE_LOCKED"
    ADDRESS_BLOCKED = "ADDRESS_BLOCKED"
    INVALID_ACTION = "INVALID_ACTION"
    REFERENCE_CONFLICT = "REFERENCE_CONFLICT"
    ALERT_LIMIT_REACHED = "ALERT_LIMIT_REACHED"
    WEBHOOK_LIMIT_REACHED = "WEBHOOK_LIMIT_REACHED"
    TEMPLATE_EXISTS = "TEMPLATE_EXISTS"
    TEMPLATE_IN_USE = "TEMPLATE_IN_USE"
    TEMPLATE_LIMIT_REACHED = "TEMPLATE_LIMIT_REACHED"
    MESSAGE_UID_TAKEN = "MESSAGE_UID_TAKEN"
    CONFLICT = "CONFLICT"
    IDEMPOTENCY_IN_PROGRESS = "IDEMPOTENCY_IN_PROGRESS"
    IDEMPOTENCY_KEY_REUSE = "IDEMPOTENCY_KEY_REUSE"
    BATCH_REJECTED = "BATCH_REJECTED"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    BILLING_NOT_CONFIGURED = "BILLING_NOT_CONFIGURED"
    NOT_AN_UPGRADE = "NOT_AN_UPGRADE"
    NOT_A_DOWNGRADE = "NOT_A_DOWNGRADE"
    DOWNGRADE_BLOCKED = "DOWNGRADE_BLOCKED"
    CONTACT_SALES = "CONTACT_SALES"
    ALREADY_SUBSCRIBED = "ALREADY_SUBSCRIBED"
    PLAN_CHANGE_IN_PROGRESS = "PLAN_CHANGE_IN_PROGRESS"
    INVOICE_NOT_OPEN = "INVOICE_NOT_OPEN"
    PAYMENT_METHOD_REQUIRED = "PAYMENT_METHOD_REQUIRED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    PAYMENT_PROVIDER_ERROR = "PAYMENT_PROVIDER_ERROR"
    RANGE_TOO_LARGE = "RANGE_TOO_LARGE"
    INVALID_PERIOD = "INVALID_PERIOD"
    INVALID_INTERVAL = "INVALID_INTERVAL"
    INVALID_DIMENSION = "INVALID_DIMENSION"
    EXPORT_TOO_LARGE = "EXPORT_TOO_LARGE"
    REPORT_TIMEOUT = "REPORT_TIMEOUT"
    INSUFFICIENT_CREDITS = "INSUFFICIENT_CREDITS"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    RATE_LIMITED = "RATE_LIMITED"
    ACCOUNT_LOCKED = "ACCOUNT_LOCKED"
    SCANNER_UNAVAILABLE = "SCANNER_UNAVAILABLE"
    DNS_UNAVAILABLE = "DNS_UNAVAILABLE"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    DOCUMENT_INVALID = "DOCUMENT_INVALID"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    PERSISTED_QUERY_NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
    DOCUMENT_NOT_TRUSTED = "DOCUMENT_NOT_TRUSTED"
    DOCUMENT_TOO_COMPLEX = "DOCUMENT_TOO_COMPLEX"
    SUBSCRIPTION_LIMIT_REACHED = "SUBSCRIPTION_LIMIT_REACHED"
    SUBSCRIPTION_OVERFLOW = "SUBSCRIPTION_OVERFLOW"
    TIME_LIMIT = "TIME_LIMIT"
    INTERNAL = "INTERNAL"


class DetailCode(StrEnum):
    """What is wrong with one field."""

    REQUIRED = "REQUIRED"
    INVALID_TYPE = "INVALID_TYPE"
    INVALID_FORMAT = "INVALID_FORMAT"
    INVALID_EMAIL = "INVALID_EMAIL"
    INVALID_DOMAIN = "INVALID_DOMAIN"
    INVALID_IP = "INVALID_IP"
    INVALID_URL = "INVALID_URL"
    TOO_SHORT = "TOO_SHORT"
    TOO_LONG = "TOO_LONG"
    TOO_SMALL = "TOO_SMALL"
    TOO_LARGE = "TOO_LARGE"
    TOO_MANY = "TOO_MANY"
    NOT_ALLOWED = "NOT_ALLOWED"
    DUPLICATE = "DUPLICATE"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    MUTUALLY_EXCLUSIVE = "MUTUALLY_EXCLUSIVE"
    IN_PAST = "IN_PAST"
    TOO_FAR_AHEAD = "TOO_FAR_AHEAD"
    NOT_FOUND = "NOT_FOUND"
    WEAK_PASSWORD = "WEAK_PASSWORD"
    NOT_PUBLIC_IP = "NOT_PUBLIC_IP"


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing wrong with one field of the input; *field* is a path such as `to[0]`."""

    field: str
    code: DetailCode
    message: str


class OperationError(Exception):
    """A refusal with a public code and a sentence that a customer may read."""

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL
    message: ClassVar[str] = "The operation was refused."

    def __init__(
        self,
        message: str | None = None,
        *,
        code: ErrorCode | None = None,
        details: Iterable[Detail] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        self.sentence = message or type(self).message
        self.error_code = code or type(self).code
        self.details = tuple(details)
        self.retry_after_seconds = retry_after_seconds
        self.replayed = False
        """Whether it is what an earlier request with the same idempotency key was told."""
        super().__init__(self.sentence)


class InvalidInput(OperationError):
    """A value breaks a documented rule; *details* name each field."""

    code = ErrorCode.INVALID_INPUT
    message = "The input is not valid."

    @classmethod
    def of(cls, field: str, code: DetailCode, message: str) -> "InvalidInput":
        """Return the error for one field."""
        return cls(message, details=(Detail(field, code, message),))

    @classmethod
    def all(cls, details: Iterable[Detail]) -> "InvalidInput":
        """Return one error for several fields."""
        found = tuple(details)
        noun = "field" if len(found) == 1 else "fields"
        return cls(f"The request has {len(found)} invalid {noun}.", details=found)


class NotAuthenticated(OperationError):
    """Nobody, or nobody known, is asking."""

    code = ErrorCode.NOT_AUTHENTICATED
    message = "Sign in, or send an API key."


class NotPermitted(OperationError):
    """The actor may see it, but not do this."""

    code = ErrorCode.INSUFFICIENT_ROLE
    message = "You may not do this."


class NotFound(OperationError):
    """It is absent, or belongs to somebody else; the two are the same answer."""

    code = ErrorCode.NOT_FOUND
    message = "There is no such thing in this organization."


class Conflict(OperationError):
    """Its state forbids this now."""

    code = ErrorCode.CONFLICT
    message = "Its present state does not allow this."


class LimitReached(OperationError):
    """A balance, quota or rate is spent."""

    code = ErrorCode.RATE_LIMITED
    message = "A limit is reached."


class Unavailable(OperationError):
    """A part that is needed is down or switched off."""

    code = ErrorCode.SERVICE_UNAVAILABLE
    message = "A part of the service that this needs is not available; try again shortly."
