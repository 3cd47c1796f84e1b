"""The doctor's checks of this machine: secrets, disk, what it shows to the world."""

import ipaddress
import shutil
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from cryptography.x509 import load_pem_x509_certificate

from ..core import clock
from ..core.settings import SECRET_FILE, Settings, stored_secrets
from ..core.wording import counted
from .certificates import tls_context
from .data_dir import prepare
from .faults import CommandFailed
from .findings import Finding, fault, ok, warning

LEAST_DIFFERENT_CHARACTERS = 10
SCARCE_BYTES = 1 << 30
LOW_BYTES = 5 << 30
CERTIFICATE_LOW = timedelta(days=14)


async def secret_key(found: Settings) -> Sequence[Finding]:
    """Check that there is a secret key, hard to guess and closed to others."""
    subject = "secret key"
    path = found.data_dir / SECRET_FILE
    secret = found.secret_key
    if not secret:
        if not path.is_file():
            return [
                fault(
                    subject,
                    f"POSTLANE_SECRET_KEY is not set and {path} is absent.",
                    "Run `postlane up` once, which makes one, or set it to the output of "
                    "`openssl rand -hex 32`.",
                )
            ]
        if path.stat().st_mode & 0o077:
            return [fault(subject, f"Other users may read {path}.", f"chmod 600 {path}")]
        secret = next(iter(stored_secrets(found.data_dir)), "")
    if len(secret) < 32 or len(set(secret)) < LEAST_DIFFERENT_CHARACTERS:
        return [
            fault(
                subject,
                "The secret key is easy to guess: it is short or repeats itself.",
                "Before there is any data, replace it with the output of `openssl rand -hex 32`.",
            )
        ]
    return [ok(subject, "It is there and hard to guess.")]


async def data_directory(found: Settings) -> Sequence[Finding]:
    """Check that the data directory can be written and that its disk has room."""
    subject = "data directory"
    try:
        prepare(found.data_dir)
    except CommandFailed as error:
        return [fault(subject, "It cannot be used.", str(error))]
    free = shutil.disk_usage(found.data_dir).free
    shown = f"{found.data_dir} has {free / (1 << 30):.1f} GiB free."
    if free < SCARCE_BYTES:
        return [fault(subject, shown, "Make room: a database without any stops.")]
    if free < LOW_BYTES:
        return [warning(subject, shown, "Make room before the database needs it.")]
    return [ok(subject, shown)]


async def exposure(found: Settings) -> Sequence[Finding]:
    """Check what a stranger could do if this machine is reachable."""
    findings = []
    url = urlsplit(found.public_url)
    public = _is_public(found.listen.host) or _is_public(url.hostname or "")
    if public and found.registration == "open":
        findings.append(
            warning(
                "registration",
                "Anybody who reaches this machine may make an organization.",
                "Set POSTLANE_REGISTRATION=first_user or closed, unless that is meant.",
            )
        )
    if _is_public(urlsplit(found.public_url).hostname or "") and found.public_url.startswith(
        "http:"
    ):
        findings.append(
            warning(
                "public URL",
                f"{found.public_url} is not encrypted: API keys travel in the clear.",
                "Put a proxy with a certificate in front, and set POSTLANE_PUBLIC_URL=https://...",
            )
        )
    if public and found.environment == "development":
        findings.append(
            warning(
                "environment",
                "POSTLANE_ENVIRONMENT=development shows the schema to everybody.",
                "Set it to production.",
            )
        )
    return findings or [ok("exposure", f"Listens on {found.listen}.")]


async def certificate(found: Settings) -> Sequence[Finding]:
    """Check that the certificate of SMTP submission can be used, and for how long."""
    if found.tls_certificate is None or found.tls_key is None:
        public = found.smtp_listen is not None and _is_public(found.smtp_listen.host)
        if public:
            return [
                warning(
                    "certificate",
                    "SMTP submission listens to others, who cannot sign in without encryption.",
                    "Set POSTLANE_TLS_CERTIFICATE and POSTLANE_TLS_KEY.",
                )
            ]
        return []
    try:
        tls_context(found)
    except CommandFailed as error:
        return [fault("certificate", str(error), "Check the paths and the rights of both files.")]
    leaf = load_pem_x509_certificate(found.tls_certificate.read_bytes())
    left = leaf.not_valid_after_utc - clock.now()
    renew = "Renew it, and restart `postlane smtp`."
    if left < timedelta():
        return [fault("certificate", f"It ended {counted(-left.days, 'day')} ago.", renew)]
    if left < CERTIFICATE_LOW:
        return [warning("certificate", f"It ends in {counted(left.days, 'day')}.", renew)]
    return [ok("certificate", f"It is good for {counted(left.days, 'day')}.")]


def _is_public(host: str) -> bool:
    """Say whether *host* is, or may be, reached from elsewhere."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host not in ("", "localhost")
