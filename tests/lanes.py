"""Who runs which files of tests: the slow ones in one process, beside the quick ones in others.

Slow tests start whole Postlanes, browsers and foreign programs, which want every core for
themselves, and then wait. Side by side they would only wait for each other, up to where one
gives up; beside quick tests, which fill the time that they wait, they hardly cost any.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

SECONDS = 10
"""What a slow test takes if its mark does not say."""
SLOW_LANE = "gw0"


class Lanes(LoadFileScheduling):
    """Gives the first process files from the front of the queue, and the others from its end.

    They meet in the middle, so that nobody is idle while a long one is still to come.
    """

    def _assign_work_unit(self, node: Any) -> None:
        if node.gateway.id != SLOW_LANE:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes | None:
    """Take ours where files are shared among several processes."""
    if config.getvalue("dist") != "loadfile" or config.getvalue("loadscopereorder"):
        return None
    return Lanes(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the slowest files first where files are shared: the same order in every process."""
    if hasattr(config, "workerinput"):
        items[:] = slowest_first(items)


def slowest_first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return *items* by file: folders with the most that is slow first, likewise their files.

    A folder stays together, for what its tests share is started once in each process.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    seconds = {path: sum(map(seconds_of, found)) for path, found in files.items()}
    folders: dict[Path, float] = {}
    for path, found in seconds.items():
        folders[path.parent] = folders.get(path.parent, 0) + found

    def place(path: Path) -> tuple[bool, float, Path, float, Path]:
        is_quick = not seconds[path]
        return is_quick, -folders[path.parent], path.parent, -seconds[path], path

    return [item for path in sorted(files, key=place) for item in files[path]]


def seconds_of(item: pytest.Item) -> float:
    """Return about how long a test that is marked as slow takes, and 0 of any other."""
    mark = item.get_closest_marker("slow")
    if mark is None:
        return 0
    return float(mark.args[0] if mark.args else SECONDS)
