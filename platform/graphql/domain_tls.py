"""What domains publish about TLS for the mail they receive: MTA-STS and TLS-RPT."""

from typing import Annotated

import strawberry

from ..domains import inbound_tls, operations
from ..domains.records import RecordStatus
from ..mail.mta_sts import StsMode, StsPolicy
from .context import Info, actor_of
from .domains import Domain, DomainRef, domain_type, read_ref
from .enums import describe_enum
from .scalars import Url

describe_enum(
    StsMode,
    "What senders do when TLS with a good certificate is not to be had.",
    {
        "ENFORCE": "Keep the mail and try again.",
        "TESTING": "Deliver it all the same, and report.",
        "NONE": "As if there were no policy.",
    },
    name="MtaStsMode",
)


@strawberry.type(description="A TXT record to publish, and what is there now.")
class DnsAdvice:
    name: str = strawberry.field(description="Full name, without the final dot.")
    value: str = strawberry.field(description="What to publish.")
    status: RecordStatus = strawberry.field(description="What is there now.")
    found: list[str] = strawberry.field(description="The values that are there.")
    message: str | None = strawberry.field(description="What is wrong, as a sentence.")


@strawberry.type(description="An MTA-STS policy: which hosts take mail, and how strictly.")
class MtaStsPolicy:
    mode: StsMode = strawberry.field(description="How strictly.")
    max_age_seconds: int = strawberry.field(description="How long senders remember it.")
    mx: list[str] = strawberry.field(
        description="Hosts that take mail; the first label may be `*`."
    )
    text: str = strawberry.field(description="The file that says so.")


@strawberry.type(description="What a domain should publish about TLS, and what it does.")
class InboundTls:
    mta_sts: DnsAdvice = strawberry.field(description="Announces the policy (RFC 8461).")
    tls_reports: DnsAdvice = strawberry.field(description="Where reports go (RFC 8460).")
    policy_url: Url = strawberry.field(description="Where the policy is to be.")
    proposed_policy: MtaStsPolicy = strawberry.field(
        description="To be put there. It starts with TESTING, by which no mail is lost."
    )
    policy: MtaStsPolicy | None = strawberry.field(
        description="The policy that is there; asked for only where it is announced."
    )
    problem: str | None = strawberry.field(
        description="Why senders ignore the policy, or cannot deliver by it."
    )


@strawberry.input(description="A domain to look at.")
class CheckInboundTlsInput:
    domain: DomainRef = strawberry.field(description="Which one.")


@strawberry.type(description="What was found.")
class CheckInboundTlsPayload:
    domain: Domain = strawberry.field(description="The domain.")
    inbound_tls: InboundTls = strawberry.field(description="What it should and does publish.")


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Look up what a domain publishes about TLS for the mail it receives, and "
        "fetch its policy. Nothing is kept. Needs `domains:write`; counts as a check of the "
        "domain, of which there are 6 a minute."
    )
    async def check_inbound_tls(
        self,
        info: Info,
        input: Annotated[CheckInboundTlsInput, strawberry.argument(description="Which domain.")],
    ) -> CheckInboundTlsPayload:
        done = await operations.check_inbound_tls(actor_of(info), read_ref(input.domain))
        found = done.found
        return CheckInboundTlsPayload(
            domain=domain_type(done.domain),
            inbound_tls=InboundTls(
                mta_sts=_advice(found.sts),
                tls_reports=_advice(found.reports),
                policy_url=Url(found.policy_url),
                proposed_policy=_policy(found.proposed),
                policy=_policy(found.policy) if found.policy else None,
                problem=found.problem,
            ),
        )


def _advice(advice: inbound_tls.Advice) -> DnsAdvice:
    return DnsAdvice(
        name=advice.name,
        value=advice.value,
        status=advice.finding.status,
        found=list(advice.finding.found),
        message=advice.finding.message,
    )


def _policy(policy: StsPolicy) -> MtaStsPolicy:
    return MtaStsPolicy(
        mode=policy.mode,
        max_age_seconds=policy.max_age_seconds,
        mx=list(policy.mx),
        text=policy.text,
    )
