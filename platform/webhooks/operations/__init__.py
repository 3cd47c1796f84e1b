"""Changing webhooks, trying them, and having calls made once more."""

from .change import adopt_webhook, create_webhook, delete_webhook, update_webhook
from .replay import replay_call, replay_calls
from .trying import test_webhook

__all__ = [
    "adopt_webhook",
    "create_webhook",
    "delete_webhook",
    "replay_call",
    "replay_calls",
    "test_webhook",
    "update_webhook",
]
