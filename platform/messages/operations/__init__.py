"""Writes of messages: sending, one by one or in batches, cancelling, and simulating."""

from .cancel import Cancellation, cancel_message
from .erase import erase_recipient
from .personal import NewPersonalMessage, PersonalRecipient, send_personal_message
from .resend import OPERATION as RESEND
from .resend import resend_message
from .send import BatchReceipt, ItemResult, send_message, send_messages, send_raw_message
from .simulate import NewSimulation, Simulated, simulate_delivery
from .submission import Receipt, ReceiptRecipient

__all__ = [
    "RESEND",
    "BatchReceipt",
    "Cancellation",
    "ItemResult",
    "NewPersonalMessage",
    "NewSimulation",
    "PersonalRecipient",
    "Receipt",
    "ReceiptRecipient",
    "Simulated",
    "cancel_message",
    "erase_recipient",
    "resend_message",
    "send_message",
    "send_messages",
    "send_personal_message",
    "send_raw_message",
    "simulate_delivery",
]
