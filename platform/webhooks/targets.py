"""What of a webhook is kept sealed, and what an attempt needs of it."""

import json
from collections.abc import Mapping

from ..core import clock
from ..core.crypto import seal, unseal
from .calling import JSON, Target
from .formats import patience_of
from .postageapp import FORM, FORMATS
from .postal_keys import postal_key
from .rules import PayloadFormat
from .signing import opened
from .tables import Webhook

HEADERS_PURPOSE = "webhook-headers"


def seal_headers(headers: Mapping[str, str]) -> bytes | None:
    """Return headers as they are stored; they may hold credentials of the customer's."""
    if not headers:
        return None
    return seal(json.dumps(dict(headers)).encode(), purpose=HEADERS_PURPOSE)


def open_headers(value: bytes | None) -> dict[str, str]:
    """Return the headers that were stored.

    Raises:
        SealBroken: they were sealed with another secret key.
    """
    if value is None:
        return {}
    found: dict[str, str] = json.loads(unseal(value, purpose=HEADERS_PURPOSE))
    return found


async def target_of(webhook: Webhook) -> Target:
    """Return where to call and what to sign with now.

    It may open a transaction, as `postal_key` says.

    Raises:
        SealBroken: the secrets were sealed with another secret key.
    """
    return Target(
        url=webhook.url,
        signing=signing_of(webhook),
        headers=open_headers(webhook.sealed_headers),
        payload_version=webhook.payload_version,
        patience=patience_of(webhook),
        postal_key=await postal_key() if webhook.format == PayloadFormat.POSTAL else None,
        is_signed_within=webhook.format in FORMATS,
        content_type=FORM if webhook.format == PayloadFormat.POSTAGEAPP_FORM else JSON,
    )


def signing_of(webhook: Webhook) -> list[bytes]:
    """Return the secrets that sign now, the newest first.

    Raises:
        SealBroken: they were sealed with another secret key.
    """
    found = [opened(webhook.sealed_secret)]
    ends = webhook.previous_secret_expires_at
    if webhook.sealed_previous_secret is not None and ends is not None and ends > clock.now():
        found.append(opened(webhook.sealed_previous_secret))
    return found
