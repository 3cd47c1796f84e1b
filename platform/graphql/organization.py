"""The tenant: what every area hangs its lists and look-ups on."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import strawberry

from ..core.actor import Actor
from . import (
    accounts,
    analytics,
    api_keys,
    api_requests,
    audit,
    auto_blocks,
    billing,
    blocklists,
    bulk,
    captured,
    credits,
    deliveries,
    domain_checks,
    domains,
    erasures,
    exports,
    greylisting,
    ingress,
    messages,
    queues,
    removals,
    retention,
    scanning,
    suppression_imports,
    suppressions,
    templates,
    tls_requirements,
    tracking,
    uids,
    users,
    vmta_queues,
    vmtas,
    webhooks,
)
from .nodes import Node, register


@strawberry.type(description="A tenant: everything in it is hidden from every other one.")
class Organization(
    # One line for each area, in alphabetical order.
    accounts.OrganizationFields,
    analytics.OrganizationFields,
    api_keys.OrganizationFields,
    api_requests.OrganizationFields,
    audit.OrganizationFields,
    auto_blocks.OrganizationFields,
    billing.OrganizationFields,
    blocklists.OrganizationFields,
    bulk.OrganizationFields,
    captured.OrganizationFields,
    credits.OrganizationFields,
    deliveries.OrganizationFields,
    domain_checks.OrganizationFields,
    domains.OrganizationFields,
    erasures.OrganizationFields,
    greylisting.OrganizationFields,
    ingress.OrganizationFields,
    exports.OrganizationFields,
    messages.OrganizationFields,
    queues.OrganizationFields,
    removals.OrganizationFields,
    retention.OrganizationFields,
    scanning.OrganizationFields,
    suppression_imports.OrganizationFields,
    vmta_queues.OrganizationFields,
    suppressions.OrganizationFields,
    templates.OrganizationFields,
    tls_requirements.OrganizationFields,
    tracking.OrganizationFields,
    uids.OrganizationFields,
    users.OrganizationFields,
    vmtas.OrganizationFields,
    webhooks.OrganizationFields,
    Node,
): ...


async def load_organizations(actor: Actor, ids: Sequence[UUID]) -> Mapping[UUID, Organization]:
    """Return the actor's organization, if it is among *ids*."""
    own = actor.organization_id
    return {own: Organization(uuid=own)} if own in ids else {}


register(Organization, load_organizations)
