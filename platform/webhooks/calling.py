"""One attempt: a signed request to a customer's address, and what came back."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from ..core import clock
from ..core.settings import settings
from ..core.storable import storable
from ..mail.fetching import Fetcher, NoReply, Reply, Request
from .postal_signing import PostalKey
from .rules import REPLY_KEPT_BYTES, Patience
from .signing import signed_headers

JSON = "application/json"
VERSION_HEADER = "postlane-payload-version"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to call, what to sign with, and what the customer wants to be sent along."""

    url: str
    signing: Sequence[bytes] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    payload_version: str
    patience: Patience
    postal_key: PostalKey | None = None
    """Where calls are in Postal's format; then it is the only one that signs."""
    is_signed_within: bool = False
    """Calls hold their signature, as in PostageApp's formats, and no header has one."""
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class Tried:
    """What one attempt came to; without an answer there is an error."""

    at: datetime
    duration_ms: int
    status: int | None = None
    reply: str | None = None
    """How the answer's body begins."""
    error: str | None = None
    """Why there was no answer, such as `timeout`."""
    retry_after: timedelta | None = None
    request: bytes = b""
    """The body that was sent."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Ours that were sent; what the customer wants to be sent along may be a secret of theirs."""
    is_final: bool = False
    """Nothing can be sent, and nothing could at another attempt."""

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """The receiver wants no more calls."""
        return self.status == 410


async def call(fetcher: Fetcher, target: Target, *, id: str, body: bytes) -> Tried:
    """Send *body* as the event *id*, signed for now, and return what came of it."""
    now, began = clock.now(), time.monotonic()
    own = {
        "content-type": target.content_type,
        **_own_headers(target, id=id, at=now, body=body),
    }
    answer = await fetcher.fetch(
        Request(
            target.url,
            within=target.patience.timeout,
            max_bytes=REPLY_KEPT_BYTES,
            method="POST",
            headers={**target.headers, **own},
            body=body,
            https_only=settings().webhook_urls == "https",
        )
    )
    took = round((time.monotonic() - began) * 1000)
    if isinstance(answer, NoReply):
        return Tried(now, took, error=answer.problem.value, request=body, headers=own)
    return Tried(
        now,
        took,
        status=answer.status,
        reply=_text(answer.body),
        retry_after=_retry_after(answer, now),
        request=body,
        headers=own,
    )


def _own_headers(target: Target, *, id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return what tells of the body and signs it, and belongs to its format."""
    if target.postal_key is not None:
        return target.postal_key.signed_headers(body)
    if target.is_signed_within:
        return {}
    return {
        VERSION_HEADER: target.payload_version,
        **signed_headers(target.signing, id=id, at=at, body=body),
    }


def _text(body: bytes) -> str:
    text: str = storable(body.decode("utf-8", "replace"))
    return text


def _retry_after(answer: Reply, now: datetime) -> timedelta | None:
    """Return how long the receiver wants to be left alone, if it says so.

    Source: RFC 9110 section 10.2.3.
    """
    text = answer.headers.get("retry-after", "").strip()
    if answer.status not in (429, 503) or not text:
        return None
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 86_400))
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(at - now, timedelta())
