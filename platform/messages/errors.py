"""Refusals of messages."""

from collections.abc import Iterable

from ..core.errors import Conflict, Detail, ErrorCode, InvalidInput, LimitReached, NotPermitted


class DomainNotVerified(NotPermitted):
    """The sender's domain is not a verified domain of the organization, nor below one."""

    code = ErrorCode.DOMAIN_NOT_VERIFIED

    def __init__(self, domain: str) -> None:
        super().__init__(
            f"'{domain}' is not a verified sending domain of this organization. "
            "Add it and publish its DNS records first."
        )


class DomainNotAllowed(NotPermitted):
    """The API key is bound to other sending domains."""

    code = ErrorCode.DOMAIN_NOT_ALLOWED

    def __init__(self, domain: str) -> None:
        super().__init__(f"This API key may not send from '{domain}'.")


class MessageTooLarge(InvalidInput):
    """The message is larger than it may be after encoding."""

    code = ErrorCode.MESSAGE_TOO_LARGE
    message = "The message is larger than 25 MiB."


class BatchRejected(InvalidInput):
    """No message of the batch was accepted, or one was refused and the batch is atomic."""

    code = ErrorCode.BATCH_REJECTED

    def __init__(self, message: str, details: Iterable[Detail]) -> None:
        super().__init__(message, details=details)


class MessageNotSandbox(Conflict):
    """The message is live: what becomes of it is up to the receivers."""

    code = ErrorCode.MESSAGE_NOT_SANDBOX
    message = "This message is live; only sandbox messages can be simulated."


class AlreadyFinal(Conflict):
    """The recipient is final, and the outcome cannot follow."""

    code = ErrorCode.ALREADY_FINAL
    message = "No recipient is open any more that this outcome could follow for."


class NotCancellable(Conflict):
    """Every delivery of the message is final already."""

    code = ErrorCode.NOT_CANCELLABLE
    message = "Every recipient of this message is final already; there is nothing to cancel."


class NotResendable(Conflict):
    """There is nobody to send it to again, or nothing to send."""

    code = ErrorCode.NOT_RESENDABLE


class MessageUidTaken(Conflict):
    """Another message of the project has the uid."""

    code = ErrorCode.MESSAGE_UID_TAKEN

    def __init__(self, uid: str) -> None:
        super().__init__(f"The project has a message with the uid '{uid}' already.")


class ContentsTooLarge(LimitReached):
    """What was asked for at once would not fit into memory."""

    code = ErrorCode.DOCUMENT_TOO_COMPLEX


class SendingBlocked(Conflict):
    """An auto-block keeps the domain from sending."""

    code = ErrorCode.AUTO_BLOCK_ACTIVE

    def __init__(self, domain: str) -> None:
        super().__init__(f"An auto-block keeps {domain} from sending. Resolve it first.")
