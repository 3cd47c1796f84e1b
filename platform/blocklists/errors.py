"""Why lists cannot be asked."""

from ..core.errors import ErrorCode, Unavailable


class NoListAnswers(Unavailable):
    """None of the lists gave an answer that counts."""

    code = ErrorCode.DNS_UNAVAILABLE
    message = "None of the lists could be asked; check the name servers, or try again shortly."
