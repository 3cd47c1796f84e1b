"""Postal's databases: where their rows come from, and the main one as values."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from .dumps import Row, read_dump
from .errors import UnreadableSource
from .mariadb import Server
from .postal_rows import (
    PostalCredential,
    PostalDomain,
    PostalOrganization,
    PostalServer,
    PostalTrackDomain,
    PostalUser,
    PostalWebhook,
    UnreadableRow,
    read_credential,
    read_domain,
    read_organization,
    read_server,
    read_track_domain,
    read_user,
    read_webhook,
    text_of,
    whole,
)
from .report import Kind, Outcome, Report

SUPPRESSIONS = "suppressions"
LEFT_BEHIND = {
    "routes": "mail that comes in is not routed here",
    "http_endpoints": "mail that comes in is not routed here",
    "smtp_endpoints": "mail that comes in is not routed here",
    "address_endpoints": "mail that comes in is not routed here",
    "ip_pool_rules": "make pools, and name them when sending",
    "ip_addresses": "they belong to a machine: make vMTAs of them where they are moved to",
    "queued_messages": "they are sent by Postal; let its queue run empty",
    "webhook_requests": "they are sent by Postal; let it run until they are",
}
"""Tables whose rows are counted only, and why they are not taken over."""


@dataclass(slots=True)
class Postal:
    """The main database: what is read whole, for it is set up by hand."""

    users: list[PostalUser] = field(default_factory=list)
    organizations: list[PostalOrganization] = field(default_factory=list)
    members: list[tuple[int, int]] = field(default_factory=list)
    """Ids of an organization and of a user."""
    servers: list[PostalServer] = field(default_factory=list)
    credentials: list[PostalCredential] = field(default_factory=list)
    domains: list[PostalDomain] = field(default_factory=list)
    track_domains: list[PostalTrackDomain] = field(default_factory=list)
    webhooks: list[PostalWebhook] = field(default_factory=list)


class Source(Protocol):
    """Where Postal's rows come from."""

    def rows(self, *tables: str) -> Iterator[tuple[str, Row]]:
        """Yield rows of the main database with the name of their table, in any order."""

    def suppressions(self) -> Iterator[tuple[int, Row]]:
        """Yield rows of the message databases with the id of their server, by their id."""


class Dump:
    """Files that `mysqldump` wrote; each is read twice, none is kept in memory."""

    def __init__(self, paths: Sequence[Path], *, database: str, prefix: str) -> None:
        self._paths = paths
        self._database = database
        self._server = re.compile(re.escape(prefix) + r"-server-([0-9]{1,9})")

    def rows(self, *tables: str) -> Iterator[tuple[str, Row]]:
        for path in self._paths:
            for found in read_dump(path, tables):
                if found.database in (None, self._database):
                    yield found.table, found.row

    def suppressions(self) -> Iterator[tuple[int, Row]]:
        for path in self._paths:
            for found in read_dump(path, [SUPPRESSIONS]):
                match = self._server.fullmatch(found.database or "")
                if match is not None:
                    yield int(match[1]), found.row


class Running:
    """A MariaDB that Postal works on."""

    def __init__(self, server: Server, *, database: str, prefix: str) -> None:
        self._server = server
        self._database = database
        self._prefix = prefix

    def rows(self, *tables: str) -> Iterator[tuple[str, Row]]:
        for table in tables:
            for row in self._server.rows(self._database, table):
                yield table, row

    def suppressions(self) -> Iterator[tuple[int, Row]]:
        ids = [whole(row, "id") for row in self._server.rows(self._database, "servers")]
        for id in ids:
            for row in self._server.rows(f"{self._prefix}-server-{id}", SUPPRESSIONS):
                yield id, row


def read_postal(source: Source, report: Report) -> Postal:
    """Return the main database; rows that cannot be read are refused in *report*.

    Raises:
        UnreadableSource: the source cannot be read, or holds no organization of Postal's.
    """
    found, left = Postal(), Counter[str]()
    events: dict[int, list[str]] = {}
    readers: dict[str, tuple[Kind, Callable[[Row], None]]] = {
        "users": (Kind.USER, lambda row: found.users.append(read_user(row))),
        "organizations": (
            Kind.ORGANIZATION,
            lambda row: found.organizations.append(read_organization(row)),
        ),
        "organization_users": (
            Kind.USER,
            lambda row: found.members.append(
                (whole(row, "organization_id"), whole(row, "user_id"))
            ),
        ),
        "servers": (Kind.PROJECT, lambda row: found.servers.append(read_server(row))),
        "credentials": (Kind.API_KEY, lambda row: found.credentials.append(read_credential(row))),
        "domains": (Kind.DOMAIN, lambda row: found.domains.append(read_domain(row))),
        "track_domains": (
            Kind.DOMAIN,
            lambda row: found.track_domains.append(read_track_domain(row)),
        ),
        "webhook_events": (
            Kind.WEBHOOK,
            lambda row: events.setdefault(whole(row, "webhook_id"), []).append(
                text_of(row, "event")
            ),
        ),
        "webhooks": (Kind.WEBHOOK, lambda row: found.webhooks.append(read_webhook(row))),
    }
    for table, row in source.rows(*readers, *LEFT_BEHIND):
        if table in LEFT_BEHIND:
            left[table] += 1
            continue
        kind, reader = readers[table]
        try:
            reader(row)
        except UnreadableRow as error:
            name = f"{row.get('id') or '?'} of {table}"
            report.add(kind, name, Outcome.REFUSED, str(error))
    if not found.organizations:
        raise UnreadableSource(
            "There is no organization of Postal's in it. Is it a dump of Postal's main database, "
            "and is that called as --database says?"
        )
    found.webhooks = [
        replace(each, events=tuple(events.get(each.id, ()))) for each in found.webhooks
    ]
    _note_orphans(found, report)
    for table, why in LEFT_BEHIND.items():
        if left[table]:
            named = table.replace("_", " ")
            report.add(Kind.OTHER, f"{left[table]:,} {named}", Outcome.LEFT, why)
    return found


def _note_orphans(found: Postal, report: Report) -> None:
    """Tell what belongs to a mail server that is not there, or could not be read."""
    servers = {each.id for each in found.servers}
    organizations = {each.id for each in found.organizations}
    orphans = {
        Kind.API_KEY: sum(each.server_id not in servers for each in found.credentials),
        Kind.WEBHOOK: sum(each.server_id not in servers for each in found.webhooks),
        Kind.DOMAIN: sum(
            each.server_id not in servers and each.organization_id not in organizations
            for each in found.domains
        ),
        Kind.PROJECT: sum(each.organization_id not in organizations for each in found.servers),
    }
    for kind, number in orphans.items():
        report.count(kind, Outcome.LEFT, number, of="nobody", note="what they belong to is gone")
