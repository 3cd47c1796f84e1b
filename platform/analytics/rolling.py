"""Adding events to the counts, a batch at a time."""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from ..core.database import Tx, fetch, transaction
from ..events.consuming import Start, take_rows
from .counting import ALL, UNSEEN, Key, Part, Traits, keys_of, parts_of, told
from .histories import read_histories, read_mails
from .rules import COUNTERS, Grain

CONSUMER = "analytics"
BATCH = 5_000
"""Events that one transaction takes: the more, the fewer cells they touch for each."""

Sums = dict[tuple[Key, Grain, datetime], dict[str, int]]
"""By set, grain and the beginning of its stretch, what is to be added."""

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
        rows = await take_rows(tx, CONSUMER, limit=limit, start=Start.BEGINNING)
        await add(tx, cells_of(await group(rows)))
    return len(rows)


Groups = dict[tuple[Traits, str, str, str, datetime], dict[str, int]]
"""What is added to mail that is alike in everything, by minute."""


async def group(rows: Iterable[Mapping[str, Any]]) -> Groups:
    """Return what events add, given as rows; what is alike is added up."""
    events = [event for row in rows if (event := told(row)) is not None]
    groups: Groups = {}
    if not events:
        return groups
    mails = await read_mails(events)
    histories = await read_histories(events)
    for event in events:
        mail = mails.get((event.message_id, event.delivery_id))
        if mail is None:
            continue
        for part in parts_of(event, mail, histories.get(event.position, UNSEEN)):
            _put(groups, mail.traits, part)
    return groups


def _put(groups: Groups, traits: Traits, part: Part) -> None:
    minute = part.at.replace(second=0, microsecond=0)
    place = (traits, part.isp, part.vmta, part.bounce_class, minute)
    counts = groups.get(place)
    if counts is None:
        counts = groups[place] = {}
    for name, count in part.added:
        counts[name] = counts.get(name, 0) + count


def cells_of(groups: Groups) -> Sums:
    """Return what is to be added to each cell."""
    sums: Sums = {}
    for (traits, isp, vmta, bounce_class, minute), counts in groups.items():
        quarter = minute.replace(minute=minute.minute - minute.minute % 15)
        day = minute.replace(hour=0, minute=0)
        for key in keys_of(traits, isp, vmta, bounce_class):
            if key.kind == ALL:
                _sum(sums, (key, Grain.MINUTE, minute), counts)
            _sum(sums, (key, Grain.QUARTER, quarter), counts)
            _sum(sums, (key, Grain.DAY, day), counts)
    return sums


def _sum(sums: Sums, place: tuple[Key, Grain, datetime], counts: Mapping[str, int]) -> None:
    cell = sums.get(place)
    if cell is None:
        sums[place] = dict(counts)
        return
    for name, count in counts.items():
        cell[name] = cell.get(name, 0) + count


async def add(tx: Tx, sums: Sums) -> None:
    """Add to the cells, and make those that are not there."""
    cells = list(_rows(sums))
    if not cells:
        return
    new = [key for key in {key for key, _, _ in sums} if key not in _known]
    if new:
        await fetch(NEW_SETS, msgspec.json.encode([_row(key) for key in new]).decode())
    await fetch(ADD, msgspec.json.encode(cells).decode())

    async def remember() -> None:
        if len(_known) > MOST_KNOWN:
            _known.clear()
        _known.update(new)

    tx.after_commit(remember)


_known: set[Key] = set()
"""Sets that this process has seen committed. They stay for as long as their days, two years."""
MOST_KNOWN = 200_000


def _rows(sums: Sums) -> Iterator[Mapping[str, object]]:
    for (key, grain, starts_at), counts in sums.items():
        kept = {name: count for name, count in counts.items() if count}
        if kept:
            yield {"set_id": set_id(key), "grain": grain, "starts_at": starts_at, **kept}


@lru_cache(maxsize=100_000)
def set_id(key: Key) -> uuid.UUID:
    """Return the id of a set, which is the same wherever it is made."""
    text = msgspec.json.encode(key)
    return uuid.UUID(bytes=hashlib.blake2b(text, digest_size=16, person=b"set").digest())


def _row(key: Key) -> dict[str, object]:
    return {"id": set_id(key), **key._asdict()}
