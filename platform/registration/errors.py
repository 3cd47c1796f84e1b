"""Refusals of registration.

* NotPermitted
  - RegistrationClosed    the deployment takes no new accounts, or only the first
"""

from ..core.errors import ErrorCode, NotPermitted


class RegistrationClosed(NotPermitted):
    """The deployment takes no new accounts, or only the first."""

    code = ErrorCode.REGISTRATION_CLOSED
    message = "New accounts are by invitation only."
