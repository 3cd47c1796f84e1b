"""PostMTA's endpoints, a file for each of its resources."""

from . import (
    api_keys,
    auth,
    batches,
    billing,
    credits,
    domains,
    messages,
    queues,
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
    *billing.ROUTES,
)
"""Every endpoint, in the order of PostMTA's reference."""
