"""Long jobs say that they are alive, or they would be taken for dead and begun again elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from postlane.core.ids import new_id
from postlane.core.queue import POLICIES, JobName
from postlane.jobs import alive, erasing, exports, suppressions

LONG = (
    (JobName.IMPORT_SUPPRESSIONS, suppressions, "run_import", "import_id"),
    (JobName.ERASE_RECIPIENT, erasing, "run_erasure", "erasure_id"),
    (JobName.WRITE_EXPORT, exports, "run_export", "export_id"),
)
FUNCTIONS: dict[JobName, Callable[..., Awaitable[None]]] = {
    JobName.IMPORT_SUPPRESSIONS: suppressions.import_suppressions,
    JobName.ERASE_RECIPIENT: erasing.erase_recipient,
    JobName.WRITE_EXPORT: exports.write_export,
}


class Job:
    """A job that counts its signs of life; the first is lost, as the database is away."""

    def __init__(self) -> None:
        self.signs = 0
        self.said_enough = asyncio.Event()

    async def update(self) -> None:
        self.signs += 1
        if self.signs == 4:
            self.said_enough.set()
        if self.signs == 1:
            raise ConnectionError


@pytest.mark.parametrize(("name", "module", "runs", "argument"), LONG, ids=lambda each: str(each))
async def test_a_long_job_gives_signs_of_life_for_as_long_as_it_runs(
    monkeypatch: pytest.MonkeyPatch, name: JobName, module: Any, runs: str, argument: str
) -> None:
    async def run(id: UUID, *_: object) -> None:
        await job.said_enough.wait()

    job = Job()
    monkeypatch.setattr(module, runs, run)
    monkeypatch.setattr(alive, "EVERY_SECONDS", 0.01)

    ctx = {"job": job, "read_page": None}
    await asyncio.wait_for(FUNCTIONS[name](ctx, **{argument: str(new_id())}), 10)
    said = job.signs
    await asyncio.sleep(0.1)

    assert said >= 4
    assert job.signs == said
    assert timedelta(seconds=2 * 10) < POLICIES[name].heartbeat < timedelta(minutes=1)
