"""Taking over what is in one organization of Postal's: servers, domains, keys, webhooks."""

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from ..accounts.errors import ProjectExists
from ..accounts.operations import NewProject, add_project, put_away
from ..accounts.rules import MOST_DOMAINS, slug_from
from ..core.actor import Actor, Mode, OrganizationId, Permission, ProjectId
from ..core.database import Tx
from ..core.errors import InvalidInput, OperationError
from ..core.wording import noun_for
from ..domains.errors import DomainExists
from ..domains.operations import AdoptedKey, adopt_domain
from ..domains.rules import DEFAULT_SELECTOR, DomainRequest
from ..mail.address import InvalidAddress, parse_domain
from ..mail.dkim import KeyAlgorithm, UnfitKey, make_key, read_key
from ..security.new_keys import NewKey
from ..security.operations import adopt_api_key
from ..security.rules import SHORTEST_FOREIGN, KeyFormat, adopted_secret
from ..webhooks.operations import adopt_webhook
from ..webhooks.postal import CHOOSABLE
from ..webhooks.requests import WebhookRequest
from ..webhooks.rules import LONGEST_DESCRIPTION, PayloadFormat
from .postal import Postal
from .postal_rows import (
    PostalCredential,
    PostalDomain,
    PostalOrganization,
    PostalServer,
    PostalWebhook,
)
from .report import Kind, Outcome, Report
from .rules import Choices, named
from .taken import Taken

SCOPES: Mapping[str, Sequence[Permission]] = {
    "API": (Permission.SEND_MESSAGES, Permission.READ_MESSAGES, Permission.WRITE_MESSAGES),
    "SMTP": (Permission.SEND_MESSAGES,),
}
"""What the kinds of credentials may do; reading what a message says needs `messages:write`."""

DNS_ERROR = "DomainDNSError"
UNTOLD = frozenset({"SendLimitApproaching", "SendLimitExceeded"})

Row = TypeVar("Row", PostalDomain, PostalCredential, PostalWebhook)


@dataclass(frozen=True, slots=True)
class Place:
    """What a server of Postal's became."""

    organization_id: OrganizationId
    project_id: ProjectId
    server_uuid: str
    server_name: str


