"""Forms that some settings have; what does not fit says how to write it."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[a-z]{{2,63}}"
_MAILBOX = re.compile(rf"{_ADDRESS}|[\w .'-]+ <{_ADDRESS}>", re.IGNORECASE)


def origins(value: str) -> frozenset[str]:
    """Return origins of pages; `*` is any."""
    found = frozenset(part.strip().lower().rstrip("/") for part in value.split(",") if part.strip())
    for origin in found - {"*"}:
        parts = urlsplit(origin)
        if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in ("http", "https"):
            raise ValueError("write each as https://host or https://host:port")
    return found


def mailbox(value: str) -> str:
    """Return an email address, with or without a name."""
    # Only the shape: what an address is in full, `mail` knows.
    if value.strip() and not _MAILBOX.fullmatch(value.strip()):
        raise ValueError("write it as address@example.com or Name <address@example.com>")
    return value.strip()


def issuer(value: str) -> str:
    """Return the URL of a provider of identities, exactly as it calls itself."""
    parts = urlsplit(value.strip())
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if value.strip() and not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise ValueError("write it as https://host, with a path if there is one")
    return value.strip()


def between(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number of that range."""

    def count(value: str) -> int:
        found = int(value)
        if not least <= found <= most:
            raise ValueError(f"write {least} to {most}")
        return found

    return count


def one_of(*allowed: str) -> Callable[[str], str]:
    """Return what reads one of these words, in capitals or not."""

    def choose(value: str) -> str:
        chosen = value.strip().lower()
        if chosen not in allowed:
            raise ValueError("choose one of " + ", ".join(repr(word) for word in allowed))
        return chosen

    return choose
