"""The order of files that several processes share."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.order import pytest_collection_modifyitems


@dataclass
class Item:
    name: str
    file: str
    marks: list[pytest.Mark] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return Path(self.file)

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return next((mark for mark in self.marks if mark.name == name), None)


SHARING: Any = SimpleNamespace(workerinput={})
ALONE: Any = SimpleNamespace()


def found() -> list[Any]:
    long = [pytest.mark.slow(seconds=90).mark]
    return [
        *(Item(f"a{n}", "many.py") for n in range(60)),
        Item("b", "slow.py"),
        Item("c", "slow.py", [pytest.mark.slow.mark]),
        Item("d", "few.py"),
        Item("e", "long.py", long),
        Item("f", "few.py"),
    ]


def test_files_that_take_longest_come_first_and_stay_whole() -> None:
    items = found()

    pytest_collection_modifyitems(SHARING, items)

    names = [item.name for item in items]
    assert names == ["e", *(f"a{n}" for n in range(60)), "b", "c", "d", "f"]


def test_one_process_alone_keeps_the_order() -> None:
    items = found()

    pytest_collection_modifyitems(ALONE, items)

    assert items == found()
