"""PostMTA's endpoints, a file for each of its resources."""

from . import batches, credits, domains, messages, sending

ROUTES = (
    *credits.ROUTES,
    *domains.ROUTES,
    sending.SEND,
    batches.SEND_BATCH,
    *messages.ROUTES,
)
"""Every endpoint, in the order of PostMTA's reference."""
