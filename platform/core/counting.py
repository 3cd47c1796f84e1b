"""How many rows a query finds: counted where that is quick, and estimated where it is not."""

import json
from dataclasses import dataclass
from typing import Any

from piccolo.query import Select
from piccolo.querystring import QueryString

from .database import DB

MOST_COST = 10_000.0
"""In the planner's units: what it takes to count some hundred thousand rows of an index."""


@dataclass(frozen=True, slots=True)
class Total:
    """How many rows there are."""

    count: int
    is_estimate: bool = False


async def total_of(rows: "Select[Any]", *, exact: bool = False) -> Total:
    """Return how many *rows* there are.

    What would take long to count is estimated by the database's planner, from its statistics;
    with *exact* it is counted all the same.
    """
    found = rows.querystrings[0]
    if not exact:
        answer = await DB.run_querystring(QueryString("EXPLAIN (FORMAT JSON) {}", found))
        plan = json.loads(answer[0]["QUERY PLAN"])[0]["Plan"]
        if plan["Total Cost"] > MOST_COST:
            return Total(plan["Plan Rows"], is_estimate=True)
    counted = await DB.run_querystring(
        QueryString("SELECT count(*) AS n FROM ({}) AS found", found)
    )
    return Total(counted[0]["n"])
