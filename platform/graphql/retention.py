"""How long what is known of mail is kept here."""

import strawberry

from ..core.settings import settings
from .context import Info, actor_of


@strawberry.type(description="How long the deployment keeps what it knows of mail.")
class Retention:
    content_days: int = strawberry.field(
        description="Days that a message's parts are kept after its last recipient is final."
    )
    message_days: int = strawberry.field(
        description="Days that messages, their recipients, attempts and events are kept."
    )


@strawberry.type
class OrganizationFields:
    """What hangs on the organization."""

    @strawberry.field(description="How long mail is remembered; the same for everybody here.")
    def retention(self, info: Info) -> Retention:
        actor_of(info)
        found = settings()
        return Retention(content_days=found.keep_content_days, message_days=found.keep_message_days)
