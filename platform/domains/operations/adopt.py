"""Taking a domain over from another platform, with the key that it has published."""

from dataclasses import dataclass

from ...core import clock
from ...core.actor import Actor, Permission
from ...core.crypto import seal
from ...core.database import Tx, fetch
from ...core.settings import settings
from ...mail.dkim import DkimKeyPair, KeyAlgorithm
from ..keys import SealedKey
from ..rules import KEY_PURPOSE, DomainRequest, DomainStatus, KeyState, check_request
from ..tables import Domain
from ..verification import write_records
from .audit import record_change
from .create import insert_domain


@dataclass(frozen=True, slots=True)
class AdoptedKey:
    """A DKIM key that was made elsewhere; its selector is that of the request."""

    algorithm: KeyAlgorithm
    pair: DkimKeyPair
    is_published: bool
    """Its record was seen in the DNS; otherwise it signs once it is."""


async def adopt_domain(
    tx: Tx, actor: Actor, request: DomainRequest, key: AdoptedKey, *, is_proven: bool
) -> Domain:
    """Set a domain up that may send at once where control *is_proven* by another platform.

    Whoever takes over answers for that proof. The next check judges the domain like any other:
    what is missing in the DNS then makes it degraded, and not before three days failed.

    Raises:
        InvalidInput: names every field that breaks a rule.
        DomainExists: the organization has it already.
        DomainClaimed: another organization has verified it.
        TooManyDomains: the plan allows no further one.
    """
    actor.require(Permission.WRITE_DOMAINS)
    checked = check_request(request, hostname=settings().hostname)
    sealed = SealedKey(
        selector=checked.dkim_selector,
        algorithm=key.algorithm,
        private_key=seal(key.pair.private_pem, purpose=KEY_PURPOSE),
        public_value=key.pair.public_value,
    )
    domain = await insert_domain(tx, actor, request, checked, [sealed])
    now = clock.now()
    if key.is_published:
        await fetch(
            "UPDATE dkim_keys SET state = {}, activated_at = {} WHERE domain_id = {}",
            KeyState.ACTIVE.value,
            now,
            domain.id,
        )
        await write_records(tx, domain)
    if is_proven:
        domain.status = DomainStatus.VERIFIED.value
        domain.verified_at = now
        await domain.save()
    told = {"status": domain.status, "selector": sealed.selector, "published": key.is_published}
    await record_change(actor, tx, domain, "domain.adopted", told)
    return domain
