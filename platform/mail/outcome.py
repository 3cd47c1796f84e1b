"""What one attempt came to: what a reply means, and everything worth keeping about it."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from .tls import TlsPolicy

LONGEST_TEXT = 2000
"""Characters of a reply that are read for its words: a stranger chooses how many there are."""


class Verdict(StrEnum):
    """What an attempt means for its delivery."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"


class BounceType(StrEnum):
    """What a failure says: of the recipient for good, of this moment, or of us."""

    HARD = "hard"
    SOFT = "soft"
    BLOCK = "block"


class BounceClass(StrEnum):
    """Why an attempt failed."""

    INVALID_RECIPIENT = "invalid_recipient"
    INACTIVE_MAILBOX = "inactive_mailbox"
    BAD_DOMAIN = "bad_domain"
    MAILBOX_FULL = "mailbox_full"
    TEMPORARY_FAILURE = "temporary_failure"
    CONNECTION_FAILURE = "connection_failure"
    RATE_LIMITED = "rate_limited"
    AUTH_FAILURE = "auth_failure"
    CONTENT_REJECTED = "content_rejected"
    REPUTATION_BLOCK = "reputation_block"
    POLICY_REJECTED = "policy_rejected"
    UNCLASSIFIED = "unclassified"

    def type_for(self, verdict: Verdict) -> BounceType:
        """Return the type; an unclassified failure is hard only if it was final."""
        if self is BounceClass.UNCLASSIFIED:
            return BounceType.HARD if verdict is Verdict.BOUNCED else BounceType.SOFT
        return _TYPES[self]


