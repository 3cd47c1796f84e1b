"""What the platform does with counts for itself."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from ..accounts.work import terms_of
from ..core import clock
from ..core.database import fetch
from ..core.retention import Kind
from .counting import ALL
from .reading import SUMS, Question, count_again
from .rolling import BATCH, CONSUMER, roll_up
from .rules import Grain, metrics_of
from .windows import DAYS_KEPT, MINUTES_KEPT, QUARTERS_KEPT, floor

__all__ = ["BATCH", "CONSUMER", "disagreements", "remove_old_counts", "roll_up"]

KEPT = {Grain.MINUTE: MINUTES_KEPT, Grain.QUARTER: QUARTERS_KEPT, Grain.DAY: DAYS_KEPT}
REMOVED_AT_ONCE = 5_000

OLD_CELLS = """
    DELETE FROM analytics_cells WHERE id = ANY(ARRAY(
        SELECT cell.id FROM analytics_cells AS cell
        JOIN analytics_sets AS sets ON sets.id = cell.set_id
        WHERE cell.starts_at < {} AND cell.grain = {} AND (sets.kind <> 'all' OR {})
        LIMIT {})) RETURNING id
"""


async def remove_old_counts() -> int:
    """Remove counts that have been kept long enough and return how many there were.

    Quarters of all mail are kept as long as days: days of any time zone are made of them.
    """
    removed = 0
    for grain, kept in KEPT.items():
        before = clock.now() - kept
        is_for_all = grain is not Grain.QUARTER
        while rows := await fetch(OLD_CELLS, before, grain.value, is_for_all, REMOVED_AT_ONCE):
            removed += len(rows)
    before = clock.now() - DAYS_KEPT
    while rows := await fetch(OLD_CELLS, before, Grain.QUARTER.value, True, REMOVED_AT_ONCE):
        removed += len(rows)
    return removed


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A count that is not what the events say."""

    organization_id: UUID
    metric: str
    counted: int
    events: int


MOST_SAMPLED = 20_000
"""Recipients of an organization's day: with more, it is not sampled."""

SAMPLE = """
    SELECT sets.organization_id, sum(cell.accepted) AS accepted
    FROM analytics_cells AS cell JOIN analytics_sets AS sets ON sets.id = cell.set_id
    WHERE sets.kind = 'all' AND cell.grain = 'day' AND cell.starts_at = {}
    AND sets.organization_id <> ALL({}::uuid[])
    GROUP BY 1 HAVING sum(cell.accepted) BETWEEN 1 AND {} ORDER BY random() LIMIT {}
"""

DAY = f"""
    SELECT {SUMS} FROM analytics_cells AS cell
    JOIN analytics_sets AS sets ON sets.id = cell.set_id
    WHERE sets.organization_id = {{}} AND sets.kind = '{ALL}' AND cell.grain = 'day'
    AND cell.starts_at = {{}}
"""


async def disagreements(*, days_ago: int = 1, organizations: int = 5) -> list[Disagreement]:
    """Count a day of some organizations again, and return where the counts are not the same.

    Counts that follow from events of another day, such as late bounces, are among them. Whose
    events are not kept for as long is left out.
    """
    start = floor(clock.now(), Grain.DAY) - timedelta(days=days_ago)
    end = start + timedelta(days=1)
    found: list[Disagreement] = []
    terms = await terms_of(Kind.MESSAGES)
    if terms[0].days <= days_ago + 1:
        return []
    # Events of that day may have gone already.
    short = [each for each in terms[1:] if each.days <= days_ago + 1]
    left_out = [id for term in short for id in term.organization_ids or ()]
    for sampled in await fetch(SAMPLE, start, left_out, MOST_SAMPLED, organizations):
        organization_id = sampled["organization_id"]
        again = await count_again(Question(organization_id), start, end, [start])
        told = metrics_of(again[0].counts if again else {})
        [row] = await fetch(DAY, organization_id, start)
        counted = metrics_of(row)
        found += [
            Disagreement(organization_id, metric.value, int(value or 0), int(told[metric] or 0))
            for metric, value in counted.items()
            if not metric.value.endswith("_rate") and value != told[metric]
        ]
    return found
