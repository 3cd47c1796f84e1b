"""Enums of the areas made part of the schema, each value described."""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

import strawberry

from ..core.actor import ActorKind, Mode
from ..core.errors import DetailCode, ErrorCode
from ..delivery.isps import Isp
from ..mail.templating import Syntax
from ..messages.rules import Stream
from ..security.rules import KeyFormat

AnyEnum = TypeVar("AnyEnum", bound=type[Enum])


def describe_enum(
    enum: AnyEnum, description: str, values: Mapping[str, str], *, name: str | None = None
) -> AnyEnum:
    """Make *enum* a GraphQL enum, and describe it and each of its members by name.

    A member that *values* leaves out fails a test, not the start.
    """
    strawberry.enum(enum, description=description, name=name)
    for value in enum.__strawberry_definition__.values:  # type: ignore[attr-defined]
        value.description = values.get(value.name)
    return enum


describe_enum(
    ErrorCode,
    "Why something was refused, as `extensions.code` of an error. More codes may be added; "
    "none is renamed.",
    {
        "INVALID_INPUT": "A value breaks a documented rule; `details` name each field.",
        "INVALID_CURSOR": "The cursor is not one of this list with this filter and order.",
        "NOT_AUTHENTICATED": "No credential was sent, or none that is known.",
        "INVALID_CREDENTIALS": "Email address or password is wrong.",
        "INVALID_TOKEN": "The token is not one of ours, or not for this purpose.",
        "TOKEN_EXPIRED": "The token was good, but its time is over.",
        "TOKEN_REVOKED": "The token was withdrawn, or was used twice.",
        "INVALID_API_KEY": "The API key is unknown or has been deleted.",
        "API_KEY_EXPIRED": "The API key was good, but its time is over.",
        "AMBIGUOUS_CREDENTIALS": "Two different credentials came with one request.",
        "USER_DISABLED": "The user may not sign in.",
        "INSUFFICIENT_ROLE": "The role does not allow this.",
        "INSUFFICIENT_SCOPE": "The API key lacks the scope that this needs.",
        "ADDRESS_NOT_ALLOWED": "The credential may not be used from this network address.",
        "ORGANIZATION_SUSPENDED": "The organization can read, but not change anything.",
        "FEATURE_NOT_IN_PLAN": "The plan does not allow it, or no more of it.",
        "REGISTRATION_CLOSED": "New accounts are by invitation only.",
        "INVITATION_EXPIRED": "The invitation is too old, withdrawn or used.",
        "RESET_EXPIRED": "The link for a new password is too old, replaced or used.",
        "SECOND_FACTOR_REQUIRED": "Send a code of the second factor, too.",
        "SECOND_FACTOR_SETUP_REQUIRED": "The organization asks for a second factor: set one up, or "
        "keep it.",
        "SECOND_FACTOR_WRONG": "The code is wrong, too old, or was used before.",
        "SECOND_FACTOR_EXISTS": "The person has a second factor already.",
        "PROVIDER_REFUSED": "What came back from the provider of identities does not fit.",
        "PROVIDER_UNVERIFIED": "The provider has not verified the address, or an account has it.",
        "PROVIDER_TAKEN": "The provider's identity signs in to an account already.",
        "PASSKEY_WRONG": "The passkey's answer is not one to what was asked, or is nobody's.",
        "PASSKEY_EXISTS": "The passkey belongs to an account already.",
        "PASSKEY_LIMIT_REACHED": "The person has as many passkeys as they may have.",
        "PROJECT_ARCHIVED": "The project is archived.",
        "NOT_FOUND": "It is absent, or belongs to somebody else; the two are not told apart.",
        "UNKNOWN_CREDIT_TYPE": "There is no such type of credits.",
        "EMAIL_TAKEN": "Somebody has this email address already.",
        "CANNOT_CHANGE_OWN_ROLE": "Nobody changes their own role.",
        "LAST_OWNER": "An organization keeps at least one owner.",
        "MEMBER_EXISTS": "The person belongs to the organization already.",
        "PROJECT_EXISTS": "The organization has a project with this slug already.",
        "API_KEY_DISABLED": "The API key is switched off.",
        "API_KEY_LIMIT_REACHED": "The organization has as many API keys as it may have.",
        "DOMAIN_EXISTS": "The organization has this domain already.",
        "DOMAIN_CLAIMED": "Another organization has verified this domain.",
        "DOMAIN_IN_USE": "Something still needs the domain.",
        "DOMAIN_NOT_VERIFIED": "The domain is not verified yet.",
        "DOMAIN_NOT_ALLOWED": "The API key may not use this domain.",
        "SELECTOR_IN_USE": "Another key of the domain has this selector.",
        "ROTATION_IN_PROGRESS": "The key is being replaced already.",
        "NOT_CANCELLABLE": "It is too late to cancel it.",
        "NOT_RESENDABLE": "Nobody needs it again, or it is no longer kept.",
        "MESSAGE_NOT_SANDBOX": "The message is live; only sandbox mail can be simulated.",
        "ALREADY_FINAL": "The recipient is final, and the outcome cannot follow.",
        "QUEUE_HELD": "The queue is held; release it first.",
        "VMTA_PAUSED": "The vMTA is paused; resume it first.",
        "VMTA_EXISTS": "The organization has a vMTA with this name.",
        "IP_IN_USE": "Another vMTA has the address.",
        "VMTA_BUSY": "The vMTA is not paused, or something of it is still on the wire.",
        "VMTA_IN_USE": "Mail waits for the vMTA.",
        "LAST_VMTA": "Mail waits for the vMTA, and there is no other.",
        "AUTO_BLOCK_ACTIVE": "An auto-block stopped it; resolve the block.",
        "RULE_LOCKED": "The operator does not let the rule be switched.",
        "ADDRESS_BLOCKED": "Nobody may sign in from this network now.",
        "INVALID_ACTION": "There is no such action.",
        "REFERENCE_CONFLICT": "Another amount was consumed with this reference.",
        "ALERT_LIMIT_REACHED": "There are as many alerts of the type as there may be.",
        "WEBHOOK_LIMIT_REACHED": "There are as many webhooks as there may be.",
        "TEMPLATE_EXISTS": "There is a template with this slug.",
        "TEMPLATE_IN_USE": "Other templates are put into it.",
        "TEMPLATE_LIMIT_REACHED": "There are as many templates or versions as there may be.",
        "MESSAGE_UID_TAKEN": "The project has a message with this uid.",
        "CONFLICT": "Its present state does not allow this.",
        "IDEMPOTENCY_IN_PROGRESS": "The first request with this idempotency key still runs.",
        "IDEMPOTENCY_KEY_REUSE": "The idempotency key came with another request before.",
        "BATCH_REJECTED": "The batch was refused as a whole; nothing was sent.",
        "MESSAGE_TOO_LARGE": "The message is larger than one may send.",
        "PAYLOAD_TOO_LARGE": "The request is larger than the service takes.",
        "BILLING_NOT_CONFIGURED": "The deployment has no payment provider for this.",
        "NOT_AN_UPGRADE": "The plan asked for is not above the present one.",
        "NOT_A_DOWNGRADE": "The plan asked for is not below the present one.",
        "DOWNGRADE_BLOCKED": "More is in use than the plan allows; `details` name each.",
        "CONTACT_SALES": "The plan is agreed by contract.",
        "ALREADY_SUBSCRIBED": "A plan is paid for already; change it instead.",
        "PLAN_CHANGE_IN_PROGRESS": "Another change of the plan waits for its payment.",
        "INVOICE_NOT_OPEN": "The invoice is paid, void or given up.",
        "PAYMENT_METHOD_REQUIRED": "Nothing is stored that could be charged.",
        "PAYMENT_FAILED": "The payment was refused; nothing has changed.",
        "PAYMENT_PROVIDER_ERROR": "The payment provider did not answer as it should.",
        "RANGE_TOO_LARGE": "The range holds more periods than one answer may.",
        "INVALID_PERIOD": "No stretch of time is meant by it.",
        "INVALID_INTERVAL": "The stretch of time cannot be cut like that.",
        "INVALID_DIMENSION": "Mail is not told apart by that.",
        "EXPORT_TOO_LARGE": "It has more rows than one file holds.",
        "REPORT_TIMEOUT": "A report took longer than anybody waits for.",
        "INSUFFICIENT_CREDITS": "The credits left do not suffice.",
        "QUOTA_EXCEEDED": "The sending quota of the day or month is spent.",
        "RATE_LIMITED": "Too many requests; `retryAfterSeconds` says when to come back.",
        "ACCOUNT_LOCKED": "Too many failed sign-ins; `retryAfterSeconds` says when it ends.",
        "SCANNER_UNAVAILABLE": "There is no scanner for it, or it does not answer.",
        "DNS_UNAVAILABLE": "The name servers did not answer in time.",
        "SERVICE_UNAVAILABLE": "A part that is needed is down or switched off.",
        "DOCUMENT_INVALID": "The GraphQL document does not parse, or does not fit the schema.",
        "PERSISTED_QUERY_NOT_FOUND": "No text of this hash is known here; send it with its hash.",
        "PERSISTED_QUERY_NOT_SUPPORTED": "Hashes are not taken in the place of this text; send it.",
        "DOCUMENT_NOT_TRUSTED": "Only documents that were registered beforehand are taken here.",
        "DOCUMENT_TOO_COMPLEX": "The GraphQL document is beyond a limit; the message says which.",
        "SUBSCRIPTION_LIMIT_REACHED": "The credential or connection has as many subscriptions as "
        "it may have.",
        "SUBSCRIPTION_OVERFLOW": "Events were taken too slowly; subscribe again.",
        "TIME_LIMIT": "It took longer than it may. A mutation is done as a whole or not at all; "
        "asking again with the same idempotency key tells which, and does it once.",
        "INTERNAL": "Something went wrong on our side; it is logged under the request id.",
    },
)
describe_enum(
    DetailCode,
    "What is wrong with one field of the input.",
    {
        "REQUIRED": "It is missing.",
        "INVALID_TYPE": "It is of another type.",
        "INVALID_FORMAT": "It is not written the way it has to be.",
        "INVALID_EMAIL": "It is not an email address.",
        "INVALID_DOMAIN": "It is not a domain name.",
        "INVALID_IP": "It is not an IP address or network.",
        "INVALID_URL": "It is not an address that can be used.",
        "TOO_SHORT": "It has too few characters.",
        "TOO_LONG": "It has too many characters.",
        "TOO_SMALL": "The number is too small.",
        "TOO_LARGE": "The number or size is too large.",
        "TOO_MANY": "There are too many of them.",
        "NOT_ALLOWED": "This value is not one of those allowed.",
        "DUPLICATE": "It is there twice.",
        "UNKNOWN_FIELD": "There is no such field.",
        "MUTUALLY_EXCLUSIVE": "It cannot be used together with another field.",
        "IN_PAST": "The time is over.",
        "TOO_FAR_AHEAD": "The time is too far in the future.",
        "NOT_FOUND": "What it refers to is not there.",
        "WEAK_PASSWORD": "The password is too easy to guess.",
        "NOT_PUBLIC_IP": "It is not a public IP address.",
    },
)
describe_enum(
    ActorKind,
    "How somebody signed in.",
    {
        "USER": "A person, with a token.",
        "API_KEY": "A program, with an API key.",
        "PLATFORM": "The platform itself.",
    },
)
describe_enum(
    Mode,
    "Whether mail really leaves.",
    {
        "LIVE": "It does.",
        "SANDBOX": "Mail is accepted and shown, but not delivered, and costs nothing.",
    },
)

