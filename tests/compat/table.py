"""The 81 endpoints as a table: which are served as the contract shows them, and which are missing.

`make test` ends with it. An endpoint is green when its example passed in this run.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from postlane.rest_compat.postmta.reference import ENDPOINTS
from tests.parts import THE_81

FOLDER = Path(__file__).parent / "postmta" / "examples"
EXAMPLES = sorted(FOLDER.glob("*.json"))
GROUPS = {
    "Health & Metrics": 2,
    "Authentication": 3,
    "Users": 3,
    "Credits": 7,
    "API Keys": 5,
    "Messages": 6,
    "Queues": 3,
    "Domains": 7,
    "vMTAs": 9,
    "Webhooks & Tracking": 9,
    "Security": 12,
    "Analytics": 8,
    "Billing": 7,
}
"""How many endpoints each group has, in the order of the reference."""

ROUTES = {f"{method} {path}": f"E{n:02}" for n, (method, path) in enumerate(ENDPOINTS, 1)}
"""The contract's number of each endpoint."""

MISSING = frozenset(
    """
    
    """.split()
)
"""Endpoints without a route. Who adds one takes it from this list and adds its example."""


def read(path: Path) -> dict[str, Any]:
    """Return the example in a file."""
    example: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return example


def lines(passed: Iterable[str], failed: Iterable[str]) -> Iterator[str]:
    """Yield a line for each group and one for all; *passed* and *failed* are names of examples."""
    numbers = {path.stem: ROUTES[read(path)["route"]] for path in EXAMPLES}
    red = {numbers[name] for name in failed}
    green = {numbers[name] for name in passed} - red
    names = iter(ROUTES.values())
    for group, size in GROUPS.items():
        members = [next(names) for _ in range(size)]
        line = f"{group:20} {len(green.intersection(members)):2} of {size:2} green"
        for state, found in (("red", red), ("missing", MISSING)):
            if those := [each for each in members if each in found]:
                line += f"; {state} {' '.join(those)}"
        yield line
    yield f"The 81: {len(green)} green, {len(red)} red, {len(MISSING)} missing."


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show the table, if every example was tried."""
    found = {
        outcome: [_example(report.nodeid) for report in terminalreporter.stats.get(outcome, ())]
        for outcome in ("passed", "failed", "error")
    }
    passed, failed = (
        [name for outcome in outcomes for name in found[outcome] if name]
        for outcomes in (("passed",), ("failed", "error"))
    )
    if len({*passed, *failed}) < len(EXAMPLES):
        return
    table = list(lines(passed, failed))
    terminalreporter.section("the contract's 81 endpoints")
    for line in table:
        terminalreporter.write_line(line)
    cache = getattr(terminalreporter.config, "cache", None)
    if cache is not None:
        cache.set(THE_81, table[-1])


def _example(nodeid: str) -> str | None:
    place, _, name = nodeid.rstrip("]").partition("::test_every_example_passes[")
    return name if name and place.endswith("compat/test_contract.py") else None
