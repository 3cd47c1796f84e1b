"""The installation's key for calls in Postal's format: made on first use, and kept sealed."""

import asyncio
import time
from dataclasses import dataclass

from ..core.crypto import seal, unseal
from ..core.database import Tx, fetch, transaction
from .errors import AnotherPostalKey
from .postal_signing import PostalKey, new_postal_key
from .tables import PostalSigningKey

SEAL_PURPOSE = "postal_signing_key"
FIRST_KEY_LOCK = 7_021_975
"""Advisory lock under which the key is made when there is none; any number, but always this."""

_FRESH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """This process's copy."""

    sealed: bytes
    key: PostalKey
    read_at: float
    """Monotonic seconds."""


_kept: _Kept | None = None
_reading = asyncio.Lock()


async def postal_key() -> PostalKey:
    """Return the key, looked for again every minute; make it if there is none.

    Opens a transaction when it has to be made, so it is called before an operation's own.

    Raises:
        SealBroken: it was sealed with another secret key.
    """
    global _kept
    if not _is_fresh(_kept):
        async with _reading:
            if not _is_fresh(_kept):
                sealed = await _stored() or await _first()
                _kept = _opened(sealed, _kept)
    if _kept is None:
        raise RuntimeError("the key that was just read is not there")
    return _kept.key


async def adopt_postal_key(tx: Tx, pem: bytes, *, replace: bool) -> bool:
    """Have this installation sign with a key that receivers know; say whether that is new.

    A process that has signed before goes on with the key before for a minute.

    Raises:
        ValueError: it is no RSA key.
        AnotherPostalKey: another key signs, and it is not to be replaced.
    """
    wanted = PostalKey(pem)
    await fetch("SELECT pg_advisory_xact_lock({})", FIRST_KEY_LOCK)
    sealed = await _stored()
    if sealed is not None:
        if PostalKey(unseal(sealed, purpose=SEAL_PURPOSE)).id == wanted.id:
            return False
        if not replace:
            raise AnotherPostalKey
        await PostalSigningKey.delete(force=True)
    await PostalSigningKey.insert(
        PostalSigningKey(private_key=seal(wanted.private_pem(), purpose=SEAL_PURPOSE))
    )
    return True


def _is_fresh(kept: _Kept | None) -> bool:
    return kept is not None and time.monotonic() - kept.read_at <= _FRESH_SECONDS


def _opened(sealed: bytes, before: _Kept | None) -> _Kept:
    # Unsealing and parsing take as long as a signature: only where it is another key.
    if before is not None and before.sealed == sealed:
        key = before.key
    else:
        key = PostalKey(unseal(sealed, purpose=SEAL_PURPOSE))
    return _Kept(sealed, key, time.monotonic())


async def _stored() -> bytes | None:
    row = await PostalSigningKey.objects().order_by(PostalSigningKey.id).first()
    return None if row is None else bytes(row.private_key)


async def _first() -> bytes:
    async with transaction():
        # Of several processes that call at once, one makes the key and the others read it.
        await fetch("SELECT pg_advisory_xact_lock({})", FIRST_KEY_LOCK)
        found = await _stored()
        if found is None:
            pem = await asyncio.to_thread(new_postal_key)
            found = seal(pem, purpose=SEAL_PURPOSE)
            await PostalSigningKey.insert(PostalSigningKey(private_key=found))
    return found
