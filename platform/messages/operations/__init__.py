"""Writes of messages: sending, one by one or in batches, cancelling, and simulating."""

from .cancel import Cancellation, cancel_message
from .erase import erase_recipient
from .send import BatchReceipt, ItemResult, send_message, send_messages, send_raw_message
from .simulate import NewSimulation, Simulated, simulate_delivery
from .submission import Receipt, ReceiptRecipient

__all__ = [
    "BatchReceipt",
    "Cancellation",
    "ItemResult",
    "NewSimulation",
    "Receipt",
    "ReceiptRecipient",
    "Simulated",
    "cancel_message",
    "erase_recipient",
    "send_message",
    "send_messages",
    "send_raw_message",
    "simulate_delivery",
]
