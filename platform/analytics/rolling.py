"""Adding events to the counts, a batch at a time."""

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

import msgspec

from ..core.database import Tx, fetch, transaction
from ..events.consuming import Start, take_events
from ..events.tables import Event
from .counting import ALL, COUNTED, UNSEEN, Key, contributions, data_of, keys_of
from .histories import read_histories, read_mails
from .rules import COUNTERS, Grain
from .windows import floor

CONSUMER = "analytics"
BATCH = 2_000
"""Events that one transaction takes."""

Sums = dict[Key, dict[datetime, dict[str, int]]]
"""By set and minute, what is to be added."""

NEW_SETS = (
    "INSERT INTO analytics_sets (id, organization_id, project_id, kind, key, isp, domain, "
    "recipient_domain, vmta, pool, tags, batch_id, stream, api_key, template, bounce_class) "
    "SELECT id, organization_id, project_id, kind, key, isp, domain, recipient_domain, vmta, "
    "pool, ARRAY(SELECT json_array_elements_text(tags)), batch_id, stream, api_key, template, "
    "bounce_class FROM json_to_recordset({}::json) AS new (id uuid, organization_id uuid, "
    "project_id uuid, kind text, key text, isp text, domain text, recipient_domain text, "
    "vmta text, pool text, tags json, batch_id text, stream text, api_key text, template text, "
    "bounce_class text) ORDER BY id ON CONFLICT (id) DO NOTHING"
)
# The cells of a batch are few beside its events, and most of their counters are absent.
ADD = (
    f"INSERT INTO analytics_cells AS old (set_id, grain, starts_at, {', '.join(COUNTERS)}) "
    f"SELECT set_id, grain, starts_at, {', '.join(f'coalesce({c}, 0)' for c in COUNTERS)} "
    "FROM json_to_recordset({}::json) AS new (set_id uuid, grain text, starts_at timestamptz, "
    f"{', '.join(f'{c} integer' for c in COUNTERS)}) ORDER BY set_id, grain, starts_at "
    "ON CONFLICT (set_id, grain, starts_at) DO UPDATE SET "
    f"{', '.join(f'{c} = old.{c} + excluded.{c}' for c in COUNTERS)}"
)


async def roll_up(*, limit: int = BATCH) -> int:
    """Add the next events to the counts and return how many there were.

    They are had and added in one transaction: killed in between, neither is done.
    """
    async with transaction() as tx:
        events = await take_events(tx, CONSUMER, limit=limit, start=Start.BEGINNING)
        await add(tx, await sum_up(events))
    return len(events)


async def sum_up(events: Sequence[Event]) -> Sums:
    """Return what *events* add to each set, by minute."""
    counted = [
        event
        for event in events
        if event.type in COUNTED and event.message_id is not None and not event.simulated
    ]
    sums: Sums = {}
    if not counted:
        return sums
    mails = await read_mails(counted)
    histories = await read_histories(counted)
    for event in counted:
        mail = mails.get((event.message_id, event.delivery_id))
        if mail is None:
            continue
        seen = histories.get(event.position, UNSEEN)
        for part in contributions(event, data_of(event), mail, seen):
            minute = floor(part.at, Grain.MINUTE)
            for key in keys_of(mail, part):
                counts = sums.setdefault(key, {}).setdefault(minute, {})
                for name, count in part.counts:
                    counts[name] = counts.get(name, 0) + count
    return sums


async def add(tx: Tx, sums: Sums) -> None:
    """Add to the cells, and make those that are not there."""
    del tx
    cells = list(_cells(sums))
    if not cells:
        return
    await fetch(NEW_SETS, msgspec.json.encode([_row(key) for key in sums]).decode())
    await fetch(ADD, msgspec.json.encode(cells).decode())


def _cells(sums: Sums) -> Iterable[Mapping[str, object]]:
    for key, minutes in sums.items():
        grains = list(Grain) if key.kind == ALL else [Grain.QUARTER, Grain.DAY]
        for grain in grains:
            cells: dict[datetime, dict[str, int]] = defaultdict(dict)
            for minute, counts in minutes.items():
                cell = cells[floor(minute, grain)]
                for name, count in counts.items():
                    cell[name] = cell.get(name, 0) + count
            for starts_at, cell in cells.items():
                kept = {name: count for name, count in cell.items() if count}
                if kept:
                    yield {
                        "set_id": str(set_id(key)),
                        "grain": grain.value,
                        "starts_at": starts_at.isoformat(),
                        **kept,
                    }


@lru_cache(maxsize=100_000)
def set_id(key: Key) -> uuid.UUID:
    """Return the id of a set, which is the same wherever it is made."""
    text = msgspec.json.encode(key)
    return uuid.UUID(bytes=hashlib.blake2b(text, digest_size=16, person=b"set").digest())


def _row(key: Key) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(key)
    return {"id": str(set_id(key)), **found}
