"""TLS towards mail servers: which certificates are asked for, and what was got."""

import ssl
import warnings
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from .dane import Tlsa, is_authentic


class Tls(StrEnum):
    """How much encryption a conversation needs."""

    DISABLED = "disabled"
    OPPORTUNISTIC = "opportunistic"
    """Where it is offered and works; in clear otherwise; any certificate."""
    REQUIRED = "required"
    """Always; any certificate."""
    VERIFIED = "verified"
    """Always, with a certificate that is good for the host's name."""


class TlsPolicy(StrEnum):
    """What decided how much encryption a conversation needs."""

    DISABLED = "disabled"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    VERIFIED = "verified"
    MTA_STS = "mta_sts"
    """The policy of the recipient's domain (RFC 8461)."""
    DANE = "dane"
    """What the DNS says of the host, under DNSSEC (RFC 7672)."""


@dataclass(frozen=True, slots=True)
class Demand:
    """How much encryption a host needs, and what says so.

    With *pins*, its certificate has to be one that they speak of, and nothing else counts;
    *names* are what it may be for where they speak of who signed it.
    """

    tls: Tls
    policy: TlsPolicy
    pins: tuple[Tlsa, ...] = ()
    names: tuple[str, ...] = ()


def demand_of(tls: Tls) -> Demand:
    """Return what *tls* demands by itself."""
    return Demand(tls, TlsPolicy(tls.value))


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What a connection runs on; all `None` in clear.

    *verified* is whether the certificate is good for the host's name, `None` where there are no
    certificate authorities to ask.
    """

    version: str | None = None
    cipher: str | None = None
    verified: bool | None = None
    policy: TlsPolicy | None = None
    """What decided; `None` where no connection came about."""


@lru_cache(maxsize=32)
def context_for(*, verified: bool, ca_file: str | None) -> ssl.SSLContext:
    """Return a client's context that insists on a good certificate, or takes any."""
    context = ssl.create_default_context(cafile=ca_file)
    if not verified:
        # Mail servers often have certificates for another name or signed by
        # nobody. Encryption to whom we cannot tell is better than none.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def read_facts(ssl_object: Any, host_name: str, demand: Demand, *, ca_file: str | None) -> TlsFacts:
    """Return what *ssl_object* agreed on; `None` means that the connection is in clear."""
    if ssl_object is None:
        return TlsFacts(policy=demand.policy)
    cipher = ssl_object.cipher()
    verified: bool | None = True
    if ssl_object.context.verify_mode is ssl.CERT_NONE and not demand.pins:
        verified = _is_good(_chain(ssl_object), host_name, ca_file)
    name = cipher[0] if cipher else None
    return TlsFacts(ssl_object.version(), name, verified, demand.policy)


def is_pinned(ssl_object: Any, demand: Demand) -> bool:
    """Return whether the certificate is one that the pins of *demand* speak of."""
    return is_authentic(_chain(ssl_object), demand.pins, demand.names)


def _is_good(chain: list[bytes], host_name: str, ca_file: str | None) -> bool | None:
    """Judge the chain after the fact, as a context that takes any certificate keeps it unjudged."""
    store = _store(ca_file)
    if store is None or not chain:
        return None
    try:
        leaf, *others = map(x509.load_der_x509_certificate, chain)
        verifier = PolicyBuilder().store(store).build_server_verifier(x509.DNSName(host_name))
        verifier.verify(leaf, others)
    except (VerificationError, ValueError):
        return False
    return True


@lru_cache(maxsize=32)
def _store(ca_file: str | None) -> Store | None:
    authorities = ssl.create_default_context(cafile=ca_file).get_ca_certs(binary_form=True)
    with warnings.catch_warnings():
        # An old authority with an odd serial number is no news for a log.
        warnings.simplefilter("ignore")
        certificates = [x509.load_der_x509_certificate(each) for each in authorities]
    return Store(certificates) if certificates else None


def _chain(ssl_object: Any) -> list[bytes]:
    # Public since Python 3.13; before that on the inner object, with
    # certificates that are objects.
    if hasattr(ssl_object, "get_unverified_chain"):
        return list(ssl_object.get_unverified_chain())
    certificates = ssl_object._sslobj.get_unverified_chain() or []
    return [bytes(ssl.PEM_cert_to_DER_cert(each.public_bytes())) for each in certificates]
