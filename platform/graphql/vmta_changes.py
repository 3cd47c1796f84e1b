"""Changing vMTAs: made, changed, paused, resumed, looked up, deleted."""

from dataclasses import fields
from datetime import date
from typing import Annotated, Any
from uuid import UUID

import strawberry

from ..delivery import vmta_operations
from ..delivery.isps import Isp
from ..mail.smtp import Tls
from ..messages.operations.remove_vmta import delete_vmta
from ..vmtas import operations
from ..vmtas.checking import check_now
from ..vmtas.requests import LimitsRequest, PlaceRequest, VmtaRequest, WarmupRequest
from ..vmtas.warmup import USUAL_TARGET, Schedule
from .context import Info, actor_of
from .enums import describe_enum
from .vmtas import Vmta, VmtaRef, read_ref, vmta_type

describe_enum(
    Tls,
    "Whether mail is encrypted on its way; policies of the receiver always win.",
    {
        "OPPORTUNISTIC": "Where it is offered.",
        "REQUIRED": "Mail waits for a host that offers it.",
        "VERIFIED": "Mail waits for a host that offers it with a good certificate.",
        "DISABLED": "Never.",
    },
    name="VmtaTls",
)


@strawberry.input(description="Limits over all destinations; null is no limit.")
class VmtaLimitsInput:
    max_connections: strawberry.Maybe[int | None] = strawberry.field(
        description="1 to 10000; null is 100."
    )
    max_messages_per_connection: strawberry.Maybe[int | None] = strawberry.field(
        description="1 or more."
    )
    max_messages_per_hour: strawberry.Maybe[int | None] = strawberry.field(description="1 or more.")
    max_messages_per_day: strawberry.Maybe[int | None] = strawberry.field(description="1 or more.")


@strawberry.input(description="Limits at one provider or one domain.")
class VmtaPlaceInput:
    isp: Isp | None = strawberry.field(
        default=None, description="The provider; left out, it is a domain."
    )
    domain: str | None = strawberry.field(
        default=None, description="The domain; left out, it is a provider."
    )
    max_connections: int | None = strawberry.field(
        default=None, description="0 is no limit; left out, the defaults hold."
    )
    max_messages_per_connection: int | None = strawberry.field(
        default=None, description="0 is no limit; left out, the defaults hold."
    )
    max_messages_per_hour: int | None = strawberry.field(
        default=None, description="0 is no limit; left out, the defaults hold."
    )


@strawberry.input(description="From which day on how much.")
class WarmupStepInput:
    day: int = strawberry.field(description="From 1, increasing.")
    daily_limit: int = strawberry.field(description="Messages a day, not falling.")


@strawberry.input(description="How a vMTA is to be warmed up.")
class WarmupInput:
    enabled: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether there is a plan. Null is false."
    )
    schedule: strawberry.Maybe[Schedule | None] = strawberry.field(
        description="At first, and if null, STANDARD."
    )
    target_daily_volume: strawberry.Maybe[int | None] = strawberry.field(
        description=f"Where the plan ends, 100 to 10000000; at first, and if null, {USUAL_TARGET}."
    )
    start_date: strawberry.Maybe[date | None] = strawberry.field(
        description="In UTC; at first, and if null, today."
    )
    custom: strawberry.Maybe[list[WarmupStepInput] | None] = strawberry.field(
        description="The days of the schedule CUSTOM. Null is none."
    )
    restart: strawberry.Maybe[bool | None] = strawberry.field(
        description="Begin again at day 1. Null is false."
    )


@strawberry.input(description="A vMTA to make.")
class CreateVmtaInput:
    name: str = strawberry.field(description="1 to 63 of a-z, 0-9 and hyphens.")
    ip_address: str = strawberry.field(
        description="IPv4 or IPv6; one that the deployment has and no other vMTA uses."
    )
    hostname: str = strawberry.field(description="EHLO name; its address should be this one.")
    pool: str | None = strawberry.field(
        default=None, description="Label; left out `default`. A new one makes a pool."
    )
    weight: int | None = strawberry.field(
        default=None, description="Share within the pool, 0 to 1000; left out 100."
    )
    description: str | None = strawberry.field(default=None, description="At most 200 characters.")
    limits: VmtaLimitsInput | None = strawberry.field(
        default=None, description="Over all destinations."
    )
    isp_limits: list[VmtaPlaceInput] | None = strawberry.field(
        default=None, description="At some providers and domains; at most 100."
    )
    warmup: WarmupInput | None = strawberry.field(default=None, description="Left out, none.")
    tls: Tls | None = strawberry.field(default=None, description="Left out OPPORTUNISTIC.")
    allowed_domains: list[str] | None = strawberry.field(
        default=None, description="Sending domains that may use it; left out, any."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="A repeat with the same key within 24 hours makes nothing."
    )


