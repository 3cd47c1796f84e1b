"""What a rule is, when it is breached, and how an organization is judged."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from ..core.wording import counted

NAMESPACE = uuid.UUID("6f1f2c1e-6a0e-4f0c-9a53-5f7c1d0f8f10")
USUAL_GRACE = timedelta(hours=1)
LONGEST_GRACE = timedelta(days=1)
LONGEST_NOTE = 500
STRICT_SHARE = 0.5
"""Of thresholds and volumes, for an organization that is judged strictly."""


class Scope(StrEnum):
    """What a rule is about."""

    DOMAIN = "domain"
    VMTA = "vmta"
    QUEUE = "queue"
    PROJECT = "project"
    API_KEY = "api_key"
    SOURCE_IP = "source_ip"


class Action(StrEnum):
    """What a block does."""

    BLOCK_SENDING = "block_sending"
    PAUSE_VMTA = "pause_vmta"
    HOLD_QUEUE = "hold_queue"
    HOLD_PROJECT = "hold_project"
    DISABLE_API_KEY = "disable_api_key"
    BLOCK_IP = "block_ip"
    ALERT_ONLY = "alert_only"


STOPS = {
    Action.BLOCK_SENDING: Scope.DOMAIN,
    Action.PAUSE_VMTA: Scope.VMTA,
    Action.HOLD_QUEUE: Scope.QUEUE,
    Action.HOLD_PROJECT: Scope.PROJECT,
    Action.DISABLE_API_KEY: Scope.API_KEY,
    Action.BLOCK_IP: Scope.SOURCE_IP,
}
"""What each action can stop; the others stop nothing and fit every scope."""


class Metric(StrEnum):
    """What a rule compares."""

    HARD_BOUNCE_RATE = "hard_bounce_rate"
    COMPLAINT_RATE = "complaint_rate"
    BLOCK_RATE = "block_rate"
    SEVERE_LISTINGS = "severe_listings"
    DEFERRAL_RATE = "deferral_rate"
    VOLUME_RATIO = "volume_ratio"
    FAILED_SIGN_INS = "failed_sign_ins"
    INFECTED_MESSAGES = "infected_messages"
    MAIL_AUTH_FAILURE_RATE = "mail_auth_failure_rate"
    SPAMTRAP_HITS = "spamtrap_hits"
    SMTP_ABUSE = "smtp_abuse"
    FORGED_SENDERS = "forged_senders"


class BlockStatus(StrEnum):
    """How a block is."""

    ACTIVE = "active"
    DRY_RUN = "dry_run"
    """It would have begun, and did nothing."""
    RESOLVED = "resolved"
    EXPIRED = "expired"


class Strictness(StrEnum):
    """How an organization is judged."""

    STRICT = "strict"
    STANDARD = "standard"
    NONE = "none"
    """Nothing of it is stopped; somebody is told."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    key: str
    name: str
    metric: Metric
    threshold: float
    window: timedelta
    minimum_volume: int
    scope: Scope
    action: Action
    duration: timedelta | None
    """None: until it is resolved."""
    locked: bool = False
    enabled: bool = True

    @property
    def id(self) -> uuid.UUID:
        """The same for the same key, everywhere."""
        return uuid.uuid5(NAMESPACE, self.key)


@dataclass(frozen=True, slots=True)
class Measure:
    """What was measured of one target."""

    organization_id: uuid.UUID | None
    """None: it is the deployment's, such as a network that nobody has signed in from."""
    target_id: str
    target_name: str
    value: float
    sample_size: int
    evidence: Mapping[str, Any] = field(default_factory=dict)


_WORDS = {
    Metric.HARD_BOUNCE_RATE: "Hard bounce rate",
    Metric.COMPLAINT_RATE: "Complaint rate",
    Metric.BLOCK_RATE: "Rate of blocks",
    Metric.SEVERE_LISTINGS: "Severe listings",
    Metric.DEFERRAL_RATE: "Rate of temporary failures",
    Metric.VOLUME_RATIO: "Volume against the usual",
    Metric.FAILED_SIGN_INS: "Failed sign-ins",
    Metric.INFECTED_MESSAGES: "Infected messages",
    Metric.MAIL_AUTH_FAILURE_RATE: "Rate of failed authentication",
    Metric.SPAMTRAP_HITS: "Spam traps hit",
    Metric.SMTP_ABUSE: "Refused commands",
    Metric.FORGED_SENDERS: "Forged senders",
}
RATES = frozenset(
    {
        Metric.HARD_BOUNCE_RATE,
        Metric.COMPLAINT_RATE,
        Metric.BLOCK_RATE,
        Metric.DEFERRAL_RATE,
        Metric.MAIL_AUTH_FAILURE_RATE,
    }
)


def rate(part: float, whole: float) -> float:
    """Return how many per cent *part* is; nought of nothing."""
    return round(100 * part / whole, 4) if whole else 0.0


def is_breached(rule: Rule, measure: Measure, strictness: Strictness) -> bool:
    """Say whether a measure reaches the threshold with enough behind it."""
    share = STRICT_SHARE if strictness is Strictness.STRICT else 1.0
    # One listing is one listing: there is no half of it.
    threshold = max(rule.threshold * share, min(rule.threshold, 1) if rule.threshold >= 1 else 0)
    return measure.value >= threshold and measure.sample_size >= rule.minimum_volume * share


def action_of(rule: Rule, strictness: Strictness) -> Action:
    """Return what a breach does to an organization that is judged so."""
    return Action.ALERT_ONLY if strictness is Strictness.NONE else rule.action


def reason_of(rule: Rule, measure: Measure) -> str:
    """Return a sentence such as `Hard bounce rate 8.2 % over 1 hour (threshold 5 %).`"""
    unit = " %" if rule.metric in RATES else ""
    over = f" over {_length(rule.window)}" if rule.window else ""
    value, threshold = f"{measure.value:.4g}", f"{rule.threshold:g}"
    return f"{_WORDS[rule.metric]} {value}{unit}{over} (threshold {threshold}{unit})."


def _length(window: timedelta) -> str:
    minutes = int(window.total_seconds() // 60)
    if minutes % 60:
        return f"{counted(minutes, 'minute')}"
    hours = minutes // 60
    return f"{counted(hours, 'hour')}"


def reputation(*, delivered: int, hard_bounced: int, blocked: int, complained: int) -> float | None:
    """Return how well receivers take an organization's mail, 0 to 100; None of too little mail.

    Hard bounces cost five points for each per cent, blocks by receivers three, and complaints
    thirty for each tenth of a per cent: where large providers begin to filter, little is left.
    """
    ended = delivered + hard_bounced + blocked
    if ended < LEAST_MAIL:
        return None
    lost = 5 * rate(hard_bounced, ended) + 3 * rate(blocked, ended)
    lost += 300 * rate(complained, delivered)
    return round(max(0.0, 100.0 - lost), 1)


LEAST_MAIL = 100
"""Ended deliveries of a week below which nothing is said of an organization."""
