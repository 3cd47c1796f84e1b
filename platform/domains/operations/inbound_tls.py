"""Looking at what a domain publishes about TLS for the mail it receives."""

from dataclasses import dataclass

from ...core.actor import Actor, Permission
from ...core.settings import settings
from ...mail.dns import resolver
from ...mail.fetching import open_fetcher
from ...security import limits
from ..inbound_tls import InboundTls, look_at_inbound_tls
from ..queries import DomainRef, domain_of
from ..tables import Domain


@dataclass(frozen=True, slots=True)
class InboundTlsCheck:
    """A domain, and what was found of it."""

    domain: Domain
    found: InboundTls


async def check_inbound_tls(actor: Actor, ref: DomainRef) -> InboundTlsCheck:
    """Look up what a domain publishes about TLS; nothing is kept, and it never decides anything.

    It counts as a check of the domain, of which there are 6 a minute.

    Raises:
        NotFound: the domain is absent or somebody else's.
        TooManyRequests: more than 6 checks of this domain within a minute.
    """
    actor.require(Permission.WRITE_DOMAINS)
    domain = await domain_of(actor, ref)
    await limits.count(limits.VERIFY_DOMAIN, str(domain.id))
    async with open_fetcher() as fetcher:
        found = await look_at_inbound_tls(
            resolver(),
            fetcher,
            domain.name,
            hosts=[f"mx.{settings().hostname}"],
            reports_to=domain.dmarc_rua or f"postmaster@{domain.name}",
        )
    return InboundTlsCheck(domain, found)
