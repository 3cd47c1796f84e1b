"""DANE: which certificates the DNS says a mail server has, where DNSSEC protects the DNS.

Source: RFC 6698 and RFC 7671 for the records, RFC 7672 for their use with SMTP.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256, sha512

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError


class Usage(IntEnum):
    """What a record is about; the two others name public authorities, which SMTP leaves out."""

    TRUST_ANCHOR = 2
    END_ENTITY = 3


_WHOLE, _KEY = 0, 1
_DIGESTS = {1: sha256, 2: sha512}


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One TLSA record."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def is_usable(self) -> bool:
        """Whether it can say anything about a mail server's certificate.

        Source: RFC 7672 section 3.1.
        """
        if self.usage not in list(Usage) or self.selector not in (_WHOLE, _KEY):
            return False
        if self.matching == 0:
            return bool(self.data)
        digest = _DIGESTS.get(self.matching)
        return digest is not None and len(self.data) == digest().digest_size

    def matches(self, certificate: bytes) -> bool:
        """Return whether it speaks of *certificate*, in DER."""
        if not self.is_usable:
            return False
        chosen = certificate if self.selector == _WHOLE else _public_key(certificate)
        if chosen is None:
            return False
        digest = _DIGESTS.get(self.matching)
        return self.data == (digest(chosen).digest() if digest else chosen)


def is_authentic(chain: Sequence[bytes], pins: Collection[Tlsa], names: Collection[str]) -> bool:
    """Return whether the certificates that a server sent, its own first, are those of the DNS.

    Its own in a record is enough, whatever its name and dates. An authority in a record has to
    have signed it, and it has to be good for one of *names* now.
    """
    if not chain:
        return False
    if any(pin.usage == Usage.END_ENTITY and pin.matches(chain[0]) for pin in pins):
        return True
    anchors = [pin for pin in pins if pin.usage == Usage.TRUST_ANCHOR]
    found = [each for each in chain[1:] if any(pin.matches(each) for pin in anchors)]
    # Only a record that holds a whole certificate can stand for one that was not sent.
    found += [pin.data for pin in anchors if (pin.selector, pin.matching) == (_WHOLE, 0)]
    return any(_leads_to(chain, anchor, name) for anchor in found for name in names)


def _leads_to(chain: Sequence[bytes], anchor: bytes, name: str) -> bool:
    try:
        leaf, *others = map(x509.load_der_x509_certificate, chain)
        store = Store([x509.load_der_x509_certificate(anchor)])
        verifier = PolicyBuilder().store(store).build_server_verifier(x509.DNSName(name))
        verifier.verify(leaf, others)
    except (VerificationError, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _public_key(certificate: bytes) -> bytes | None:
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except (UnsupportedAlgorithm, ValueError):
        return None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