describe_enum(
    Isp,
    "Who runs a mailbox.",
    {
        "GOOGLE": "Gmail and Google Workspace.",
        "MICROSOFT": "Outlook.com and Microsoft 365.",
        "YAHOO": "Yahoo, AOL and Verizon.",
        "APPLE": "Apple's iCloud.",
        "COMCAST": "Comcast.",
        "GMX": "GMX, WEB.DE and 1&1.",
        "OTHER": "Anybody else.",
    },
)

describe_enum(
    Syntax,
    "How a template says where values go.",
    {
        "JINJA": "The language Jinja in its sandbox; a layout takes `content`. HTML is escaped.",
        "BRACES": "`{{name}}` and, in a layout, `{{*}}`; values stand as they are.",
    },
    name="TemplateSyntax",
)

describe_enum(
    Stream,
    "What kind of mail it is.",
    {
        "TRANSACTIONAL": "What one person waits for; goes first.",
        "MARKETING": "What many get; can be unsubscribed from with one click.",
    },
)

describe_enum(
    KeyFormat,
    "How a secret is written, so that clients of other platforms take it. Every API of ours "
    "takes every form.",
    {
        "STANDARD": "`pmta_`, 8 hexadecimal digits, `_`, and 43 letters and digits.",
        "POSTAL": "24 letters and digits.",
        "POSTAGEAPP": "32 letters and digits.",
    },
    name="ApiKeyFormat",
)
