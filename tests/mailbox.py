"""What the platform has mailed to somebody: read from the outbox, as a worker would send it."""

import json
from dataclasses import dataclass

from postlane.core.crypto import unseal
from postlane.core.database import fetch
from postlane.notices.rendering import PURPOSE
from postlane.notices.rules import Notice


@dataclass(frozen=True, slots=True)
class Mailed:
    """A notice that waits to be sent, and what it tells."""

    notice: Notice
    values: dict[str, str]

    @property
    def token(self) -> str:
        """What stands last in its link."""
        return self.values["link"].rpartition("/")[2]


async def mailed(to: str) -> list[Mailed]:
    """Return the notices to an address, the first one first."""
    rows = await fetch("SELECT * FROM notices WHERE lower(recipient) = {} ORDER BY id", to.lower())
    return [
        Mailed(
            Notice(row["notice"]),
            json.loads(unseal(row["sealed_values"], purpose=PURPOSE)),
        )
        for row in rows
    ]
