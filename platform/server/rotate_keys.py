"""`postlane rotate-keys`: what is encrypted at rest gets under the secret key in use.

What is only a keyed hash cannot be made anew, as what it was made of is not stored: old secret
keys stay in the list for it. The hash of an API key is renewed when the key is next used.
"""

import argparse
import os
import sys

from ..core.logs import start_logging
from ..core.resealing import Progress, Sealed, reseal_all
from ..core.settings import SECRET_FILE, load, settings
from ..core.wording import counted, noun_for
from ..domains.rules import KEY_PURPOSE
from ..ingress import posting as ingress_posting
from ..ingress.work import PASSWORD_PURPOSE
from ..notices.rendering import PURPOSE as NOTICE_PURPOSE
from ..security import second_factor
from ..security.tokens import SEAL_PURPOSE as TOKEN_PURPOSE
from ..security.work import give_up_signing_keys, rotate_signing_key
from ..webhooks import postal_keys, signing, targets
from .connection import open_database
from .data_dir import claim, renew_secret
from .faults import CommandFailed
from .history import require_current

SEALED = (
    Sealed("dkim_keys", "private_key", KEY_PURPOSE),
    Sealed("signing_keys", "private_key", TOKEN_PURPOSE),
    Sealed("second_factors", "secret", second_factor.PURPOSE),
    Sealed("webhooks", "sealed_secret", signing.PURPOSE),
    Sealed("webhooks", "sealed_previous_secret", signing.PURPOSE),
    Sealed("webhooks", "sealed_headers", targets.HEADERS_PURPOSE),
    Sealed("postal_signing_keys", "private_key", postal_keys.SEAL_PURPOSE),
    Sealed("ingress_mailboxes", "sealed_secret", ingress_posting.PURPOSE),
    Sealed("ingress_mailboxes", "sealed_password", PASSWORD_PURPOSE),
    Sealed("notices", "sealed_values", NOTICE_PURPOSE),
)
"""Every column that holds sealed values; a test finds one that is missing."""


async def run(arguments: argparse.Namespace) -> int:
    """Seal everything with the secret key in use, or put a new one before it."""
    if arguments.new:
        if arguments.compromised:
            raise CommandFailed("--compromised belongs to the run that seals anew, not to --new.")
        return _make_key()
    start_logging(form=settings().log_format, level="warning")
    broken = 0
    async with open_database():
        await require_current()
        if arguments.compromised:
            # First of all: whoever has the old keys signs in with them meanwhile.
            await give_up_signing_keys()
            print("All sessions have ended; tokens are signed with a new key.")
        for sealed in SEALED:
            done = Progress()
            async for done in reseal_all(sealed):
                _tell(sealed, done, end="\r")
            _tell(sealed, done, end="\n")
            for id in done.broken[:5]:
                print(f"  No secret key opens the value of {id}.", file=sys.stderr)
            broken += len(done.broken)
        if not broken and not arguments.compromised:
            # Whoever held the old secret key and the database could have read the one before.
            await rotate_signing_key()
    if broken:
        raise CommandFailed(
            f"{counted(broken, 'value was', 'values were')} sealed with a secret key that "
            "is neither in use nor in POSTLANE_OLD_SECRET_KEYS. "
            f"{noun_for(broken, 'It is as it was', 'They are as they were')}."
        )
    print("Everything is sealed with the secret key in use.")
    if settings().old_secret_keys:
        print(_STILL_NEEDED)
    return 0


_STILL_NEEDED = (
    "Old secret keys are still needed for API keys that have not been used since, for links and "
    "return addresses in mail that was sent before, and to know addresses that were erased."
)


def _make_key() -> int:
    found = load(os.environ)
    if found.secret_key:
        raise CommandFailed(
            "POSTLANE_SECRET_KEY is set, so the key in the data directory is not used. Put the "
            "output of `openssl rand -hex 32` there, and the present key into "
            "POSTLANE_OLD_SECRET_KEYS."
        )
    with claim(found.data_dir):
        if not (found.data_dir / SECRET_FILE).is_file():
            raise CommandFailed(f"There is no secret key in {found.data_dir} that could be old.")
        keys = renew_secret(found.data_dir)
    print(f"Made a new secret key in {found.data_dir / SECRET_FILE}, which now holds {keys}.")
    print("Start Postlane again, and then run `postlane rotate-keys`.")
    return 0


def _tell(sealed: Sealed, done: Progress, *, end: str) -> None:
    if end == "\n" or sys.stdout.isatty():
        text = f"{sealed.table}.{sealed.column}: {done.read} read, {done.renewed} sealed anew"
        print(text, end=end, flush=True)
