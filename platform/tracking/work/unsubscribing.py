"""What recipients ask for: they act for nobody of ours, so the platform does it."""

from ...core import clock
from ...core.database import transaction
from ...core.settings import settings
from ...events.operations import NewEvent, append
from ...events.rules import EventType
from ...security import limits
from ...suppressions import work as suppressions
from ...suppressions.rules import MARKETING, SuppressionReason
from ..tokens import Recipient, make_token, read_token

UNSUBSCRIBE = "unsubscribe"
PATH = "/track/unsubscribe/"
ONE_CLICK = "one_click"
"""Their mail program did it for them."""
BY_PAGE = "page"
"""They opened the link and pressed the button."""


def unsubscribe_headers(
    recipient: Recipient, *, mailbox: str | None = None
) -> tuple[tuple[str, str], ...]:
    """Return the header fields that let a recipient leave with one click.

    *mailbox* is an address that does the same, for programs that only write mail.

    Source: RFC 8058 section 3.1, RFC 2369 section 3.2.
    """
    token = make_token(recipient, purpose=UNSUBSCRIBE)
    ways = f"<{settings().public_url}{PATH}{token}>"
    if mailbox is not None:
        ways += f", <mailto:{mailbox}?subject=unsubscribe>"
    return (
        ("List-Unsubscribe", ways),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    )


async def unsubscribe(token: str, *, method: str = ONE_CLICK) -> bool:
    """Send the token's recipient no more marketing mail; say whether the token is good.

    Doing it twice is the same as once. *method* is how they asked.

    Raises:
        TooManyRequests: the link was used too often in the last minute.
    """
    recipient = read_token(token, purpose=UNSUBSCRIBE)
    if recipient is None:
        return False
    await limits.count(limits.UNSUBSCRIBE, str(recipient.delivery_id))
    await leave(recipient, method=method)
    return True


async def leave(recipient: Recipient, *, method: str) -> None:
    """Send *recipient* no more marketing mail; twice is the same as once."""
    asked = suppressions.Recipients(
        recipient.organization_id, recipient.project_id, MARKETING, [recipient.address.lower()]
    )
    async with transaction() as tx:
        (known,) = await suppressions.suppressed([asked])
        # Of somebody who was erased no address is kept again, and no mail comes.
        if known in (SuppressionReason.UNSUBSCRIBE, SuppressionReason.ERASED):
            return
        # Another reason may weigh more than the one looked for, and somebody may click twice.
        if not await suppressions.add(
            tx,
            [
                suppressions.NewSuppression(
                    organization_id=recipient.organization_id,
                    project_id=recipient.project_id,
                    address=recipient.address,
                    reason=SuppressionReason.UNSUBSCRIBE,
                )
            ],
        ):
            return
        await append(
            tx,
            [
                NewEvent(
                    organization_id=recipient.organization_id,
                    project_id=recipient.project_id,
                    message_id=recipient.message_id,
                    delivery_id=recipient.delivery_id,
                    type=EventType.MESSAGE_UNSUBSCRIBED,
                    data={"method": method},
                    occurred_at=clock.now(),
                )
            ],
        )
