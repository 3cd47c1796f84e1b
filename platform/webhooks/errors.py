"""Why something with a webhook is refused."""

from ..core.errors import Conflict, ErrorCode
from .rules import MOST_WEBHOOKS


class TooManyWebhooks(Conflict):
    """The organization has as many webhooks as it may have."""

    code = ErrorCode.WEBHOOK_LIMIT_REACHED
    message = f"An organization has at most {MOST_WEBHOOKS} webhooks."


class WebhookDisabled(Conflict):
    """Nothing is sent to a webhook that is switched off."""

    message = "The webhook is switched off. Switch it on first."


class AnotherPostalKey(Conflict):
    """Calls in Postal's format are signed with another key already, which receivers may know."""

    message = "Calls in Postal's format are signed with another key already."
