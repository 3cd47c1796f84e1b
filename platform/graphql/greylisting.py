"""Greylisting: how mail from outside is put off, by us and by receivers, and what came of it."""

from datetime import datetime
from typing import Annotated

import strawberry

from ..delivery.greylisted import Outbound, outbound_greylisting
from ..greylisting import operations, queries
from ..greylisting.queries import Configuration, OwnPolicy, Statistics
from ..greylisting.rules import IPV4_PREFIX, IPV6_PREFIX, RESPONSE_CODE, RESPONSE_TEXT
from .context import Info, actor_of


@strawberry.type(description="What is never put off.")
class GreylistingExemptions:
    configuration: strawberry.Private[Configuration]

    @strawberry.field(description="Whoever has signed in; always.")
    def authenticated(self) -> bool:
        return True

    @strawberry.field(
        description="Clients of known senders, told by a host name that leads back to them or by "
        "SPF; always."
    )
    def known_senders(self) -> bool:
        return True

    @strawberry.field(description="Reports without a sender to a signed address of ours.")
    def reports(self) -> bool:
        return not self.configuration.policy.reports

    @strawberry.field(description="Networks, the deployment's and your own.")
    def networks(self) -> list[str]:
        return [str(network) for network in self.configuration.policy.networks]

    @strawberry.field(
        description="Domains, the deployment's and your own, beside large senders that everybody "
        "knows."
    )
    def domains(self) -> list[str]:
        return sorted(self.configuration.policy.domains)


@strawberry.type(
    description="What the organization says itself about greylisting; null leaves it to the "
    "deployment."
)
class OwnGreylisting:
    found: strawberry.Private[OwnPolicy]

    @strawberry.field(description="Whether mail is greylisted.")
    def enabled(self) -> bool | None:
        return self.found.enabled

    @strawberry.field(description="How long mail is put off that was not seen before.")
    def delay_seconds(self) -> int | None:
        return self.found.delay_seconds

    @strawberry.field(description="Until when it has to come again.")
    def retry_window_seconds(self) -> int | None:
        return self.found.retry_window_seconds

    @strawberry.field(description="How long what has passed is known, after it was seen last.")
    def max_age_seconds(self) -> int | None:
        return self.found.max_age_seconds

    @strawberry.field(description="After how many passes a network passes with everything.")
    def auto_allow_after(self) -> int | None:
        return self.found.auto_allow_after

    @strawberry.field(description="Whether reports without a sender are put off as well.")
    def reports(self) -> bool | None:
        return self.found.reports

    @strawberry.field(description="Networks and domains that are not put off, as they were given.")
    def exempt(self) -> list[str]:
        return list(self.found.exempt)


@strawberry.type(description="How mail to the organization's addresses is greylisted.")
class GreylistingConfig:
    configuration: strawberry.Private[Configuration]

    @strawberry.field(description="Whether it is.")
    def enabled(self) -> bool:
        return self.configuration.policy.enabled

    @strawberry.field(description="How long mail is put off that was not seen before.")
    def delay_seconds(self) -> int:
        return int(self.configuration.policy.delay.total_seconds())

    @strawberry.field(description="Until when it has to come again.")
    def retry_window_seconds(self) -> int:
        return int(self.configuration.policy.retry_window.total_seconds())

    @strawberry.field(description="How long what has passed is known, after it was seen last.")
    def max_age_seconds(self) -> int:
        return int(self.configuration.policy.max_age.total_seconds())

    @strawberry.field(description="After how many passes a network passes with everything.")
    def auto_allow_after(self) -> int:
        return self.configuration.policy.auto_allow_after

    @strawberry.field(description="IPv4 clients are told by networks of so many bits.")
    def ipv4_prefix(self) -> int:
        return IPV4_PREFIX

    @strawberry.field(description="IPv6 clients are told by networks of so many bits.")
    def ipv6_prefix(self) -> int:
        return IPV6_PREFIX

    @strawberry.field(description="What is replied.")
    def response_code(self) -> int:
        return RESPONSE_CODE

    @strawberry.field(description="What is replied, behind the code.")
    def response_text(self) -> str:
        return RESPONSE_TEXT

    @strawberry.field(description="What is never put off.")
    def exempt(self) -> GreylistingExemptions:
        return GreylistingExemptions(configuration=self.configuration)

    @strawberry.field(description="The part of it that the organization says itself.")
    def own(self) -> OwnGreylisting:
        return OwnGreylisting(found=self.configuration.own)

    @strawberry.field(description="When the organization changed it; null is never.")
    def updated_at(self) -> datetime | None:
        return self.configuration.updated_at


@strawberry.type(description="A network, and how often it was put off.")
class DeferredNetwork:
    network: str = strawberry.field(description="Of 24 bits of IPv4, or 64 of IPv6.")
    deferred: int = strawberry.field(description="How often.")


