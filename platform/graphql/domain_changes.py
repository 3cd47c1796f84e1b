"""Changing domains: setting them up, proving that they are one's own, replacing their keys."""

from dataclasses import fields
from typing import Annotated
from uuid import UUID

import strawberry

from ..domains import operations
from ..domains.bimi import BimiChanges
from ..domains.records import RecordPurpose
from ..domains.rules import DEFAULT_OVERLAP_SECONDS, DomainChanges, DomainRequest
from ..mail.dkim import KeyAlgorithm
from ..messages.operations.withdraw import delete_domain
from .context import Info, actor_of
from .domain_records import DomainRecord, load_records
from .domains import Domain, DomainRef, domain_type, read_ref
from .scalars import EmailAddress, Url


@strawberry.input(description="A domain to set up.")
class CreateDomainInput:
    name: str = strawberry.field(
        description="A domain such as `example.com`; no public suffix, no address."
    )
    dkim_selector: str | None = strawberry.field(
        default=None, description="DNS labels of a-z, 0-9 and hyphens; left out `pmta`."
    )
    dkim_algorithms: list[KeyAlgorithm] | None = strawberry.field(
        default=None, description="Kinds of keys, RSA_2048 among them; left out, it alone."
    )
    dkim_rotation_days: int | None = strawberry.field(
        default=None, description="Prepare a new key every 30 to 365 days; left out, never."
    )
    return_path_domain: str | None = strawberry.field(
        default=None, description="A name below the domain; left out `bounce.<domain>`."
    )
    tracking_domain: str | None = strawberry.field(
        default=None,
        description="Host of tracked links, in the same registered domain; left out, the "
        "deployment's.",
    )
    track_opens: bool = strawberry.field(
        default=False, description="Messages that do not say track opens."
    )
    track_clicks: bool = strawberry.field(
        default=False, description="Messages that do not say track clicks."
    )
    default_pool: str | None = strawberry.field(
        default=None, description="Pool of messages that name none; left out `default`."
    )
    inbound_enabled: bool = strawberry.field(
        default=False, description="Receive mail for the domain, which needs an MX record."
    )
    dmarc_rua: EmailAddress | None = strawberry.field(
        default=None, description="Address for reports in the proposed DMARC record."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="A repeat with the same key within 24 hours sets up nothing."
    )


@strawberry.type(description="A domain that was set up.")
class CreateDomainPayload:
    domain: Domain = strawberry.field(description="The domain; publish its records next.")


@strawberry.input(description="What of a domain to change; what is left out stays.")
class UpdateDomainInput:
    domain: DomainRef = strawberry.field(description="Which one.")
    track_opens: strawberry.Maybe[bool | None] = strawberry.field(
        description="Messages that do not say track opens."
    )
    track_clicks: strawberry.Maybe[bool | None] = strawberry.field(
        description="Messages that do not say track clicks."
    )
    default_pool: strawberry.Maybe[str | None] = strawberry.field(
        description="Pool of messages that name none."
    )
    inbound_enabled: strawberry.Maybe[bool | None] = strawberry.field(
        description="Receive mail for the domain."
    )
    tracking_domain: strawberry.Maybe[str | None] = strawberry.field(
        description="Host of tracked links; null is the deployment's."
    )
    dmarc_rua: strawberry.Maybe[EmailAddress | None] = strawberry.field(
        description="Address for reports in the proposed DMARC record; null is none."
    )
    dkim_rotation_days: strawberry.Maybe[int | None] = strawberry.field(
        description="Prepare a new key every 30 to 365 days; null is never."
    )


@strawberry.type(description="A domain that was changed.")
class UpdateDomainPayload:
    domain: Domain = strawberry.field(description="The domain as it is now.")


@strawberry.input(description="A domain to check.")
class VerifyDomainInput:
    domain: DomainRef = strawberry.field(description="Which one.")
    purposes: list[RecordPurpose] | None = strawberry.field(
        default=None, description="Check these records only; left out, all."
    )


