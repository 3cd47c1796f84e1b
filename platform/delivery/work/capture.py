"""Mail that is kept on this machine instead of being sent away."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from ...core import clock
from ...core.database import fetch
from ...core.ids import new_id
from .claims import delivery_named_by


@dataclass(frozen=True, slots=True)
class Captured:
    """One message for one recipient, as it came over SMTP."""

    envelope_from: str
    envelope_to: str
    data: bytes

    @property
    def delivery_id(self) -> uuid.UUID | None:
        """The delivery that the envelope's sender names, if it is a return path of ours."""
        return delivery_named_by(self.envelope_from.rpartition("@")[0])


async def keep_captured(messages: Sequence[Captured]) -> None:
    """Keep messages for whoever owns their deliveries to look at."""
    await fetch(
        "INSERT INTO captured_messages (id, organization_id, delivery_id, envelope_from, "
        "envelope_to, data, created_at) "
        "SELECT new.id, deliveries.organization_id, deliveries.id, new.envelope_from, "
        "new.envelope_to, new.data, {}::timestamptz "
        "FROM unnest({}::uuid[], {}::uuid[], {}::text[], {}::text[], {}::bytea[]) "
        "AS new (id, delivery_id, envelope_from, envelope_to, data) "
        "LEFT JOIN deliveries ON deliveries.id = new.delivery_id",
        clock.now(),
        [new_id() for _ in messages],
        [message.delivery_id for message in messages],
        [message.envelope_from for message in messages],
        [message.envelope_to for message in messages],
        [message.data for message in messages],
    )
