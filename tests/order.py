"""The order in which several processes take the files of tests: what takes longest first.

Whoever begins with the short ones ends with one process at work and the others idle.
"""

from collections import defaultdict
from pathlib import Path

import pytest

SLOW_SECONDS = 10.0
"""What a test takes that is marked slow and does not say how slow."""
OTHER_SECONDS = 0.2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the files, not the tests within them, in each process that shares them alike."""
    if not hasattr(config, "workerinput"):
        return
    seconds: defaultdict[Path, float] = defaultdict(float)
    for item in items:
        seconds[item.path] += seconds_of(item)
    items.sort(key=lambda item: seconds[item.path], reverse=True)


def seconds_of(item: pytest.Item) -> float:
    """Return about how long a test takes, as `@pytest.mark.slow(seconds=90)` says."""
    slow = item.get_closest_marker("slow")
    if slow is None:
        return OTHER_SECONDS
    found: float = slow.kwargs.get("seconds", SLOW_SECONDS)
    return found
