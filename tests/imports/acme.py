"""An installation with one organization, and steps that tests of the import share."""

import secrets
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

from postlane.core.actor import Actor, UserId
from postlane.core.database import fetch
from postlane.imports.postal import Dump
from postlane.imports.report import Kind, Outcome, Report
from postlane.imports.rules import Choices
from postlane.imports.work import take_over_postal
from tests.factories import make_actor

from .installation import Installation

CHOICES = Choices(
    owner_id=None,
    joins_people=False,
    selector_prefix="postal",
    return_path_prefix="psrp",
    password_hash="$argon2id$nobody",
)


def word(length: int = 10) -> str:
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(length))


def a_key(length: int = 24) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


class Acme:
    """An installation with one organization, one server and what they usually have."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{word()}.sql"
        self.installation = Installation()
        self.permalink = word()
        self.email = f"owner@{self.permalink}.example"
        self.owner = self.installation.person(self.email)
        self.organization = self.installation.organization(self.permalink, self.owner)
        self.server = self.installation.server(self.organization)
        self.domain = f"{self.permalink}.example"

    async def take(self, *, is_trial: bool = False, **choices: Any) -> Report:
        """Dump it, and take it over."""
        self.path.write_text(self.installation.dump())
        given = {name: choices.get(name, getattr(CHOICES, name)) for name in CHOICES.__slots__}
        source = Dump([self.path], database="postal", prefix="postal")
        return await take_over_postal(source, Choices(**given), is_trial=is_trial)

    async def ids(self) -> tuple[Any, Any]:
        """Return our ids of the organization and of the server's project."""
        rows = await fetch(
            "SELECT p.organization_id, p.id FROM projects p JOIN organizations o "
            "ON o.id = p.organization_id WHERE o.slug = {} AND p.slug = 'mail'",
            self.permalink,
        )
        return rows[0]["organization_id"], rows[0]["id"]


def told(report: Report, kind: Kind, outcome: Outcome) -> list[tuple[str, ...]]:
    return [
        (each.name, *each.notes)
        for each in report.findings
        if (each.kind, each.outcome) == (kind, outcome)
    ]


async def counted(table: str) -> int:
    # Of tables that this test alone writes to while it runs.
    rows = await fetch(f"SELECT count(*) AS n FROM {table}")  # type: ignore[arg-type]
    return int(rows[0]["n"])


def furnish(acme: Acme) -> str:
    """Give an installation one of everything; return the API key."""
    secret = a_key()
    acme.installation.credential(acme.server, secret)
    acme.installation.domain(acme.server, acme.domain)
    acme.installation.webhook(acme.server, f"https://hooks.{acme.domain}/")
    for nth in range(3):
        acme.installation.suppress(acme.server, f"gone{nth}@dest.example")
    return secret


TABLES = (
    "organizations",
    "users",
    "memberships",
    "projects",
    "api_keys",
    "domains",
    "dkim_keys",
    "webhooks",
    "suppressions",
    "imported_rows",
    "audit_entries",
)


async def owner_of(organization_id: Any) -> Actor:
    """Return the imported owner, signed in."""
    (row,) = await fetch(
        "SELECT user_id FROM memberships WHERE organization_id = {} AND role = 'owner'",
        organization_id,
    )
    return replace(
        await make_actor(), organization_id=organization_id, user_id=UserId(row["user_id"])
    )
