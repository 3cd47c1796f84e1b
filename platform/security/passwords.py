"""Passwords: which are good enough, and their Argon2id hashes.

Hashing takes tens of milliseconds and tens of megabytes by design, so it runs beside the
event loop, two at a time.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from .errors import WeakPassword

SHORTEST = 12
LONGEST = 128
LEAST_SCORE = 2
"""zxcvbn's scale: below 2 means that fewer than a million guesses find it."""

SCORED_LENGTH = 72
"""zxcvbn takes quadratic time; what it says of this many characters holds for more."""

HASHER = PasswordHasher(time_cost=1, memory_cost=47_104, parallelism=1)
"""46 MiB and one pass, about 80 ms here.

Source: OWASP Password Storage Cheat Sheet, Argon2id, first choice.
"""

_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")
Answer = TypeVar("Answer")


async def check(password: str, *, known: Sequence[str], field: str = "password") -> None:
    """Do nothing if *password* is good enough for somebody of whom *known* is known.

    Raises:
        WeakPassword: too short, too long, common, or made of the address or the name.
    """
    if len(password) < SHORTEST:
        raise WeakPassword(f"A password has at least {SHORTEST} characters.", field=field)
    if len(password) > LONGEST:
        raise WeakPassword(f"A password has at most {LONGEST} characters.", field=field)
    if any(password.casefold() == word.casefold() for word in known):
        raise WeakPassword("The password must not be your address or name.", field=field)
    if await _aside(lambda: _score(password, known)) < LEAST_SCORE:
        raise WeakPassword(
            "This password is common or easy to guess; several unrelated words are good.",
            field=field,
        )


async def hashed(password: str) -> str:
    """Return the Argon2id hash of *password* with its salt and parameters, as a PHC string."""
    return await _aside(lambda: HASHER.hash(_bytes(password)))


async def verify(password: str, password_hash: str | None) -> bool:
    """Say whether *password* made *password_hash*.

    Without a hash it takes as long as with one and says no, so that nobody can tell from
    the time whether an address is known.
    """
    return await _aside(lambda: _verify(password, password_hash))


def is_outdated(password_hash: str) -> bool:
    """Say whether a hash was made with other parameters than today's."""
    return HASHER.check_needs_rehash(password_hash)


async def _aside(call: Callable[[], Answer]) -> Answer:
    return await asyncio.get_running_loop().run_in_executor(_threads, call)


def _verify(password: str, password_hash: str | None) -> bool:
    try:
        HASHER.verify(password_hash or _decoy(), _bytes(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


@lru_cache(maxsize=1)
def _decoy() -> str:
    return HASHER.hash(b"nobody has this password")


def _bytes(password: str) -> bytes:
    # JSON can hold half of a character; such a password is as good as any.
    return password.encode("utf-8", "surrogatepass")


def _score(password: str, known: Sequence[str]) -> int:
    # Imported at first use: its word lists take ten megabytes in every process.
    from zxcvbn import zxcvbn

    words = [part for word in known for part in (word, *word.replace("@", " ").split())]
    answer = zxcvbn(password[:SCORED_LENGTH], user_inputs=words)
    return int(answer["score"])
