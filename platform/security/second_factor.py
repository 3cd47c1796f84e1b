"""Second factors: codes of an authenticator, passkeys, and recovery codes for when they are lost.

Source: RFC 6238, with steps of 30 seconds; one step to either side is taken, for clocks that
differ, and none is taken twice.
"""

import re
import secrets
from dataclasses import dataclass

import pyotp

from ..accounts.operations import hold_person
from ..core import clock
from ..core.actor import UserId
from ..core.crypto import digests, seal, unseal
from ..core.database import Tx, fetch
from ..core.ids import new_id
from . import passkeys
from .errors import SecondFactorExists, SecondFactorMissing, SecondFactorWrong
from .passkeys import Answer

PURPOSE = "second_factor"
RECOVERY_PURPOSE = "recovery_code"
ISSUER = "Postlane"
STEP_SECONDS = 30
RECOVERY_CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look alike on paper: 31 to the tenth is nearly 50 bits for each code."""

_CODE = re.compile(r"[0-9]{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Codes:
    """What somebody sends as their second factor; one of the two is enough."""

    totp: str | None = None
    recovery: str | None = None
    passkey: Answer | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was sent."""
        return self.totp is None and self.recovery is None and self.passkey is None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What an authenticator needs; it is shown this once."""

    text: str
    """Base32, to type."""
    uri: str
    """`otpauth://...`, to show as a QR code."""


async def begin(tx: Tx, user_id: UserId, *, email: str) -> NewSecret:
    """Make a secret that protects nothing before its first code; the one begun before goes.

    Raises:
        SecondFactorExists: one was set up meanwhile.
    """
    secret = pyotp.random_base32(32)
    made = await fetch(
        "INSERT INTO second_factors (id, user_id, secret, confirmed_at, last_step, created_at) "
        "VALUES ({}, {}, {}, NULL, 0, {}) ON CONFLICT (user_id) DO UPDATE SET "
        "secret = excluded.secret, last_step = 0, created_at = excluded.created_at "
        "WHERE second_factors.confirmed_at IS NULL RETURNING id",
        new_id(),
        user_id,
        seal(secret.encode(), purpose=PURPOSE),
        clock.now(),
    )
    if not made:
        raise SecondFactorExists
    return NewSecret(secret, pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER))


async def confirm(tx: Tx, user_id: UserId, code: str) -> list[str]:
    """Let the secret that was begun protect the person, and return new recovery codes.

    Raises:
        SecondFactorMissing: none was begun.
        SecondFactorWrong: *code* is not one of it.
    """
    await hold_person(tx, user_id)
    await _take(user_id, code, confirmed=False)
    await fetch(
        "UPDATE second_factors SET confirmed_at = {} WHERE user_id = {}", clock.now(), user_id
    )
    return await renew_recovery_codes(tx, user_id)


async def prove(tx: Tx, user_id: UserId, codes: Codes) -> int | None:
    """Use up a code of the person; return how many recovery codes are left, if it was one.

    Raises:
        SecondFactorMissing: the person has no second factor, or none of that kind.
        SecondFactorWrong: it is no code of theirs, or was used before.
        PasskeyWrong: it is no passkey of theirs.
    """
    await hold_person(tx, user_id)
    if codes.passkey is not None:
        await passkeys.prove(tx, codes.passkey, user_id=user_id)
        return None
    if codes.totp is not None:
        await _take(user_id, codes.totp, confirmed=True)
        return None
    if not await has_any(user_id):
        raise SecondFactorMissing
    # Deleting is the test: of two who use a code at the same moment, one wins.
    rows = await fetch(
        "DELETE FROM recovery_codes WHERE user_id = {} AND digest = ANY({}::bytea[]) RETURNING id",
        user_id,
        _recovery_digests(codes.recovery or ""),
    )
    if not rows:
        raise SecondFactorWrong
    return await count_recovery_codes(user_id)


async def remove(tx: Tx, user_id: UserId) -> bool:
    """Forget the person's authenticator; say whether they can sign in with a password alone now.

    As long as they have a passkey they cannot, and keep their recovery codes.
    """
    await fetch("DELETE FROM second_factors WHERE user_id = {}", user_id)
    if await passkeys.credential_ids(user_id):
        return False
    await fetch("DELETE FROM recovery_codes WHERE user_id = {}", user_id)
    return True


async def has_authenticator(user_id: UserId) -> bool:
    """Say whether an authenticator of the person has been set up."""
    return bool(
        await fetch(
            "SELECT FROM second_factors WHERE user_id = {} AND confirmed_at IS NOT NULL", user_id
        )
    )


async def has_any(user_id: UserId) -> bool:
    """Say whether the person has an authenticator or a passkey."""
    return await has_authenticator(user_id) or bool(await passkeys.credential_ids(user_id))


async def renew_recovery_codes(tx: Tx, user_id: UserId) -> list[str]:
    """Replace the person's recovery codes and return them; they are shown this once."""
    made = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
    await fetch("DELETE FROM recovery_codes WHERE user_id = {}", user_id)
    await fetch(
        "INSERT INTO recovery_codes (id, user_id, digest, created_at) "
        "SELECT new.id, {}, new.digest, {} FROM unnest({}::uuid[], {}::bytea[]) "
        "AS new (id, digest)",
        user_id,
        clock.now(),
        [new_id() for _ in made],
        [_recovery_digests(code)[0] for code in made],
    )
    return made


async def count_recovery_codes(user_id: UserId) -> int:
    """Return how many recovery codes the person has left."""
    rows = await fetch("SELECT count(*) AS codes FROM recovery_codes WHERE user_id = {}", user_id)
    return int(rows[0]["codes"])


async def _take(user_id: UserId, code: str, *, confirmed: bool) -> None:
    sealed = await _locked_secret(user_id, confirmed=confirmed)
    secret = unseal(sealed, purpose=PURPOSE).decode()
    step = _step_of(secret, code.replace(" ", ""))
    # One conditional UPDATE: a code that was seen on its way is not good a second time, and
    # neither is one that is older than it.
    if step is None or not await fetch(
        "UPDATE second_factors SET last_step = {} WHERE user_id = {} AND last_step < {} "
        "RETURNING id",
        step,
        user_id,
        step,
    ):
        raise SecondFactorWrong


async def _locked_secret(user_id: UserId, *, confirmed: bool) -> bytes:
    # Locked before anything else of it, whichever code comes, so that two who come at once go
    # in turn, and no secret is confirmed by the code of another.
    rows = await fetch(
        "SELECT secret FROM second_factors WHERE user_id = {} AND (confirmed_at IS NOT NULL) = {} "
        "FOR UPDATE",
        user_id,
        confirmed,
    )
    if not rows:
        raise SecondFactorMissing
    return bytes(rows[0]["secret"])


def _step_of(secret: str, code: str) -> int | None:
    if not _CODE.fullmatch(code):
        return None
    totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
    now = int(clock.now().timestamp()) // STEP_SECONDS
    good = [
        step
        for step in (now - 1, now, now + 1)
        if secrets.compare_digest(totp.generate_otp(step), code)
    ]
    return good[-1] if good else None


def _new_recovery_code() -> str:
    text = "".join(secrets.choice(_LETTERS) for _ in range(10))
    return f"{text[:5]}-{text[5:]}"


def _recovery_digests(code: str) -> list[bytes]:
    plain = "".join(letter for letter in code.lower()[:100] if letter in _LETTERS)
    return digests(plain, purpose=RECOVERY_PURPOSE)