@strawberry.type(description="What a check found.")
class VerifyDomainPayload:
    domain: Domain = strawberry.field(description="The domain as it is now.")
    records: list[DomainRecord] = strawberry.field(description="The records that were checked.")
    changed: list[RecordPurpose] = strawberry.field(
        description="What has another status than before."
    )
    cached: bool = strawberry.field(
        description="Checked less than 30 seconds ago, so that result is shown again."
    )
    duration_ms: int = strawberry.field(description="How long it took.")


@strawberry.input(description="A key to replace.")
class RotateDomainDkimInput:
    domain: DomainRef = strawberry.field(description="Which domain.")
    selector: str | None = strawberry.field(
        default=None,
        description="Never used for this domain; left out, the first one's with today's date.",
    )
    algorithm: KeyAlgorithm = strawberry.field(
        default=KeyAlgorithm.RSA_2048, description="Which kind of key is replaced, or added."
    )
    overlap_seconds: int = strawberry.field(
        default=DEFAULT_OVERLAP_SECONDS,
        description="How long the old key stays published after the switch: 86400 to 2592000.",
    )
    force: bool = strawberry.field(
        default=False, description="Replace a new key that still waits for its record."
    )


@strawberry.type(description="A rotation that was begun.")
class RotateDomainDkimPayload:
    domain: Domain = strawberry.field(
        description="The domain; it signs with the new key once its record was seen."
    )


@strawberry.input(description="What of a domain's logo to change; what is left out stays.")
class UpdateDomainBimiInput:
    domain: DomainRef = strawberry.field(description="Which domain.")
    enabled: strawberry.Maybe[bool | None] = strawberry.field(
        description="Publish a logo; true unless it was ever false."
    )
    selector: strawberry.Maybe[str | None] = strawberry.field(
        description="One DNS label; `default` unless it was ever another."
    )
    logo_url: strawberry.Maybe[Url | None] = strawberry.field(
        description="An https address that ends in `.svg`; a logo that is enabled needs one."
    )
    vmc_url: strawberry.Maybe[Url | None] = strawberry.field(
        description="An https address of a mark certificate (VMC or CMC) in PEM; null is none."
    )


@strawberry.type(description="A domain whose logo was changed.")
class UpdateDomainBimiPayload:
    domain: Domain = strawberry.field(description="The domain, with what is wrong of its logo.")


@strawberry.input(description="A domain to delete.")
class DeleteDomainInput:
    domain: DomainRef = strawberry.field(description="Which one.")
    force: bool = strawberry.field(
        default=False, description="Cancel the messages from it that are still open."
    )