@strawberry.input(description="What of a vMTA to change; what is left out stays.")
class UpdateVmtaInput:
    vmta: VmtaRef = strawberry.field(description="Which one.")
    name: strawberry.Maybe[str | None] = strawberry.field(description="Another name.")
    ip_address: strawberry.Maybe[str | None] = strawberry.field(
        description="Another address, while it is paused; its warm-up begins again."
    )
    hostname: strawberry.Maybe[str | None] = strawberry.field(description="EHLO name.")
    pool: strawberry.Maybe[str | None] = strawberry.field(description="Null is `default`.")
    weight: strawberry.Maybe[int | None] = strawberry.field(description="Null is 100.")
    description: strawberry.Maybe[str | None] = strawberry.field(description="Null is none.")
    limits: strawberry.Maybe[VmtaLimitsInput | None] = strawberry.field(
        description="Merged; null takes them away."
    )
    isp_limits: strawberry.Maybe[list[VmtaPlaceInput] | None] = strawberry.field(
        description="Replaced as a whole; null takes them away."
    )
    warmup: strawberry.Maybe[WarmupInput | None] = strawberry.field(
        description="Merged; null ends it."
    )
    tls: strawberry.Maybe[Tls | None] = strawberry.field(description="Null is OPPORTUNISTIC.")
    allowed_domains: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="Replaced as a whole; null is any."
    )


@strawberry.input(description="A vMTA to pause.")
class PauseVmtaInput:
    vmta: VmtaRef = strawberry.field(description="Which one.")
    reason: str | None = strawberry.field(default=None, description="At most 200 characters.")
    duration_seconds: int | None = strawberry.field(
        default=None, description="60 to 2592000; left out, until it is resumed."
    )
    reroute: bool = strawberry.field(
        default=True, description="Move mail of its pool to other active members."
    )


@strawberry.input(description="A vMTA to resume.")
class ResumeVmtaInput:
    vmta: VmtaRef = strawberry.field(description="Which one.")


@strawberry.input(description="A vMTA whose address to look up.")
class CheckVmtaInput:
    vmta: VmtaRef = strawberry.field(description="Which one.")


@strawberry.input(description="A vMTA to delete.")
class DeleteVmtaInput:
    vmta: VmtaRef = strawberry.field(description="Which one.")
    reassign_to: str | None = strawberry.field(
        default=None, description="UUID or name of a vMTA, or a pool, for what waits."
    )
    force: bool = strawberry.field(default=False, description="Cancel what waits.")


@strawberry.type(description="A vMTA that was made.")
class CreateVmtaPayload:
    vmta: Vmta = strawberry.field(description="The vMTA.")


@strawberry.type(description="A vMTA that was changed.")
class UpdateVmtaPayload:
    vmta: Vmta = strawberry.field(description="The vMTA as it is now.")


@strawberry.type(description="A vMTA that is paused.")
class PauseVmtaPayload:
    vmta: Vmta = strawberry.field(description="The vMTA as it is now.")
    rerouted: int = strawberry.field(description="Recipients that go through others.")
    waiting: int = strawberry.field(description="Recipients that wait for it.")
    in_flight: int = strawberry.field(description="Recipients on the wire.")


@strawberry.type(description="A vMTA that is not paused any more.")
class ResumeVmtaPayload:
    vmta: Vmta = strawberry.field(description="The vMTA as it is now.")
    waiting: int = strawberry.field(description="Recipients that are sent within the next minute.")
    in_flight: int = strawberry.field(description="Recipients on the wire.")


@strawberry.type(description="A vMTA whose address was looked up.")
class CheckVmtaPayload:
    vmta: Vmta = strawberry.field(description="The vMTA, with what was found.")