class Contents:
    """What is in one organization, and where it goes."""

    def __init__(
        self,
        postal: Postal,
        found: PostalOrganization,
        tx: Tx,
        actor: Actor,
        choices: Choices,
        taken: Taken,
        report: Report,
    ) -> None:
        self._found, self._tx, self._actor = found, tx, actor
        self._choices, self._taken, self._report = choices, taken, report
        self._servers = [each for each in postal.servers if each.organization_id == found.id]
        ids = {each.id for each in self._servers if not each.is_deleted}
        self._domains = sorted(
            (
                each
                for each in postal.domains
                if each.organization_id == found.id or each.server_id in ids
            ),
            # Of several with one name the first is taken: one that can send, and for all.
            key=lambda each: (not each.is_verified, each.server_id is not None, each.id),
        )
        self._credentials = [each for each in postal.credentials if each.server_id in ids]
        self._webhooks = [each for each in postal.webhooks if each.server_id in ids]
        self._tracking = {
            each.domain_id: each for each in reversed(postal.track_domains) if each.server_id in ids
        }
        self.places: dict[int, Place] = {}
        """By the id of the server."""
        self._new_servers: list[PostalServer] = []
        """Those that had no project before."""

    async def take(self) -> None:
        """Take over what is new of it."""
        await self._projects()
        for domain in await self._new(Kind.DOMAIN, "domain", self._domains):
            await self._domain(domain)
        for credential in await self._new(Kind.API_KEY, "api_key", self._credentials):
            await self._credential(credential)
        for webhook in await self._new(Kind.WEBHOOK, "webhook", self._webhooks):
            await self._webhook(webhook)
        for server in self._new_servers:
            # Last, because what is archived gets no keys.
            if server.is_suspended or self._found.is_suspended:
                project_id = self.places[server.id].project_id
                await put_away(self._tx, self._actor, project_id, archived=True)

    async def _new(self, kind: Kind, name: str, rows: Sequence[Row]) -> list[Row]:
        known = await self._taken.recall(name, [row.uuid for row in rows])
        self._report.count(kind, Outcome.PRESENT, sum(row.uuid in known for row in rows))
        return [row for row in rows if row.uuid not in known]

    async def _projects(self) -> None:
        """Make a project of each server that has none."""
        known = await self._taken.recall("project", [each.uuid for each in self._servers])
        for server in self._servers:
            if server.is_deleted:
                note = "it was deleted in Postal"
                self._report.add(Kind.PROJECT, self._shown(server), Outcome.LEFT, note)
            elif server.uuid in known:
                self._place(server, ProjectId(known[server.uuid]))
                self._report.add(Kind.PROJECT, self._shown(server), Outcome.PRESENT)
            else:
                await self._project(server)
                self._new_servers.append(server)

    async def _project(self, server: PostalServer) -> None:
        domains, notes = self._own_domains(server)
        wanted = NewProject(
            name=named(server.name, server.permalink),
            slug=slug_from(server.permalink or server.name),
            mode=Mode.SANDBOX if server.is_development else Mode.LIVE,
            allowed_domains=domains,
        )
        project_id = await self._made(wanted)
        self._place(server, project_id)
        await self._taken.remember(self._tx, "project", server.uuid, project_id)
        if server.is_suspended or self._found.is_suspended:
            notes.append("it is suspended in Postal, so it is archived here")
        if server.send_limit:
            notes.append(
                f"its limit of {server.send_limit:,} {noun_for(server.send_limit, 'message')} an "
                "hour stays behind"
            )
        if server.uses_sender:
            notes.append("the Sender field lets nobody in here: From needs a domain of its own")
        self._report.add(Kind.PROJECT, self._shown(server), Outcome.TAKEN, *notes)

    async def _made(self, wanted: NewProject) -> ProjectId:
        number = 1
        while True:
            slug = wanted.slug if number == 1 else f"{wanted.slug}-{number}"
            try:
                return await add_project(self._tx, self._actor, replace(wanted, slug=slug))
            except ProjectExists:
                # Nothing was written. Only `default` is there before.
                number += 1

    def _own_domains(self, server: PostalServer) -> tuple[list[str], list[str]]:
        """Return the domains that a server may send from, empty for all; and what to know."""
        names = {each: _domain_name(each.name) for each in self._domains}
        own = {
            name
            for each, name in names.items()
            if name is not None and each.server_id in (None, server.id)
        }
        if not own or own == set(names.values()) - {None}:
            return [], []
        if len(own) > MOST_DOMAINS:
            note = "its keys may send from all domains of the organization: it has too many to list"
            return [], [note]
        return sorted(own), []

    async def _domain(self, found: PostalDomain) -> None:
        notes: list[str] = []
        key, selector = self._key_of(found, notes)
        tracking = self._tracking.get(found.id)
        request = DomainRequest(
            name=found.name,
            dkim_selector=selector,
            return_path_domain=f"{self._choices.return_path_prefix}.{found.name}",
            tracking_domain=None if tracking is None else f"{tracking.name}.{found.name}",
            track_opens=tracking is not None and tracking.loads,
            track_clicks=tracking is not None and tracking.clicks,
        )
        try:
            domain_id = await self._adopted(found, request, key, notes)
        except DomainExists:
            note = (
                "the organization has it already, with another DKIM key; the record at "
                f"{selector}._domainkey.{found.name} is needed no more"
            )
            self._report.add(Kind.DOMAIN, found.name, Outcome.LEFT, note)
            return
        except OperationError as error:
            self._report.add(Kind.DOMAIN, found.name, Outcome.REFUSED, *_said(error))
            return
        if len(self.places) > len(self._new_servers):
            notes.append("projects that list their domains do not list it yet")
        if found.is_verified and not key.is_published:
            notes.append(
                f"it may send for three days; publish its record at {selector}._domainkey."
                f"{found.name} until then"
            )
        await self._taken.remember(self._tx, "domain", found.uuid, domain_id)
        self._report.add(Kind.DOMAIN, found.name, Outcome.TAKEN, *notes)

    async def _adopted(
        self, found: PostalDomain, request: DomainRequest, key: AdoptedKey, notes: list[str]
    ) -> uuid.UUID:
        """Return a domain's id, without its tracking domain where that alone cannot go over."""
        proven = found.is_verified
        try:
            domain = await adopt_domain(self._tx, self._actor, request, key, is_proven=proven)
        except InvalidInput as error:
            if {each.field for each in error.details} != {"trackingDomain"}:
                raise
            notes.append(f"it does not track under {request.tracking_domain}: {_said(error)[0]}")
            bare = replace(request, tracking_domain=None)
            domain = await adopt_domain(self._tx, self._actor, bare, key, is_proven=proven)
        return domain.id

    def _key_of(self, found: PostalDomain, notes: list[str]) -> tuple[AdoptedKey, str]:
        """Return a domain's DKIM key and its selector; where it cannot be used, a new one."""
        try:
            algorithm, pair = read_key(found.dkim_key.encode())
        except UnfitKey as error:
            notes.append(f"its DKIM key cannot go on, for {error}; there is a new one to publish")
            pair = make_key(KeyAlgorithm.RSA_2048)
            return AdoptedKey(KeyAlgorithm.RSA_2048, pair, is_published=False), DEFAULT_SELECTOR
        prefix, word = self._choices.selector_prefix, found.dkim_word
        # Domains of old installations have no word, and share the prefix as their selector.
        selector = f"{prefix}-{word}" if word else prefix
        return AdoptedKey(algorithm, pair, is_published=found.has_dkim_record), selector.lower()

    async def _credential(self, found: PostalCredential) -> None:
        place = self.places[found.server_id]
        shown = f"{found.name or found.id} of {place.server_name}"
        scopes = SCOPES.get(found.type)
        if scopes is None:
            note = (
                f"it lets {found.key} in by its address, which nothing here does: make an API key"
                if found.type == "SMTP-IP"
                else f"there is no such type as {found.type[:40]!r}"
            )
            self._report.add(Kind.API_KEY, shown, Outcome.REFUSED, note)
            return
        secret = adopted_secret(found.key)
        if secret is None:
            note = f"a key has {SHORTEST_FOREIGN} to 64 letters and digits"
            self._report.add(Kind.API_KEY, shown, Outcome.REFUSED, note)
            return
        new = NewKey(
            name=named(found.name, "Postal"),
            scopes=[scope.value for scope in scopes],
            mode=Mode.SANDBOX if found.is_held else Mode.LIVE,
            format=KeyFormat.POSTAL,
            project_id=place.project_id,
        )
        try:
            key_id = await adopt_api_key(self._tx, self._actor, new, secret)
        except OperationError as error:
            self._report.add(Kind.API_KEY, shown, Outcome.REFUSED, *_said(error))
            return
        await self._taken.remember(self._tx, "api_key", found.uuid, key_id)
        notes = ["it is held in Postal: its mail stays in the sandbox"] if found.is_held else []
        self._report.add(Kind.API_KEY, shown, Outcome.TAKEN, *notes)

    async def _webhook(self, found: PostalWebhook) -> None:
        place = self.places[found.server_id]
        shown = f"{found.name or found.id} of {place.server_name}"
        url, headers = _without_user(found.url)
        events = CHOOSABLE if found.is_for_all else found.events
        known = [each for each in events if each in CHOOSABLE]
        notes = [f"nothing tells of {each} here" for each in events if each in UNTOLD]
        if not known:
            note = "it is for no event that there is here"
            self._report.add(Kind.WEBHOOK, shown, Outcome.REFUSED, note)
            return
        # Domains belong to the organization, and what is for one project hears nothing of them.
        is_wide = DNS_ERROR in known and len(self.places) == 1
        if DNS_ERROR in known and not is_wide:
            notes.append(f"{DNS_ERROR} is told to webhooks of the whole organization only")
        request = WebhookRequest(
            url=url,
            events=known,
            description=found.name[:LONGEST_DESCRIPTION] or None,
            enabled=found.is_enabled,
            headers=headers,
            format=PayloadFormat.POSTAL,
            project_id=None if is_wide else place.project_id,
        )
        try:
            webhook = await adopt_webhook(self._tx, self._actor, request)
        except OperationError as error:
            self._report.add(Kind.WEBHOOK, shown, Outcome.REFUSED, *_said(error))
            return
        await self._taken.remember(self._tx, "webhook", found.uuid, webhook.id)
        self._report.add(Kind.WEBHOOK, shown, Outcome.TAKEN, *notes)

    def _place(self, server: PostalServer, project_id: ProjectId) -> None:
        self.places[server.id] = Place(
            self._actor.organization_id, project_id, server.uuid, self._shown(server)
        )

    def _shown(self, server: PostalServer) -> str:
        return f"{self._found.permalink}/{server.permalink}"


def _domain_name(text: str) -> str | None:
    try:
        return parse_domain(text.strip())
    except InvalidAddress:
        return None


def _without_user(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL without user name and password, and the header that says them instead."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, {}
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    bare = urlunsplit(SplitResult(parts.scheme, host, parts.path, parts.query, parts.fragment))
    code = base64.b64encode(unquote(user).encode()).decode()
    return bare, {"authorization": f"Basic {code}"}


def _said(error: OperationError) -> list[str]:
    told = [each.message for each in error.details] or [error.sentence]
    return [each.rstrip(".") for each in told]
