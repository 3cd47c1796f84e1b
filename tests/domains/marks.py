"""Mark certificates, good or with one thing wrong."""

import gzip
from base64 import b64encode, encodebytes
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

MARK = ObjectIdentifier("1.3.6.1.5.5.7.3.31")
LOGOTYPE = ObjectIdentifier("1.3.6.1.5.5.7.1.12")


def make_mark(
    domain: str,
    logo: bytes,
    *,
    at: datetime,
    days: int = 365,
    is_mark: bool = True,
    is_signed: bool = True,
    has_chain: bool = True,
    issuer_may_sign: bool = True,
) -> bytes:
    """Return a certificate for *logo* of *domain* and the one that signed it, in PEM."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of marks")])
    starts, ends = at - timedelta(days=2), at + timedelta(days=days)
    ca = (
        x509.CertificateBuilder()
        .subject_name(ca_name)
        .issuer_name(ca_name)
        .public_key(ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(at + timedelta(days=3_650))
        .add_extension(x509.BasicConstraints(ca=issuer_may_sign, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    uri = b"data:image/svg+xml;base64," + b64encode(gzip.compress(logo))
    purpose = MARK if is_mark else ExtendedKeyUsageOID.SERVER_AUTH
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)]))
        .issuer_name(ca_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.UnrecognizedExtension(LOGOTYPE, _logotype(uri)), critical=False)
        .sign(ca_key if is_signed else key, hashes.SHA256())
    )
    chain = [leaf, ca] if has_chain else [leaf]
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain)


def altered(pem: bytes, before: bytes, after: bytes) -> bytes:
    """Return the certificates of *pem* with the octets *before* replaced in each."""
    chain = x509.load_pem_x509_certificates(pem)
    octets = [
        each.public_bytes(serialization.Encoding.DER).replace(before, after) for each in chain
    ]
    return b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + encodebytes(each) + b"-----END CERTIFICATE-----\n"
        for each in octets
    )


def _logotype(uri: bytes) -> bytes:
    """Return *uri* as an IA5String in a SEQUENCE; the real structure has more around it."""
    return _der(0x30, _der(0x16, uri))


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content