_TYPES = {
    BounceClass.INVALID_RECIPIENT: BounceType.HARD,
    BounceClass.INACTIVE_MAILBOX: BounceType.HARD,
    BounceClass.BAD_DOMAIN: BounceType.HARD,
    BounceClass.MAILBOX_FULL: BounceType.SOFT,
    BounceClass.TEMPORARY_FAILURE: BounceType.SOFT,
    BounceClass.CONNECTION_FAILURE: BounceType.SOFT,
    BounceClass.RATE_LIMITED: BounceType.SOFT,
    BounceClass.AUTH_FAILURE: BounceType.BLOCK,
    BounceClass.CONTENT_REJECTED: BounceType.BLOCK,
    BounceClass.REPUTATION_BLOCK: BounceType.BLOCK,
    BounceClass.POLICY_REJECTED: BounceType.BLOCK,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one attempt for one recipient.

    *code* and *enhanced_code* are the deciding reply's, `None` where there was no reply;
    *bounce_class* is `None` only for what was delivered. The rest says with whom we talked and
    how: *tls_verified* is whether the certificate was good for *mx_host*, `None` without TLS or
    where this machine has no certificates to compare with; *tls_policy* is what decided how much
    encryption it took, `None` where nobody was talked to. *transcript* has neither credentials
    nor content.
    """

    verdict: Verdict
    code: int | None
    enhanced_code: str | None
    text: str
    bounce_class: BounceClass | None
    mx_host: str | None
    mx_address: str | None
    tls_version: str | None
    tls_cipher: str | None
    tls_verified: bool | None
    started_at: datetime
    duration: timedelta
    transcript: tuple[str, ...]
    tls_policy: TlsPolicy | None = None
    is_local: bool = False
    """Nobody was asked: it failed here, which says nothing of the receiver."""

    @property
    def bounce_type(self) -> BounceType | None:
        """Whether the failure is hard, soft or a block; `None` for what was delivered."""
        return self.bounce_class.type_for(self.verdict) if self.bounce_class else None


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that we found without a reply: no route, no connection, or a local refusal."""

    verdict: Verdict
    bounce_class: BounceClass
    text: str
    enhanced_code: str | None = None
    is_local: bool = False
    """It is ours, and nobody was asked: a refusal of our own, or something that is broken here."""


_GREYLISTS = re.compile(r"gr[ae]y[- ]?list", re.IGNORECASE)
"""What replies of receivers that greylist have in common."""


def is_greylisting(code: int | None, text: str) -> bool:
    """Say whether a reply asks to come again just because the receiver does not know us yet."""
    return code is not None and 400 <= code < 500 and _GREYLISTS.search(text) is not None


def outcome_of_reply(
    code: int, text: str, *, started_at: datetime, duration: timedelta = timedelta()
) -> Outcome:
    """Return the outcome of an attempt decided by that reply, without a word on the connection.

    *text* is the reply without its code, several lines joined by a line feed.
    """
    enhanced_code = read_enhanced_code(code, text)
    verdict, bounce_class = classify_reply(code, text)
    return Outcome(
        verdict=verdict,
        code=code,
        enhanced_code=enhanced_code,
        text=text,
        bounce_class=bounce_class,
        mx_host=None,
        mx_address=None,
        tls_version=None,
        tls_cipher=None,
        tls_verified=None,
        started_at=started_at,
        duration=duration,
        transcript=(),
    )


def outcome_of_failure(
    failure: Failure, *, started_at: datetime, duration: timedelta = timedelta()
) -> Outcome:
    """Return the outcome of an attempt that ended without a deciding reply."""
    return Outcome(
        verdict=failure.verdict,
        code=None,
        enhanced_code=failure.enhanced_code,
        text=failure.text,
        bounce_class=failure.bounce_class,
        mx_host=None,
        mx_address=None,
        tls_version=None,
        tls_cipher=None,
        tls_verified=None,
        started_at=started_at,
        duration=duration,
        transcript=(),
        is_local=failure.is_local,
    )


def read_enhanced_code(code: int, text: str) -> str | None:
    """Return the enhanced status code that *text* begins with, if its class is that of *code*.

    Source: RFC 2034 section 4.
    """
    match = _ENHANCED.match(text)
    return match[0] if match and match[0][0] == str(code)[:1] else None


def classify_reply(code: int, text: str) -> tuple[Verdict, BounceClass | None]:
    """Return what a reply means by its code, its enhanced code and, last, its words.

    Source: RFC 5321 section 4.2, RFC 3463, RFC 7372, RFC 7504, RFC 7505.
    """
    if 200 <= code < 300:
        return Verdict.DELIVERED, None
    # Anything that is no SMTP reply at all may be another tomorrow.
    verdict = Verdict.BOUNCED if 500 <= code < 600 else Verdict.DEFERRED
    status = (read_enhanced_code(code, text) or "")[2:]
    found = _BY_STATUS.get(status)
    if found is None and verdict is Verdict.BOUNCED:
        found = _BY_FINAL_STATUS.get(status)
    if found is None:
        start = text[:LONGEST_TEXT]
        found = next((each for words, each in _BY_WORDS if words.search(start)), None)
    return verdict, found or _by_code(code, status, verdict)


_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")

_BY_STATUS = {
    "1.1": BounceClass.INVALID_RECIPIENT,
    "1.2": BounceClass.BAD_DOMAIN,
    "1.3": BounceClass.INVALID_RECIPIENT,
    "1.6": BounceClass.INVALID_RECIPIENT,
    "1.7": BounceClass.POLICY_REJECTED,
    "1.8": BounceClass.POLICY_REJECTED,
    "1.10": BounceClass.BAD_DOMAIN,
    "2.2": BounceClass.MAILBOX_FULL,
    "2.3": BounceClass.POLICY_REJECTED,
    "3.4": BounceClass.POLICY_REJECTED,
    "5.3": BounceClass.RATE_LIMITED,
    "6.7": BounceClass.POLICY_REJECTED,
    "6.9": BounceClass.POLICY_REJECTED,
    "7.20": BounceClass.AUTH_FAILURE,
    "7.21": BounceClass.AUTH_FAILURE,
    "7.22": BounceClass.AUTH_FAILURE,
    "7.23": BounceClass.AUTH_FAILURE,
    "7.24": BounceClass.AUTH_FAILURE,
    "7.25": BounceClass.AUTH_FAILURE,
    "7.26": BounceClass.AUTH_FAILURE,
    "7.27": BounceClass.AUTH_FAILURE,
    "7.28": BounceClass.RATE_LIMITED,
    "7.29": BounceClass.AUTH_FAILURE,
}
"""By subject and detail, whatever the class. Source: the IANA registry of enhanced codes."""

_BY_FINAL_STATUS = {
    # As a 4xx, Gmail says 4.2.1 to a mailbox that gets too much mail at once.
    "2.1": BounceClass.INACTIVE_MAILBOX,
    "4.4": BounceClass.BAD_DOMAIN,
    "4.6": BounceClass.POLICY_REJECTED,
    "6.0": BounceClass.CONTENT_REJECTED,
    "6.1": BounceClass.CONTENT_REJECTED,
}


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_BY_WORDS = (
    (_words(r"gr[ea]ylist"), BounceClass.TEMPORARY_FAILURE),
    (
        _words(
            r"block ?list|black ?list|block list|spamhaus|spamcop|barracuda|sorbs|\bdnsbl\b|\brbl\b"
            r"|reputation|blocked using|ip .{0,40}(?:blocked|banned|listed)"
        ),
        BounceClass.REPUTATION_BLOCK,
    ),
    (
        _words(
            r"\bspf\b|\bdkim\b|\bdmarc\b|\bptr\b|reverse (?:dns|hostname|lookup)|\brdns\b"
            r"|unauthenticated (?:e-?mail|sender)"
        ),
        BounceClass.AUTH_FAILURE,
    ),
    (
        _words(
            r"too (?:many|much|fast|quick)|\brate\b.{0,20}limit|throttl|temporarily rate"
            r"|unusual rate|exceeded the (?:maximum|number|rate)|try again later, too"
        ),
        BounceClass.RATE_LIMITED,
    ),
    (
        _words(
            r"virus|malware|phish|(?:looks|classified|detected|identified|rejected|message is)"
            r".{0,30}spam|spam (?:message|content|detected)|prohibited attachment"
            r"|attachment .{0,40}(?:not allowed|blocked|prohibited)|message content"
        ),
        BounceClass.CONTENT_REJECTED,
    ),
    (
        _words(r"mailbox (?:is )?full|over ?quota|quota (?:is )?exceeded|exceed.{0,30}quota"),
        BounceClass.MAILBOX_FULL,
    ),
    (
        _words(
            r"(?:account|mailbox|user|recipient) (?:has been |is |was )?(?:disabled|inactive"
            r"|suspended|deactivated|closed)"
        ),
        BounceClass.INACTIVE_MAILBOX,
    ),
    (
        _words(
            r"(?:no such|unknown|invalid|unrouteable|non-?existent) (?:user|recipient|mailbox"
            r"|address|account)|(?:user|recipient|mailbox|address|account)[^.]{0,60}"
            r"(?:unknown|not (?:found|exist)|n't exist|not known|no longer|unavailable|rejected)"
        ),
        BounceClass.INVALID_RECIPIENT,
    ),
    (_words(r"relay"), BounceClass.POLICY_REJECTED),
)
"""What receivers write where their codes say little; the first that fits wins."""


def _by_code(code: int, status: str, verdict: Verdict) -> BounceClass:
    if verdict is Verdict.DEFERRED:
        is_throttled = (code == 421 and status[:2] not in ("3.", "4.")) or status == "7.0"
        return BounceClass.RATE_LIMITED if is_throttled else BounceClass.TEMPORARY_FAILURE
    if status.startswith(("7.", "5.")) or code in (500, 501, 502, 503, 504, 530, 535, 555):
        return BounceClass.POLICY_REJECTED
    if code in (521, 556):
        return BounceClass.BAD_DOMAIN
    if code == 552:
        return BounceClass.MAILBOX_FULL
    if code in (551, 553):
        return BounceClass.INVALID_RECIPIENT
    return BounceClass.UNCLASSIFIED
