"""The certificate that encrypts SMTP submission."""

import ssl

from ..core.settings import Settings
from .faults import CommandFailed


def tls_context(found: Settings) -> ssl.SSLContext | None:
    """Return what encrypts submission, None where no certificate is set.

    Raises:
        CommandFailed: the files cannot be read, or do not belong together.
    """
    if found.tls_certificate is None or found.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(found.tls_certificate, found.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise CommandFailed(
            f"POSTLANE_TLS_CERTIFICATE={found.tls_certificate} and POSTLANE_TLS_KEY="
            f"{found.tls_key} cannot be used: {error.strerror or error}."
        ) from error
    return context
