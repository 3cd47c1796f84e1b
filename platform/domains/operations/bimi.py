"""Setting a domain's logo."""

from ...core import clock
from ...core.actor import Actor, Permission
from ...core.database import fetch, transaction
from ...core.errors import NotFound
from ...core.settings import settings
from ...mail.dns import resolver
from ...mail.fetching import open_fetcher
from ...security import limits
from ..bimi import BimiChanges, BimiSettings, BimiVerdict, changed_bimi, judge_bimi
from ..logos import read_bimi, write_verdict
from ..lookups import Finding, Sender, look_up
from ..queries import DomainRef, domain_of
from ..records import RecordPurpose, bimi_record
from ..tables import Domain
from ..verification import lock, read_plan, write_findings, write_records
from .audit import record_change


async def update_bimi(actor: Actor, ref: DomainRef, changes: BimiChanges) -> Domain:
    """Change which logo a domain publishes, look at it as mailboxes do, and return the domain.

    What is wrong with the logo, its certificate or DMARC is not refused but kept as issues.
    It takes a few seconds: the logo and the certificate are fetched.

    Raises:
        NotFound: the domain is absent or somebody else's.
        InvalidInput: names every field that breaks a rule.
        TooManyRequests: more than 10 logos were set for this domain within a minute.
    """
    actor.require(Permission.WRITE_DOMAINS)
    found = await domain_of(actor, ref)
    before = await read_bimi(found.id) or BimiSettings()
    wanted = changed_bimi(before, changes, domain=found.name)
    if wanted.logo is not None:
        # What it names is fetched from here: nobody may aim that at others again and again.
        await limits.count(limits.LOOK_AT_LOGO, str(found.id))
    verdict, finding = await _look(found.name, wanted)
    async with transaction() as tx:
        domain = await lock(tx, found.id)
        if domain is None:
            raise NotFound
        await _write(domain, wanted)
        await write_verdict(domain.id, wanted, verdict)
        await write_records(tx, domain)
        plan = await read_plan(domain.id, purposes=frozenset({RecordPurpose.BIMI}))
        if finding is not None:
            await write_findings(domain.id, [(each, finding) for each in plan], clock.now())
        domain.updated_at = clock.now()
        await domain.save()
        told = {
            name: {"from": getattr(before, name), "to": getattr(wanted, name)}
            for name in ("enabled", "selector", "logo_url", "vmc_url")
            if getattr(before, name) != getattr(wanted, name)
        }
        await record_change(actor, tx, domain, "domain.bimi_updated", told)
    return domain


async def _look(name: str, wanted: BimiSettings) -> tuple[BimiVerdict, Finding | None]:
    if wanted.logo is None:
        return BimiVerdict(), None
    async with open_fetcher() as fetcher:
        verdict = await judge_bimi(wanted, domain=name, resolver=resolver(), fetcher=fetcher)
    spec = bimi_record(name, wanted.logo)
    findings = await look_up(resolver(), [spec], sender=Sender(settings().hostname))
    return verdict, findings[0] if findings else None


async def _write(domain: Domain, wanted: BimiSettings) -> None:
    await fetch(
        "INSERT INTO domain_bimi (id, domain_id, enabled, selector, logo_url, vmc_url, issues) "
        "VALUES (gen_random_uuid(), {}, {}, {}, {}, {}, '[]') ON CONFLICT (domain_id) DO UPDATE "
        "SET enabled = excluded.enabled, selector = excluded.selector, "
        "logo_url = excluded.logo_url, vmc_url = excluded.vmc_url",
        domain.id,
        wanted.enabled,
        wanted.selector,
        wanted.logo_url,
        wanted.vmc_url,
    )
