"""The doctor's checks that a web process makes while it serves, for who looks after it all.

Left out is what would read for long: the ledger and the counts of yesterday are the command's.
"""

from ..core.findings import CHECKS
from ..core.settings import Settings
from . import (
    counting_checks,
    database_checks,
    machine_checks,
    network_checks,
    protection_checks,
)


def offer_checks(found: Settings) -> None:
    """Let GraphQL make the checks."""
    CHECKS.clear()
    CHECKS.update(
        {
            "secret key": lambda: machine_checks.secret_key(found),
            "data directory": lambda: machine_checks.data_directory(found),
            "exposure": lambda: machine_checks.exposure(found),
            "certificate": lambda: machine_checks.certificate(found),
            "DNS": lambda: network_checks.dns(found),
            "relay": lambda: network_checks.relay(found),
            "blocklists": lambda: protection_checks.blocklists(found),
            "scanners": lambda: protection_checks.scanners(found),
            "database": database_checks.database,
            "migrations": database_checks.migrations,
            "sealed keys": database_checks.sealed_keys,
            "billing": database_checks.collecting,
            "events": counting_checks.consumers,
            "job queue": lambda: database_checks.queue(found.database_url),
            "vMTAs": lambda: network_checks.vmtas(found),
        }
    )
