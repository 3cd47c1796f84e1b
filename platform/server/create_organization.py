"""`postlane create-organization`: an organization, its owner, and an API key shown once."""

import argparse
import secrets

from ..core.actor import Origin
from ..core.logs import start_logging
from ..core.settings import settings
from ..registration.operations import Registration, found_organization
from ..security.new_keys import NewKey
from ..security.operations import create_api_key
from .connection import open_database
from .history import require_current

PASSWORD_BYTES = 18


async def run(arguments: argparse.Namespace) -> int:
    """Make them, and print the sign-in and the key; neither can be shown again."""
    found = settings()
    start_logging(form=found.log_format, level="warning")
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    asked = Registration(
        email=arguments.email,
        password=password,
        name=arguments.owner or arguments.email.partition("@")[0],
        organization_name=arguments.name,
    )
    async with open_database():
        await require_current()
        signed_in = await found_organization(asked, Origin())
        issued = await create_api_key(signed_in.actor, NewKey(name="First key", scopes=["*"]))
    print(f"Organization  {arguments.name}")
    print(f"Owner         {arguments.email}")
    print(f"Password      {password}")
    print(f"API key       {issued.secret}")
    print("Keep them: neither the password nor the key is shown again.")
    return 0
