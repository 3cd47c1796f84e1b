"""What a payload format decides beside the body."""

from collections.abc import Collection, Mapping, Sequence

from . import postageapp, postal
from .rules import PATTERNS as OURS
from .rules import TEST_EVENT, TESTABLE, USUAL, Patience, PayloadFormat
from .tables import Webhook

PATIENCE: Mapping[str, Patience] = {
    PayloadFormat.STANDARD: USUAL,
    # To the minute, whatever a receiver answers: that is what its users count on.
    PayloadFormat.POSTAL: Patience(postal.TIMEOUT, postal.WAITS, jitter=0.0, heeds_answers=False),
    # A day or a little more, as with PostageApp.
    **dict.fromkeys(postageapp.FORMATS, USUAL),
}

PATTERNS: Mapping[str, Collection[str]] = {
    PayloadFormat.STANDARD: OURS,
    PayloadFormat.POSTAL: OURS | frozenset(postal.CHOOSABLE),
    **dict.fromkeys(postageapp.FORMATS, OURS),
}
"""What a webhook may be for: in Postal's format also what Postal calls events."""


def patience_of(webhook: Webhook) -> Patience:
    """Return how long its calls may take, and when they are tried again."""
    return PATIENCE[webhook.format]


def triable_events(webhook: Webhook) -> Sequence[str]:
    """Return what a webhook can be tried with; foreign formats have no event for tests alone."""
    happening = sorted(TESTABLE - {TEST_EVENT})
    if webhook.format == PayloadFormat.STANDARD:
        return [TEST_EVENT, *happening]
    return [event for event in happening if is_told(webhook, event)]


def is_told(webhook: Webhook, event: str) -> bool:
    """Say whether a foreign format has a word for an event that is made up."""
    if webhook.format in postageapp.FORMATS:
        return postageapp.has_word(event, {})
    return postal.name_of(event, {}, simulated=True) is not None
