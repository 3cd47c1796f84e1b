"""Why something with a vMTA is refused."""

from ..core.errors import Conflict, ErrorCode, NotPermitted


class VmtaExists(Conflict):
    """The organization has a vMTA with the name."""

    code = ErrorCode.VMTA_EXISTS
    message = "Your organization has a vMTA with this name already."


class AddressInUse(Conflict):
    """Another vMTA, of whomever, has the address."""

    code = ErrorCode.IP_IN_USE
    message = "Another vMTA uses this address."


class TooManyVmtas(NotPermitted):
    """The organization's plan allows no further vMTA."""

    code = ErrorCode.FEATURE_NOT_IN_PLAN
    message = "Your plan allows no further vMTA. Delete one, or change the plan."


class SharedVmta(NotPermitted):
    """It belongs to the deployment: an organization may use it, and that is all."""

    message = "This vMTA belongs to the deployment and is shared; only its operator changes it."


class VmtaBusy(Conflict):
    """Its address cannot be changed under mail that is on the wire."""

    code = ErrorCode.VMTA_BUSY
    message = "Pause the vMTA and wait for its transactions to end before changing its address."


class VmtaInUse(Conflict):
    """Mail waits in its queues."""

    code = ErrorCode.VMTA_IN_USE
    message = "Mail waits for this vMTA. Say where it goes, or cancel it with force."


class LastVmta(Conflict):
    """Mail waits for it, and there is no other."""

    code = ErrorCode.LAST_VMTA
    message = "Mail waits for this vMTA and it is the only one. Cancel the mail with force."


class PausedByAutoBlock(Conflict):
    """An auto-block paused it; resolving that resumes it."""

    code = ErrorCode.AUTO_BLOCK_ACTIVE
    message = "An auto-block has paused this vMTA. Resolve it first."