@strawberry.type(description="A vMTA that was deleted.")
class DeleteVmtaPayload:
    deleted_uuid: UUID = strawberry.field(description="UUID it had.")
    reassigned: int = strawberry.field(description="Recipients that others send to.")
    cancelled: int = strawberry.field(description="Recipients that were cancelled.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Make a vMTA. Needs `vmtas:write`. Refused with VMTA_EXISTS, IP_IN_USE, and "
        "FEATURE_NOT_IN_PLAN when the plan allows no further one."
    )
    async def create_vmta(
        self,
        info: Info,
        input: Annotated[CreateVmtaInput, strawberry.argument(description="The vMTA.")],
    ) -> CreateVmtaPayload:
        made = await operations.create_vmta(
            actor_of(info),
            _request(input),
            idempotency_key=input.idempotency_key or info.context.idempotency_key,
        )
        info.context.replayed = info.context.replayed or made.replayed
        return CreateVmtaPayload(vmta=vmta_type(made.vmta))

    @strawberry.mutation(
        description="Change a vMTA. Needs `vmtas:write`. Refused with VMTA_EXISTS, IP_IN_USE, and "
        "VMTA_BUSY when the address was to change and it is not paused and idle."
    )
    async def update_vmta(
        self,
        info: Info,
        input: Annotated[UpdateVmtaInput, strawberry.argument(description="The changes.")],
    ) -> UpdateVmtaPayload:
        found = await vmta_operations.update_vmta(
            actor_of(info), read_ref(input.vmta), _changes(input)
        )
        return UpdateVmtaPayload(vmta=vmta_type(found))

    @strawberry.mutation(
        description="Begin nothing more through a vMTA; mail for it waits. Pausing it again "
        "changes reason and duration. Needs `vmtas:control`."
    )
    async def pause_vmta(
        self,
        info: Info,
        input: Annotated[PauseVmtaInput, strawberry.argument(description="Which one.")],
    ) -> PauseVmtaPayload:
        done = await vmta_operations.pause_vmta(
            actor_of(info),
            read_ref(input.vmta),
            reason=input.reason,
            duration_seconds=input.duration_seconds,
            reroute=input.reroute,
        )
        return PauseVmtaPayload(
            vmta=vmta_type(done.vmta),
            rerouted=done.rerouted,
            waiting=done.waiting,
            in_flight=done.in_flight,
        )

    @strawberry.mutation(
        description="Let a vMTA send again, and its warm-up go on. Needs `vmtas:control`. "
        "Refused with AUTO_BLOCK_ACTIVE when an auto-block paused it."
    )
    async def resume_vmta(
        self,
        info: Info,
        input: Annotated[ResumeVmtaInput, strawberry.argument(description="Which one.")],
    ) -> ResumeVmtaPayload:
        done = await vmta_operations.resume_vmta(actor_of(info), read_ref(input.vmta))
        return ResumeVmtaPayload(
            vmta=vmta_type(done.vmta), waiting=done.waiting, in_flight=done.in_flight
        )

    @strawberry.mutation(
        description="Look up what the DNS says of a vMTA's address, within ten seconds. Needs "
        "`vmtas:control`."
    )
    async def check_vmta(
        self,
        info: Info,
        input: Annotated[CheckVmtaInput, strawberry.argument(description="Which one.")],
    ) -> CheckVmtaPayload:
        found = await check_now(actor_of(info), read_ref(input.vmta))
        return CheckVmtaPayload(vmta=vmta_type(found))

    @strawberry.mutation(
        description="Delete a vMTA. Needs `vmtas:write`. While mail waits for it, refused with "
        "VMTA_IN_USE, or LAST_VMTA where there is no other, unless it moves or is cancelled."
    )
    async def delete_vmta(
        self,
        info: Info,
        input: Annotated[DeleteVmtaInput, strawberry.argument(description="Which one.")],
    ) -> DeleteVmtaPayload:
        done = await delete_vmta(
            actor_of(info),
            read_ref(input.vmta),
            reassign_to=input.reassign_to,
            force=input.force,
        )
        return DeleteVmtaPayload(
            deleted_uuid=done.vmta_id, reassigned=done.reassigned, cancelled=done.cancelled
        )


def _request(input: CreateVmtaInput) -> VmtaRequest:
    return VmtaRequest(
        name=input.name,
        ip_address=input.ip_address,
        hostname=input.hostname,
        pool=input.pool,
        weight=input.weight,
        description=input.description,
        limits=LimitsRequest(**_limits(input.limits)) if input.limits else None,
        places=_places(input.isp_limits or []),
        warmup=WarmupRequest(**_warmup(input.warmup)) if input.warmup else None,
        tls=input.tls,
        allowed_domains=input.allowed_domains,
    )


def _changes(input: UpdateVmtaInput) -> dict[str, Any]:
    names = {field.name for field in fields(VmtaRequest)} - {"places"}
    given: dict[str, Any] = {
        name: some.value for name in names if (some := getattr(input, name)) is not None
    }
    if given.get("limits") is not None:
        given["limits"] = _limits(given["limits"])
    if given.get("warmup") is not None:
        given["warmup"] = _warmup(given["warmup"])
    if input.isp_limits is not None:
        given["places"] = _places(input.isp_limits.value or [])
    return given


def _limits(input: VmtaLimitsInput) -> dict[str, int | None]:
    return {
        field.name: some.value
        for field in fields(LimitsRequest)
        if (some := getattr(input, field.name)) is not None
    }


def _warmup(input: WarmupInput) -> dict[str, Any]:
    given: dict[str, Any] = {
        field.name: field.default if some.value is None else some.value
        for field in fields(WarmupRequest)
        if (some := getattr(input, field.name)) is not None
    }
    if given.get("custom"):
        given["custom"] = tuple((step.day, step.daily_limit) for step in given["custom"])
    return given


def _places(inputs: list[VmtaPlaceInput]) -> list[PlaceRequest]:
    return [
        PlaceRequest(
            each.isp.value if each.isp else None,
            each.domain,
            each.max_connections,
            each.max_messages_per_connection,
            each.max_messages_per_hour,
        )
        for each in inputs
    ]