@strawberry.type(description="A domain that was deleted.")
class DeleteDomainPayload:
    deleted_uuid: UUID = strawberry.field(description="UUID it had.")
    cancelled_messages: int = strawberry.field(description="Messages that were cancelled.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Set up a domain with DKIM keys. Needs `domains:write`. Refused with "
        "DOMAIN_EXISTS, with DOMAIN_CLAIMED when another organization has verified it, and with "
        "FEATURE_NOT_IN_PLAN when the plan allows no further one."
    )
    async def create_domain(
        self,
        info: Info,
        input: Annotated[CreateDomainInput, strawberry.argument(description="The domain.")],
    ) -> CreateDomainPayload:
        made = await operations.create_domain(
            actor_of(info),
            _request(input),
            idempotency_key=input.idempotency_key or info.context.idempotency_key,
        )
        info.context.replayed = info.context.replayed or made.replayed
        return CreateDomainPayload(domain=domain_type(made.domain))

    @strawberry.mutation(description="Change a domain. Needs `domains:write`.")
    async def update_domain(
        self,
        info: Info,
        input: Annotated[UpdateDomainInput, strawberry.argument(description="The changes.")],
    ) -> UpdateDomainPayload:
        found = await operations.update_domain(
            actor_of(info), read_ref(input.domain), _changes(input)
        )
        return UpdateDomainPayload(domain=domain_type(found))

    @strawberry.mutation(
        description="Look a domain's records up and act on them. Needs `domains:write`. Takes "
        "ten seconds at most. Refused with DOMAIN_CLAIMED when it is yours but another "
        "organization holds it, and with DNS_UNAVAILABLE when no name server answers."
    )
    async def verify_domain(
        self,
        info: Info,
        input: Annotated[VerifyDomainInput, strawberry.argument(description="What to check.")],
    ) -> VerifyDomainPayload:
        purposes = None if input.purposes is None else frozenset(input.purposes)
        done = await operations.verify_domain(
            actor_of(info), read_ref(input.domain), purposes=purposes
        )
        records = await info.context.loaders.load(load_records, done.domain.id) or []
        return VerifyDomainPayload(
            domain=domain_type(done.domain),
            records=[DomainRecord(row=row) for row in records if row.purpose in done.purposes],
            changed=[purpose for purpose in RecordPurpose if purpose in done.changed],
            cached=done.cached,
            duration_ms=int(done.duration.total_seconds() * 1000),
        )

    @strawberry.mutation(
        description="Make a new DKIM key that takes over once its record was seen. Needs "
        "`domains:write`. Refused with ROTATION_IN_PROGRESS or SELECTOR_IN_USE."
    )
    async def rotate_domain_dkim(
        self,
        info: Info,
        input: Annotated[RotateDomainDkimInput, strawberry.argument(description="The key.")],
    ) -> RotateDomainDkimPayload:
        found = await operations.rotate_dkim(
            actor_of(info),
            read_ref(input.domain),
            selector=input.selector,
            algorithm=input.algorithm,
            overlap_seconds=input.overlap_seconds,
            force=input.force,
        )
        return RotateDomainDkimPayload(domain=domain_type(found))

    @strawberry.mutation(
        description="Change a domain's logo and look at it as mailboxes do, which takes some "
        "seconds. What is wrong with it is not refused; see its issues. A domain has 10 such looks "
        "a minute. Needs `domains:write`."
    )
    async def update_domain_bimi(
        self,
        info: Info,
        input: Annotated[UpdateDomainBimiInput, strawberry.argument(description="The logo.")],
    ) -> UpdateDomainBimiPayload:
        given = {field.name: getattr(input, field.name) for field in fields(BimiChanges)}
        changes = BimiChanges(**{name: some.value for name, some in given.items() if some})
        found = await operations.update_bimi(actor_of(info), read_ref(input.domain), changes)
        return UpdateDomainBimiPayload(domain=domain_type(found))

    @strawberry.mutation(
        description="Delete a domain, its records and its keys. Needs `domains:delete`. Refused "
        "with DOMAIN_IN_USE while messages from it are open, unless with force."
    )
    async def delete_domain(
        self,
        info: Info,
        input: Annotated[DeleteDomainInput, strawberry.argument(description="The domain.")],
    ) -> DeleteDomainPayload:
        done = await delete_domain(actor_of(info), read_ref(input.domain), force=input.force)
        return DeleteDomainPayload(
            deleted_uuid=done.domain_id, cancelled_messages=done.cancelled_messages
        )


def _request(input: CreateDomainInput) -> DomainRequest:
    return DomainRequest(
        name=input.name,
        dkim_selector=input.dkim_selector,
        dkim_algorithms=input.dkim_algorithms,
        dkim_rotation_days=input.dkim_rotation_days,
        return_path_domain=input.return_path_domain,
        tracking_domain=input.tracking_domain,
        track_opens=input.track_opens,
        track_clicks=input.track_clicks,
        default_pool=input.default_pool,
        inbound_enabled=input.inbound_enabled,
        dmarc_rua=input.dmarc_rua,
    )


def _changes(input: UpdateDomainInput) -> DomainChanges:
    given = {field.name: getattr(input, field.name) for field in fields(DomainChanges)}
    return DomainChanges(**{name: some.value for name, some in given.items() if some is not None})
