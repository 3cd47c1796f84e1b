"""Secret keys in a backup: encrypted with a passphrase, or not there at all.

Source: RFC 7914 for scrypt, whose parameters take 64 MiB and about a quarter of a second.
"""

import json
import secrets
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from .faults import CommandFailed

SHORTEST_PASSPHRASE = 16
MARK = b"postlane secret keys 1\n"
SALT_BYTES = 16
NONCE_BYTES = 12


def read_passphrase(path: Path | None) -> bytes | None:
    """Return the passphrase that a file holds; it is no argument, as those are for all to see.

    Raises:
        CommandFailed: the file cannot be read, or the passphrase is short.
    """
    if path is None:
        return None
    try:
        found = path.expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is no text"
        raise CommandFailed(f"The passphrase in {path} cannot be read: {said}.") from error
    if len(found) < SHORTEST_PASSPHRASE:
        raise CommandFailed(
            f"The passphrase in {path} has fewer than {SHORTEST_PASSPHRASE} characters."
        )
    return found.encode()


def wrap(keys: Sequence[str], passphrase: bytes) -> bytes:
    """Return secret keys as a backup holds them."""
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    text = json.dumps(list(keys)).encode()
    return MARK + salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, text, MARK)


def unwrap(wrapped: bytes, passphrase: bytes) -> Sequence[str]:
    """Return the secret keys that a backup holds.

    Raises:
        CommandFailed: the passphrase is another one.
    """
    body = wrapped.removeprefix(MARK)
    salt, nonce = body[:SALT_BYTES], body[SALT_BYTES : SALT_BYTES + NONCE_BYTES]
    try:
        text = AESGCM(_key(passphrase, salt)).decrypt(nonce, body[len(salt + nonce) :], MARK)
    except (InvalidTag, ValueError) as error:
        raise CommandFailed("The passphrase does not open the backup's secret key.") from error
    found: Sequence[str] = json.loads(text)
    return found


def name_of(secret_key: str) -> str:
    """Return what tells secret keys apart and says nothing of them: they cannot be guessed."""
    return sha256(b"postlane secret key: " + secret_key.encode()).hexdigest()[:16]


def _key(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**16, r=8, p=1).derive(passphrase)
