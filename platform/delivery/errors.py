"""Refusals of deliveries and queues."""

from ..core.errors import Conflict, ErrorCode


class QueueHeld(Conflict):
    """The queue is held, so nothing of it is attempted, whatever is due."""

    code = ErrorCode.QUEUE_HELD
    message = "The queue is held; release it first."


class VmtaPaused(Conflict):
    """The queue's vMTA is paused, so nothing of it is attempted."""

    code = ErrorCode.VMTA_PAUSED
    message = "The queue's vMTA is paused; resume it first."


class AutoBlockActive(Conflict):
    """It was stopped by an auto-block, and ends with it."""

    code = ErrorCode.AUTO_BLOCK_ACTIVE
    message = "An auto-block holds this queue; resolve the block first."
