"""Whether a mark certificate (VMC, CMC) lets mailboxes show a logo for a domain.

The chain is followed to its end; that its end is an authority which mailboxes know is theirs to
say, as their lists differ and change.
Source: draft-fetch-validation-vmc-wchuang sections 4 and 5, RFC 3709 for the logotype.
"""

import re
import zlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID, ObjectIdentifier

from .logo import MAX_BYTES, BimiIssue, BimiIssueCode
from .rules import organizational_domain

MAX_CHAIN = 6
_MARK_PURPOSE = ObjectIdentifier("1.3.6.1.5.5.7.3.31")
"""id-kp-BrandIndicatorforMessageIdentification: without it, it is a certificate of another kind."""

_LOGOTYPE = ObjectIdentifier("1.3.6.1.5.5.7.1.12")
_UNREADABLE = (
    ValueError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
"""What the library raises over a certificate that it cannot make sense of."""

MAX_LOGOS = 8
_DATA_URI = re.compile(rb"data:image/svg\+xml(?:\+gzip)?;base64,([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class Mark:
    """What is wrong with a mark certificate, and until when it holds."""

    issues: tuple[BimiIssue, ...]
    expires_at: datetime | None = None


def judge_mark(
    pem: bytes, *, domain: str, selector: str, logo: bytes | None, now: datetime
) -> Mark:
    """Return what is wrong with the certificate of *domain*; *logo* is None if there is none."""
    try:
        chain = x509.load_pem_x509_certificates(pem)
        names, purposes = _names(chain[0]), _purposes(chain[0])
        logos = _logos(chain[0])
    except _UNREADABLE:
        message = "The certificate is not one or several certificates in PEM."
        return Mark((BimiIssue(BimiIssueCode.VMC_NOT_A_CERTIFICATE, message),))
    issues: list[BimiIssue] = []

    def tell(code: BimiIssueCode, message: str) -> None:
        issues.append(BimiIssue(code, message))

    if _MARK_PURPOSE not in purposes or not logos:
        tell(BimiIssueCode.VMC_NOT_A_MARK, "The certificate is not one for a mark and its logo.")
    if (problem := _chain_problem(chain)) is not None:
        tell(BimiIssueCode.VMC_BROKEN_CHAIN, problem)
    if not all(each.not_valid_before_utc <= now < each.not_valid_after_utc for each in chain):
        tell(
            BimiIssueCode.VMC_EXPIRED,
            "A certificate of the chain has expired, or is not valid yet.",
        )
    allowed = {domain, organizational_domain(domain)}
    allowed |= {f"{selector}._bimi.{name}" for name in allowed}
    if not allowed & names:
        tell(BimiIssueCode.VMC_OTHER_NAME, f"The certificate is not for {domain}.")
    if logos and logo is not None and logo not in logos:
        tell(BimiIssueCode.VMC_OTHER_LOGO, "The logo in the certificate is not the one published.")
    return Mark(tuple(issues), chain[0].not_valid_after_utc)


def _chain_problem(chain: Sequence[x509.Certificate]) -> str | None:
    if len(chain) < 2 or len(chain) > MAX_CHAIN:
        return "The file does not have the certificate and then those that signed it."
    try:
        for each, issuer in pairwise(chain):
            each.verify_directly_issued_by(issuer)
            constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints)
            if not constraints.value.ca:
                return "A certificate of the chain is signed by one that may not sign."
    except (*_UNREADABLE, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return "A certificate of the chain is not signed by the next one."
    return None


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    names: list[str] = found.value.get_values_for_type(x509.DNSName)
    return {name.lower().rstrip(".") for name in names}


def _purposes(certificate: x509.Certificate) -> list[ObjectIdentifier]:
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE)
    except x509.ExtensionNotFound:
        return []
    return list(found.value) if isinstance(found.value, x509.ExtendedKeyUsage) else []


def _logos(certificate: x509.Certificate) -> list[bytes]:
    """Return the logos inside, unpacked; each no larger than a logo may be, and one byte."""
    try:
        found = certificate.extensions.get_extension_for_oid(_LOGOTYPE).value
    except x509.ExtensionNotFound:
        return []
    octets = found.value if isinstance(found, x509.UnrecognizedExtension) else b""
    logos = []
    # Kilobytes of data may hold thousands of them, each with its own 32 KiB.
    for match in islice(_DATA_URI.finditer(octets), MAX_LOGOS):
        try:
            packed = b64decode(match[1], validate=True)
            is_packed = packed.startswith(b"\x1f\x8b")
            # A few packed bytes may unpack to gigabytes; what is too large is no logo.
            unpacker = zlib.decompressobj(wbits=31)
            logos.append(unpacker.decompress(packed, MAX_BYTES + 1) if is_packed else packed)
        except (Base64Error, zlib.error):
            continue
    return logos
