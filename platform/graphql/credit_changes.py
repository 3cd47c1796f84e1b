"""Changing credits: consuming, alerts, and what only the platform's administrator does."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from ..core.errors import DetailCode, InvalidInput
from ..credits import alerts, consumption, granting, packages
from ..credits.rules import AlertChannel, AlertUnit, CreditType
from .context import Info, actor_of
from .credit_types import CreditAlert, CreditEntry, CreditPackage, alert_type, entry_type
from .nodes import parse_id
from .scalars import BigInt, EmailAddress, Json


@strawberry.input(description="Credits to consume.")
class ConsumeCreditsInput:
    type: CreditType = strawberry.field(description="Which credits.")
    amount: int = strawberry.field(description="Whole credits, 1 to 1000000.")
    reference: str | None = strawberry.field(
        default=None,
        description="Your name for it, 1 to 128 characters: the same one takes once in 90 days.",
    )
    description: str | None = strawberry.field(
        default=None, description="A note of at most 200 characters."
    )
    metadata: Json | None = strawberry.field(
        default=None, description="An object of up to 20 texts, kept with the entry."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="A repeat with the same key within 24 hours takes nothing."
    )


@strawberry.type(description="Credits that were consumed.")
class ConsumeCreditsPayload:
    entry: CreditEntry = strawberry.field(description="The line of the ledger.")
    replayed: bool = strawberry.field(
        description="An earlier request with the same reference took them; this one took none."
    )


@strawberry.input(description="An alert to set.")
class SetCreditAlertInput:
    type: CreditType = strawberry.field(description="Which credits.")
    threshold: float = strawberry.field(
        description="Whole credits from 0, or percent from 1 to 99 with up to two decimals."
    )
    unit: AlertUnit = strawberry.field(
        default=AlertUnit.ABSOLUTE, description="What the threshold counts."
    )
    channels: list[AlertChannel] | None = strawberry.field(
        default=None, description="How it is told; left out, both ways."
    )
    recipients: list[EmailAddress] | None = strawberry.field(
        default=None,
        description="Up to 20 addresses; left out, owners and those with the role `BILLING`.",
    )
    enabled: bool = strawberry.field(default=True, description="False switches it off.")


@strawberry.type(description="An alert that was set.")
class SetCreditAlertPayload:
    alert: CreditAlert = strawberry.field(description="The alert as it is now.")
    created: bool = strawberry.field(description="It was not there before.")


@strawberry.input(description="An alert to delete.")
class DeleteCreditAlertInput:
    id: strawberry.ID = strawberry.field(description="Global id or UUID of the alert.")


@strawberry.type(description="An alert that was deleted.")
class DeleteCreditAlertPayload:
    deleted_uuid: UUID = strawberry.field(description="UUID it had.")


@strawberry.input(one_of=True, description="Names an organization of the deployment.")
class OrganizationRef:
    id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="By its global id or UUID."
    )
    slug: str | None = strawberry.field(
        default=strawberry.UNSET, description="By its lower-case name."
    )


@strawberry.input(description="Credits to grant.")
class GrantCreditsInput:
    organization: OrganizationRef = strawberry.field(description="Who gets them.")
    type: CreditType = strawberry.field(description="Which credits.")
    amount: BigInt = strawberry.field(description="Whole credits, at least 1.")
    expires_at: datetime | None = strawberry.field(
        default=None, description="When they end; left out, never."
    )
    reference: str | None = strawberry.field(
        default=None, description="Why, in up to 128 characters; the organization reads it."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="A repeat with the same key within 24 hours grants nothing."
    )


@strawberry.type(description="Credits that were granted.")
class GrantCreditsPayload:
    lot_uuid: UUID = strawberry.field(description="UUID of the lot they are.")
    organization_uuid: UUID = strawberry.field(description="UUID of who got them.")
    type: CreditType = strawberry.field(description="Which credits.")
    amount: BigInt = strawberry.field(description="Whole credits.")
    expires_at: datetime | None = strawberry.field(description="When they end; null is never.")
    created_at: datetime = strawberry.field(description="When they were granted.")


@strawberry.input(description="A package for the catalogue.")
class SetCreditPackageInput:
    code: str = strawberry.field(description="1 to 64 of a-z, 0-9 and hyphens.")
    name: str = strawberry.field(description="Its name for people, up to 100 characters.")
    type: CreditType = strawberry.field(description="Which credits.")
    quantity: BigInt = strawberry.field(description="Whole credits, at least 1.")
    price_amount: BigInt = strawberry.field(
        description="The price in minor units of its currency, from 0."
    )
    price_currency: str = strawberry.field(description="Such as `USD`, as in ISO 4217.")
    validity_days: int | None = strawberry.field(
        default=None, description="Days until they end, 1 to 3650; left out, never."
    )
    available: bool = strawberry.field(default=True, description="Whether it can be bought.")


@strawberry.type(description="A package that was put into the catalogue.")
class SetCreditPackagePayload:
    package: CreditPackage = strawberry.field(description="The package as it is now.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Consume credits for something of your own. Needs `credits:write`. Refused "
        "with INSUFFICIENT_CREDITS when fewer are left, and with REFERENCE_CONFLICT when "
        "another amount was consumed with the reference."
    )
    async def consume_credits(
        self,
        info: Info,
        input: Annotated[ConsumeCreditsInput, strawberry.argument(description="What.")],
    ) -> ConsumeCreditsPayload:
        done = await consumption.consume_credits(
            actor_of(info),
            _consumption(input),
            idempotency_key=input.idempotency_key or info.context.idempotency_key,
        )
        info.context.replayed = info.context.replayed or done.repeated
        return ConsumeCreditsPayload(entry=entry_type(done.entry), replayed=done.replayed)

    @strawberry.mutation(
        description="Set the alert of this type, threshold and unit; it is made if there is "
        "none. Needs `credits:alerts`. Refused with ALERT_LIMIT_REACHED beyond ten of a type."
    )
    async def set_credit_alert(
        self,
        info: Info,
        input: Annotated[SetCreditAlertInput, strawberry.argument(description="The alert.")],
    ) -> SetCreditAlertPayload:
        channels = tuple(AlertChannel) if input.channels is None else tuple(input.channels)
        done = await alerts.set_alert(
            actor_of(info),
            alerts.NewAlert(
                type=input.type,
                threshold=Decimal(str(input.threshold)),
                unit=input.unit,
                channels=channels,
                recipients=input.recipients or (),
                enabled=input.enabled,
            ),
        )
        return SetCreditAlertPayload(alert=alert_type(done.alert), created=done.created)

    @strawberry.mutation(description="Delete an alert. Needs `credits:alerts`.")
    async def delete_credit_alert(
        self,
        info: Info,
        input: Annotated[DeleteCreditAlertInput, strawberry.argument(description="Which.")],
    ) -> DeleteCreditAlertPayload:
        alert_id = parse_id(input.id, "CreditAlert")
        await alerts.delete_alert(actor_of(info), alert_id)
        return DeleteCreditAlertPayload(deleted_uuid=alert_id)

    @strawberry.mutation(
        description="Give credits to any organization. For whoever looks after the "
        "deployment, signed in as a person."
    )
    async def grant_credits(
        self,
        info: Info,
        input: Annotated[GrantCreditsInput, strawberry.argument(description="What, to whom.")],
    ) -> GrantCreditsPayload:
        done = await granting.grant_credits(
            actor_of(info),
            _gift(input),
            idempotency_key=input.idempotency_key or info.context.idempotency_key,
        )
        info.context.replayed = info.context.replayed or done.replayed
        return GrantCreditsPayload(
            lot_uuid=done.lot_id,
            organization_uuid=done.organization_id,
            type=done.type,
            amount=BigInt(done.amount),
            expires_at=done.expires_at,
            created_at=done.created_at,
        )

    @strawberry.mutation(
        description="Put a package into the catalogue, or change the one with its code. For "
        "whoever looks after the deployment, signed in as a person."
    )
    async def set_credit_package(
        self,
        info: Info,
        input: Annotated[SetCreditPackageInput, strawberry.argument(description="It.")],
    ) -> SetCreditPackagePayload:
        row = await packages.set_package(
            actor_of(info),
            packages.NewPackage(
                code=input.code,
                name=input.name,
                type=input.type,
                quantity=input.quantity,
                price_amount=input.price_amount,
                price_currency=input.price_currency,
                validity_days=input.validity_days,
                available=input.available,
            ),
        )
        return SetCreditPackagePayload(package=CreditPackage(row=row))


def _consumption(input: ConsumeCreditsInput) -> consumption.Consumption:
    metadata: object = {} if input.metadata is None else input.metadata
    if not isinstance(metadata, Mapping):
        raise InvalidInput.of("metadata", DetailCode.INVALID_TYPE, "Write an object.")
    return consumption.Consumption(
        type=input.type,
        amount=input.amount,
        reference=input.reference,
        description=input.description,
        metadata=metadata,
    )


def _gift(input: GrantCreditsInput) -> granting.Gift:
    ref = input.organization
    by_id = ref.id is not None and ref.id is not strawberry.UNSET
    return granting.Gift(
        type=input.type,
        amount=input.amount,
        organization_id=parse_id(ref.id, "Organization") if by_id and ref.id else None,
        slug=None if by_id else ref.slug,
        expires_at=input.expires_at,
        reference=input.reference,
    )
