"""What a refusal is in SMTP: a reply code, an enhanced code, one line of text."""

import logging

from aiosmtpd.smtp import Session

from ..core.errors import ErrorCode, OperationError
from ..core.reaching import is_unreachable
from ..graphql.errors import Refusal

log = logging.getLogger(__name__)

LONGEST_TEXT = 400
"""Of a reply line's 512 bytes (RFC 5321 section 4.5.3.1.5)."""

ErrorText = tuple[int, str]
_LATER: ErrorText = (451, "4.3.0")
_NOT_NOW: ErrorText = (451, "4.7.1")
_WHO: ErrorText = (535, "5.7.8")
_FORBIDDEN: ErrorText = (550, "5.7.1")
_TOO_LARGE: ErrorText = (552, "5.3.4")
_WRONG: ErrorText = (554, "5.6.0")

REPLIES: dict[ErrorCode, ErrorText] = {
    ErrorCode.INTERNAL: _LATER,
    ErrorCode.SERVICE_UNAVAILABLE: _LATER,
    ErrorCode.SCANNER_UNAVAILABLE: _LATER,
    ErrorCode.DNS_UNAVAILABLE: _LATER,
    ErrorCode.TIME_LIMIT: _LATER,
    ErrorCode.IDEMPOTENCY_IN_PROGRESS: _LATER,
    # These pass: the sender keeps the message and tries again.
    ErrorCode.RATE_LIMITED: _NOT_NOW,
    ErrorCode.QUOTA_EXCEEDED: _NOT_NOW,
    ErrorCode.INSUFFICIENT_CREDITS: _NOT_NOW,
    ErrorCode.ADDRESS_BLOCKED: _NOT_NOW,
    ErrorCode.AUTO_BLOCK_ACTIVE: _NOT_NOW,
    ErrorCode.NOT_AUTHENTICATED: _WHO,
    ErrorCode.INVALID_CREDENTIALS: _WHO,
    ErrorCode.INVALID_TOKEN: _WHO,
    ErrorCode.TOKEN_EXPIRED: _WHO,
    ErrorCode.TOKEN_REVOKED: _WHO,
    ErrorCode.INVALID_API_KEY: _WHO,
    ErrorCode.API_KEY_EXPIRED: _WHO,
    ErrorCode.API_KEY_DISABLED: _WHO,
    ErrorCode.USER_DISABLED: _WHO,
    ErrorCode.ADDRESS_NOT_ALLOWED: _WHO,
    ErrorCode.MESSAGE_TOO_LARGE: _TOO_LARGE,
    ErrorCode.PAYLOAD_TOO_LARGE: _TOO_LARGE,
    ErrorCode.INVALID_INPUT: _WRONG,
}
"""Any other refusal is a matter of what the sender may do: 550 5.7.1."""


def refusal_reply(refused: Refusal | OperationError) -> str:
    """Return the reply for a refusal of the one door, or of a credential.

    Source: RFC 3463, RFC 4954 section 6.
    """
    if isinstance(refused, OperationError):
        code, text = refused.error_code, refused.sentence
    else:
        code, text = refused.code, refused.message
    number, enhanced = REPLIES.get(code, _FORBIDDEN)
    # A fault of the whole message is told as both.
    sentences = dict.fromkeys([text, *(detail.message for detail in refused.details)])
    return reply(number, enhanced, " ".join(sentences).strip())


def reply(number: int, enhanced: str, text: str) -> str:
    """Return one reply line; nothing in *text* can end it or begin another."""
    plain = "".join(c if c.isascii() and c.isprintable() else " " for c in text)
    return f"{number} {enhanced} {' '.join(plain.split())[:LONGEST_TEXT]}"


def reply_to_failure(error: Exception) -> str:
    """Log what nobody foresaw, and return a reply that says nothing of it."""
    if is_unreachable(error):
        log.error("a conversation failed: %r", error)
    else:
        log.error("a conversation failed", exc_info=error)
    return reply(451, "4.3.0", "Something went wrong on our side; try again later.")


def peer_address(session: Session) -> str | None:
    """Return the client's address, without a zone."""
    peer = session.peer
    return str(peer[0]).partition("%")[0] if isinstance(peer, tuple) and peer else None
