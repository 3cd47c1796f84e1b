"""Documents that tests of people and their credentials share."""

from typing import Any

from postlane.core.ids import new_token

from .client import Client

PASSWORD = "seven green bicycles"
"""Good enough for anybody, and the same for everybody."""

REGISTER = """
mutation ($input: RegisterInput!) {
  register(input: $input) {
    token tokenType expiresAt expiresInSeconds
    user { uuid email name role status timezone }
    organization { uuid slug name plan status projects { nodes { slug } } }
  }
}
"""
LOG_IN = """
mutation ($input: LogInInput!) {
  logIn(input: $input) { token user { uuid email } organization { uuid name } }
}
"""
VIEWER = """
{
  viewer {
    platformAdmin
    user { uuid email role }
    organization { uuid name }
    memberships { slug name role }
    credential { kind mode scopes expiresAt rateLimitPerMinute apiKey { uuid } project { slug } }
  }
}
"""
WHO = "{ viewer { user { uuid } } }"


def new_person(**values: Any) -> dict[str, Any]:
    """Return the input of somebody who registers."""
    tag = new_token(10).lower()
    return {
        "email": f"ada-{tag}@example.org",
        "password": PASSWORD,
        "name": "Ada Admin",
        "organizationName": f"Example {tag}",
    } | values


async def registered(client: Client, **values: Any) -> Any:
    """Register somebody and return the answer."""
    data = await client.data(REGISTER, {"input": new_person(**values)})
    return data["register"]
