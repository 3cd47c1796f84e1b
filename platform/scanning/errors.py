"""Why nothing is scanned."""

from ..core.errors import ErrorCode, LimitReached, Unavailable


class ScannerUnavailable(Unavailable):
    """The deployment has no such scanner, or it does not answer."""

    code = ErrorCode.SCANNER_UNAVAILABLE
    message = "The scanner does not answer; try again shortly."


class FileTooLarge(LimitReached):
    """It is larger than is scanned."""

    code = ErrorCode.PAYLOAD_TOO_LARGE
    message = "A file has at most 25 MiB."


def not_configured(setting: str, what: str) -> ScannerUnavailable:
    """Return the refusal of a scan that this deployment cannot make."""
    return ScannerUnavailable(f"This deployment has no {what}: POSTLANE_{setting} is not set.")