@strawberry.type(description="What came of greylisting mail from outside.")
class InboundGreylisting:
    found: strawberry.Private[Statistics]

    @strawberry.field(description="Whether it is greylisted now.")
    def enabled(self) -> bool:
        return self.found.enabled

    @strawberry.field(description="Triplets that were seen for the first time.")
    def triplets(self) -> int:
        return self.found.triplets

    @strawberry.field(description="Tries that were put off.")
    def deferred(self) -> int:
        return self.found.deferred

    @strawberry.field(description="Triplets that came again in time.")
    def passed(self) -> int:
        return self.found.passed

    @strawberry.field(description="Triplets that did not, counted when their window had ended.")
    def expired(self) -> int:
        return self.found.expired

    @strawberry.field(description="Triplets that may still come; up to 100,000 are counted.")
    def pending(self) -> int:
        return self.found.pending

    @strawberry.field(description="Tries that were not looked at.")
    def exempted(self) -> int:
        return self.found.exempted

    @strawberry.field(description="Networks that pass with everything, now.")
    def auto_allowed_clients(self) -> int:
        return self.found.auto_allowed_clients

    @strawberry.field(
        description="Of the triplets that have ended, how many per cent came again; null of none."
    )
    def pass_rate(self) -> float | None:
        return self.found.pass_rate

    @strawberry.field(description="How long those took; of the last 10,000. Null of none.")
    def median_delay_seconds(self) -> int | None:
        return self.found.median_delay_seconds

    @strawberry.field(
        description="The networks that were put off most and have not passed, at most 10; of the "
        "last 10,000 triplets."
    )
    def top_deferred_networks(self) -> list[DeferredNetwork]:
        return [
            DeferredNetwork(network=each.network, deferred=each.deferred)
            for each in self.found.top_deferred_networks
        ]


@strawberry.type(description="What came of mail of yours that receivers greylisted.")
class OutboundGreylisting:
    found: strawberry.Private[Outbound]

    @strawberry.field(description="Deliveries that a receiver put off; at most 10,000, the last.")
    def greylisted(self) -> int:
        return self.found.greylisted

    @strawberry.field(description="Those that were delivered later.")
    def delivered_later(self) -> int:
        return self.found.delivered_later

    @strawberry.field(description="Those that are tried again.")
    def still_waiting(self) -> int:
        return self.found.still_waiting

    @strawberry.field(description="Those that were given up.")
    def failed(self) -> int:
        return self.found.failed

    @strawberry.field(description="How long delivered ones took from then on; null of none.")
    def median_delay_seconds(self) -> int | None:
        return self.found.median_delay_seconds


@strawberry.type(description="What came of greylisting in a stretch of time.")
class GreylistingStats:
    since: datetime = strawberry.field(description="From when on.")
    until: datetime = strawberry.field(description="Until when.")
    inbound: InboundGreylisting = strawberry.field(
        description="By us, of mail to the organization's addresses; sums are of whole hours."
    )
    outbound: OutboundGreylisting = strawberry.field(
        description="By receivers, of the organization's mail."
    )
    data_as_of: datetime = strawberry.field(description="When that was so.")


@strawberry.type
class OrganizationFields:
    @strawberry.field(
        description="How mail to the organization's addresses is greylisted. Needs `security:read`."
    )
    async def greylisting_config(self, info: Info) -> GreylistingConfig:
        found = await queries.get_configuration(actor_of(info))
        return GreylistingConfig(configuration=found)

    @strawberry.field(
        description="What came of greylisting, in the last 24 hours unless times are given. Needs "
        "`security:read`."
    )
    async def greylisting_stats(
        self,
        info: Info,
        since: Annotated[datetime | None, strawberry.argument(description="From when on.")] = None,
        until: Annotated[
            datetime | None, strawberry.argument(description="Until when; at most two years.")
        ] = None,
    ) -> GreylistingStats:
        start, end = queries.window(since, until)
        found = await queries.get_statistics(actor_of(info), start, end)
        return GreylistingStats(
            since=start,
            until=end,
            inbound=InboundGreylisting(found=found),
            outbound=OutboundGreylisting(
                found=await outbound_greylisting(actor_of(info), start, end)
            ),
            data_as_of=found.data_as_of,
        )


@strawberry.input(
    description="How to greylist; what is null or left out is the deployment's to say."
)
class SetGreylistingInput:
    enabled: bool | None = strawberry.field(default=None, description="Whether to.")
    delay_seconds: int | None = strawberry.field(default=None, description="1 to 3600.")
    retry_window_seconds: int | None = strawberry.field(default=None, description="3600 to 604800.")
    max_age_seconds: int | None = strawberry.field(
        default=None, description="86400 to 31536000, and no less than the retry window."
    )
    auto_allow_after: int | None = strawberry.field(default=None, description="1 to 1000.")
    reports: bool | None = strawberry.field(
        default=None,
        description="Whether to put reports without a sender off as well, which delays bounces.",
    )
    exempt: list[str] = strawberry.field(
        default_factory=list,
        description="Up to 200 networks and domains that are not put off, beside the deployment's.",
    )


@strawberry.type(description="How mail is greylisted from now on.")
class SetGreylistingPayload:
    config: GreylistingConfig = strawberry.field(description="With the deployment's part.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Say how mail to the organization's addresses is greylisted, instead of what "
        "was said before. Needs `security:write`."
    )
    async def set_greylisting(
        self,
        info: Info,
        input: Annotated[SetGreylistingInput, strawberry.argument(description="How.")],
    ) -> SetGreylistingPayload:
        change = operations.PolicyChange(
            enabled=input.enabled,
            delay_seconds=input.delay_seconds,
            retry_window_seconds=input.retry_window_seconds,
            max_age_seconds=input.max_age_seconds,
            auto_allow_after=input.auto_allow_after,
            reports=input.reports,
            exempt=input.exempt,
        )
        found = await operations.set_greylisting(actor_of(info), change)
        return SetGreylistingPayload(config=GreylistingConfig(configuration=found))
