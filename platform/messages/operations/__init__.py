"""Writes of messages: sending, one by one or in batches, and cancelling."""

from .cancel import Cancellation, cancel_message
from .send import BatchReceipt, ItemResult, send_message, send_messages, send_raw_message
from .submission import Receipt, ReceiptRecipient

__all__ = [
    "BatchReceipt",
    "Cancellation",
    "ItemResult",
    "Receipt",
    "ReceiptRecipient",
    "cancel_message",
    "send_message",
    "send_messages",
    "send_raw_message",
]
