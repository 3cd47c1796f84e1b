"""Taking a person out of the spool; what is left says that there was a delivery, and to nobody."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from ...core.actor import OrganizationId
from ...core.database import Tx, fetch

ERASE = (
    # Their attempts quote the address, and so do reports and mail that was kept.
    "UPDATE attempts SET reply = '', transcript = '[]' WHERE delivery_id = ANY({}::uuid[])",
    "DELETE FROM captured_messages WHERE delivery_id = ANY({}::uuid[])",
    "DELETE FROM infrastructure_reports WHERE delivery_id = ANY({}::uuid[])",
)


@dataclass(frozen=True, slots=True)
class Addressed:
    """A delivery to somebody."""

    id: uuid.UUID
    message_id: uuid.UUID
    is_alone: bool
    """Nobody else got the message."""
    is_sending: bool
    """It is on the wire: what becomes of it has yet to be written down."""


async def list_addressed(
    organization_id: OrganizationId, address_key: str, *, limit: int
) -> list[Addressed]:
    """Return deliveries to an address, the oldest first, but for those that end by themselves."""
    rows = await fetch(
        "SELECT delivery.id, delivery.message_id, message.recipient_count = 1 AS is_alone, "
        "delivery.state = 'sending' AS is_sending "
        "FROM deliveries AS delivery "
        "JOIN spooled_messages AS message ON message.id = delivery.message_id "
        "WHERE delivery.organization_id = {} AND delivery.address_key = {} "
        "AND NOT (delivery.state = 'sending' AND delivery.cancel_requested) "
        "ORDER BY delivery.id LIMIT {}",
        organization_id,
        address_key,
        limit,
    )
    return [Addressed(**row) for row in rows]


async def count_addressed(organization_id: OrganizationId, address_key: str) -> int:
    """Return how many deliveries to an address are left."""
    rows = await fetch(
        "SELECT count(*) AS n FROM deliveries WHERE organization_id = {} AND address_key = {}",
        organization_id,
        address_key,
    )
    return int(rows[0]["n"])


async def erase_deliveries(
    tx: Tx, delivery_ids: Collection[uuid.UUID], *, key: str, stand_in: str
) -> None:
    """Let deliveries be to nobody: *key* and *stand_in* stand where the address stood."""
    await fetch(
        "UPDATE deliveries SET address = {}, address_key = {}, reply = NULL "
        "WHERE id = ANY(ARRAY(SELECT id FROM deliveries WHERE id = ANY({}::uuid[]) "
        "ORDER BY id FOR UPDATE))",
        stand_in,
        key,
        list(delivery_ids),
    )
    for statement in ERASE:
        await fetch(statement, list(delivery_ids))


async def erase_contents(organization_id: OrganizationId, key: str) -> int:
    """Remove what the mail to somebody erased says; return how many messages have to wait.

    A message that others have yet to get is needed until they have it.
    """
    rows = await fetch(
        "WITH found AS (SELECT DISTINCT message.id, message.content_id, message.open_count "
        "FROM deliveries AS delivery "
        "JOIN spooled_messages AS message ON message.id = delivery.message_id "
        "JOIN contents ON contents.id = message.content_id "
        "WHERE delivery.organization_id = {} AND delivery.address_key = {}), "
        "gone AS (DELETE FROM contents "
        "WHERE id IN (SELECT content_id FROM found WHERE open_count = 0)) "
        "SELECT count(*) FILTER (WHERE open_count > 0) AS waiting FROM found",
        organization_id,
        key,
    )
    return int(rows[0]["waiting"])
