"""What is posted to a customer's program, and how it is signed."""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ..core.crypto import seal, unseal
from ..webhooks.signing import signed_headers, written
from .rules import PostFormat

PURPOSE = "ingress-secret"
RFC822 = "message/rfc822"


@dataclass(frozen=True, slots=True)
class Post:
    """A request to make: its body, and the headers that tell what it is and who sends it."""

    body: bytes
    headers: Mapping[str, str]


def sealed(secret: bytes) -> bytes:
    """Return a secret as it is stored."""
    return seal(secret, purpose=PURPOSE)


def opened(value: bytes) -> bytes:
    """Return the secret that `sealed` stored.

    Raises:
        SealBroken: it was sealed with another secret key.
    """
    return unseal(value, purpose=PURPOSE)


def post_of(mail: bytes, *, id: uuid.UUID, secret: bytes, format: PostFormat, at: datetime) -> Post:
    """Return how a mail is posted."""
    if format is PostFormat.POSTAGEAPP:
        return _postageapp(mail, written(secret))
    headers = signed_headers([secret], id=str(id), at=at, body=mail)
    return Post(mail, {"content-type": RFC822, **headers})


def _postageapp(mail: bytes, secret: str) -> Post:
    """Return a mail as PostageApp's Rails receiver takes it.

    The receiver computes the hash with the mail as its key and the secret as what is hashed,
    which is the wrong way round, and what deployed receivers check.

    Source: postageapp/postageapp-ruby, inbound_emails_controller.rb.
    """
    # JSON holds text; of octets that are none it gets the replacement character, and what is
    # signed is what it holds.
    message = mail.decode("utf-8", "replace").replace("\0", "\ufffd")
    signature = hmac.digest(message.encode(), secret.encode(), hashlib.sha1)
    body = json.dumps({"inbound_email": {"message": message}}).encode()
    headers = {
        "content-type": "application/json",
        "x-postageapp-signature": base64.b64encode(signature).decode(),
    }
    return Post(body, headers)
