"""What recipients ask for: they act for nobody of ours, so the platform does it."""

from ..core import clock
from ..core.database import transaction
from ..core.settings import settings
from ..events.operations import NewEvent, append
from ..events.rules import EventType
from ..suppressions import work as suppressions
from ..suppressions.rules import MARKETING, SuppressionReason
from .tokens import Recipient, make_token, read_token

UNSUBSCRIBE = "unsubscribe"
PATH = "/track/unsubscribe/"


def unsubscribe_headers(recipient: Recipient) -> tuple[tuple[str, str], ...]:
    """Return the header fields that let a recipient leave with one click.

    Source: RFC 8058 section 3.1.
    """
    token = make_token(recipient, purpose=UNSUBSCRIBE)
    return (
        ("List-Unsubscribe", f"<{settings().public_url}{PATH}{token}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    )


async def unsubscribe(token: str) -> bool:
    """Send the token's recipient no more marketing mail; say whether the token is good.

    Doing it twice is the same as once.
    """
    recipient = read_token(token, purpose=UNSUBSCRIBE)
    if recipient is None:
        return False
    asked = suppressions.Recipient(
        recipient.organization_id, recipient.project_id, MARKETING, recipient.address.lower()
    )
    async with transaction() as tx:
        (known,) = await suppressions.suppressed([asked])
        if known is SuppressionReason.UNSUBSCRIBE:
            return True
        await suppressions.add(
            tx,
            [
                suppressions.NewSuppression(
                    organization_id=recipient.organization_id,
                    project_id=recipient.project_id,
                    address=recipient.address,
                    reason=SuppressionReason.UNSUBSCRIBE,
                )
            ],
        )
        await append(
            tx,
            [
                NewEvent(
                    organization_id=recipient.organization_id,
                    project_id=recipient.project_id,
                    message_id=recipient.message_id,
                    delivery_id=recipient.delivery_id,
                    type=EventType.MESSAGE_UNSUBSCRIBED,
                    data={"method": "one_click"},
                    occurred_at=clock.now(),
                )
            ],
        )
    return True
