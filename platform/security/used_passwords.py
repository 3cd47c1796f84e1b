"""Passwords that a person has had: none of the last five comes back.

Who changes a password often does so because somebody else knows it.
"""

from ..accounts.queries import Person
from ..core import clock
from ..core.database import Tx, fetch
from ..core.ids import new_id
from . import passwords
from .errors import WeakPassword

KEPT = 4
"""Beside the present one."""


async def check(user: Person, new: str, *, field: str) -> None:
    """Do nothing if *new* is none of the person's last five passwords.

    Called outside transactions: each comparison takes as long as signing in.

    Raises:
        WeakPassword: it is one of them.
    """
    rows = await fetch(
        "SELECT password_hash FROM used_passwords WHERE user_id = {} ORDER BY id DESC", user.id
    )
    for known in (user.password_hash, *(row["password_hash"] for row in rows)):
        if await passwords.verify(new, known):
            raise WeakPassword("You have had this password before; choose another.", field=field)


async def remember(tx: Tx, user: Person) -> None:
    """Keep the person's present password, which another takes the place of; forget the fifth."""
    await fetch(
        "INSERT INTO used_passwords (id, user_id, password_hash, created_at) "
        "VALUES ({}, {}, {}, {})",
        new_id(),
        user.id,
        user.password_hash,
        clock.now(),
    )
    await fetch(
        "DELETE FROM used_passwords WHERE user_id = {} AND id NOT IN "
        "(SELECT id FROM used_passwords WHERE user_id = {} ORDER BY id DESC LIMIT {})",
        user.id,
        user.id,
        KEPT,
    )
