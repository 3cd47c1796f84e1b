"""PostMTA's endpoints, a file for each of its resources."""

from . import (
    analytics,
    api_keys,
    auth,
    batches,
    billing,
    credits,
    domains,
    messages,
    queues,
    reports,
    sending,
    simulating,
    users,
    vmtas,
    webhooks,
)

ROUTES = (
    *auth.ROUTES,
    *users.ROUTES,
    *credits.ROUTES,
    *api_keys.ROUTES,
    sending.SEND,
    batches.SEND_BATCH,
    *messages.ROUTES,
    simulating.SIMULATE,
    *queues.ROUTES,
    *domains.ROUTES,
    *vmtas.ROUTES,
    *webhooks.ROUTES,
    *analytics.ROUTES,
    reports.GENERATE,
    *billing.ROUTES,
)
"""Every endpoint, in the order of PostMTA's reference."""
