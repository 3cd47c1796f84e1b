"""What the sending side measures of itself."""

from ..core.measuring import Counter, Gauge, Histogram

DKIM_SIGNATURES = Counter("dkim_signatures", "DKIM signatures made.")
SENDING = Gauge("smtp_connections", "Connections that mail goes over now.", labels=("vmta", "isp"))
TRANSACTION_SECONDS = Histogram(
    "smtp_transaction_seconds",
    "From a message's first command to the last reply to it.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
LATENCY_SECONDS = Histogram(
    "delivery_latency_seconds",
    "From when a message was accepted, or due if it was scheduled, to its delivery.",
    buckets=(0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400, 259200),
)
