"""What a payload format decides beside the body."""

from collections.abc import Mapping

from . import postal
from .rules import USUAL, Patience, PayloadFormat
from .tables import Webhook

PATIENCE: Mapping[str, Patience] = {
    PayloadFormat.STANDARD: USUAL,
    # To the minute, whatever a receiver answers: that is what its users count on.
    PayloadFormat.POSTAL: Patience(postal.TIMEOUT, postal.WAITS, jitter=0.0, heeds_answers=False),
}


def patience_of(webhook: Webhook) -> Patience:
    """Return how long its calls may take, and when they are tried again."""
    return PATIENCE[webhook.format]
