"""Writes of domains: setting up, changing, verifying, replacing keys, deleting."""

from .adopt import AdoptedKey, adopt_domain
from .bimi import update_bimi
from .change import delete_domain, stop_sending, update_domain
from .create import CreatedDomain, create_domain
from .inbound_tls import InboundTlsCheck, check_inbound_tls
from .verify import Verification, rotate_dkim, verify_domain

__all__ = [
    "AdoptedKey",
    "CreatedDomain",
    "InboundTlsCheck",
    "Verification",
    "adopt_domain",
    "check_inbound_tls",
    "create_domain",
    "delete_domain",
    "rotate_dkim",
    "stop_sending",
    "update_bimi",
    "update_domain",
    "verify_domain",
]
