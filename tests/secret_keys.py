"""Another secret key for a while, as after a restart with other settings."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from postlane.core.crypto import derived_keys
from postlane.core.settings import settings
from postlane.security import tokens
from postlane.tracking import tokens as links
from postlane.webhooks import postal_keys


@contextmanager
def secret_keys(current: str, *old: str) -> Iterator[None]:
    """Let this process have these secret keys for the body, and nothing remembered of others."""
    names = ("POSTLANE_SECRET_KEY", "POSTLANE_OLD_SECRET_KEYS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict(zip(names, (current, " ".join(old)), strict=True)))
    _forget()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
        _forget()


def _forget() -> None:
    settings.cache_clear()
    derived_keys.cache_clear()
    links._ciphers.cache_clear()
    # What a process remembers for a minute; one that has just started remembers nothing.
    tokens._keys = None
    postal_keys._kept = None
