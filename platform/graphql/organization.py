"""The tenant: what every area hangs its lists and look-ups on."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import strawberry

from ..core.actor import Actor
from . import (
    accounts,
    analytics,
    api_keys,
    audit,
    billing,
    credits,
    deliveries,
    domain_checks,
    domains,
    erasures,
    messages,
    queues,
    suppression_imports,
    suppressions,
    tls_requirements,
    tracking,
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
    audit.OrganizationFields,
    billing.OrganizationFields,
    credits.OrganizationFields,
    deliveries.OrganizationFields,
    domain_checks.OrganizationFields,
    domains.OrganizationFields,
    erasures.OrganizationFields,
    messages.OrganizationFields,
    queues.OrganizationFields,
    suppression_imports.OrganizationFields,
    vmta_queues.OrganizationFields,
    suppressions.OrganizationFields,
    tls_requirements.OrganizationFields,
    tracking.OrganizationFields,
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
