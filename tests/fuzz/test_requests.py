"""GraphQL as nobody would write it: no answer is a bug, takes a second, or tells of a stranger."""

import asyncio
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.client import Client
from tests.parts import FIGURE

from .asking import Asker, Finding
from .requests import Request, requests

KEPT, FOUND = (Path(__file__).parent / folder / "graphql" for folder in ("corpus", "found"))
SECONDS = float(os.environ.get("FUZZ_SECONDS", "12"))
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "0"))
ROUND = 200
"""Documents for each pair of tenants: what was asked changes them."""


def kept() -> list[Path]:
    return [path for folder in (KEPT, FOUND) for path in sorted(folder.glob("*.json"))]


def test_something_is_kept() -> None:
    assert len(kept()) >= 10


@pytest.fixture
async def asker(client: Client) -> Asker:
    return await Asker.make(client)


@pytest.mark.parametrize("path", kept(), ids=lambda path: path.stem)
async def test_what_is_kept_is_answered_or_refused(asker: Asker, path: Path) -> None:
    await asker.ask(json.loads(path.read_text("utf-8")))


async def test_it_tells_a_bug(asker: Asker) -> None:
    """What it looks for would be found: here, a stranger's names are its own."""
    asker.askers, asker.secret = [asker.ours.actor], asker.ours.names["Domain name"]

    with pytest.raises(Finding, match="a stranger's name"):
        await asker.ask(
            {
                "query": "query ($ref: DomainRef!) { organization { domain(ref: $ref) { name } } }",
                "variables": {"ref": {"id": "@@ours:Domain@@"}},
            }
        )


@pytest.mark.slow
async def test_no_request_is_a_bug(
    client: Client, record_property: Callable[[str, object], None]
) -> None:
    """Some seconds here, as long as one likes by `make fuzz ARGS="--seconds 600 graphql"`."""
    until, counts, number = time.monotonic() + SECONDS, Counter[str](), FIRST_SEED
    found: list[str] = []
    loop = asyncio.get_running_loop()

    while time.monotonic() < until:
        asker = await Asker.make(client)
        found += await asyncio.to_thread(one_round, asker, number, until, loop)
        counts += asker.counts
        number += 1

    told = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
    seen = f"{told} of {number - FIRST_SEED} pairs of tenants in {SECONDS:.0f} s"
    assert found == [], seen
    assert counts["run"] > counts["refused"] / 10, seen
    record_property(FIGURE, f"hypothesis-graphql on /graphql: {seen}, no issues found.")


def one_round(
    asker: Asker, number: int, until: float, loop: asyncio.AbstractEventLoop
) -> list[str]:
    """Ask what one seed makes; keep the shortest request that finds something, and say so."""
    last: list[Request] = []
    is_found = False

    @seed(number)
    @settings(
        max_examples=ROUND,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
    )
    @given(requests())
    def run(made: list[Request]) -> None:
        nonlocal is_found
        # What was found is made shorter, however late it is.
        if time.monotonic() > until and not is_found:
            return
        for request in made:
            last[:] = [request]
            try:
                asyncio.run_coroutine_threadsafe(asker.ask(request), loop).result(60)
            except Exception:
                is_found = True
                raise

    try:
        run()
    except Exception as error:  # whatever it is, it is a finding, and what was asked is kept
        text = json.dumps(last[0], indent=1)
        FOUND.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
        (FOUND / f"{name}.json").write_text(text + "\n", "utf-8")
        return [f"{error!r} by found/graphql/{name}.json: {text[:2000]}"]
    return []
