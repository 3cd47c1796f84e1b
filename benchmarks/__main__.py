"""Runs every benchmark, interleaved with Postfix where it can be measured, and prints ratios.

python -m benchmarks                  all of it, about five minutes
python -m benchmarks --runs 1 --messages 1000
"""

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import uvloop

from . import analytics, dialects, edges, engine, postfix, protection, tracking, walls, webhooks
from .client import Sample, flood, pace, percentile, request_bytes
from .stack import Stack, message

CONNECTIONS = 32
BATCH = 100
SIZE_BYTES = 2000
REST = "/api/v1/messages"


@dataclass(slots=True)
class Figures:
    """One run: ours and, if it was measured, Postfix's."""

    accepted: float = 0.0
    accepted_in_batches: float = 0.0
    delivered: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    memory: dict[str, int] = field(default_factory=dict)
    baseline: postfix.Baseline | None = None


def main() -> None:
    """Measure and print a table, and one JSON object as the last line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Messages accepted and delivered a second, latency, memory, all edges.",
        epilog="example: make bench ARGS='--runs 1 --messages 1000'",
    )
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured")
    parser.add_argument("--messages", type=int, default=3000, help="messages in each run")
    parser.add_argument(
        "--large",
        action="store_true",
        help="beside a million waiting deliveries, and analytics of 10,000,000 events",
    )
    chosen = parser.parse_args()
    figures = uvloop.run(_measure(chosen.runs, chosen.messages))
    found = asyncio.run(edges.measure(requests=min(chosen.messages, 400)))
    tracked = asyncio.run(tracking.measure(requests=min(chosen.messages, 3000)))
    counted = asyncio.run(analytics.measure(large=chosen.large))
    looked_up = asyncio.run(protection.measure())
    calls = asyncio.run(webhooks.measure(runs=chosen.runs, calls=chosen.messages))
    report = (
        summary(figures)
        | edges.summary(found)
        | tracking.summary(tracked)
        | analytics.summary(counted)
        | webhooks.summary(calls)
        | protection.summary(looked_up)
    )
    report |= walls.summary(asyncio.run(walls.measure()))
    spoken = uvloop.run(dialects.measure(runs=chosen.runs, messages=chosen.messages))
    report |= dialects.summary(spoken)
    report |= engine.measure(messages=min(chosen.messages, 2000), is_large=chosen.large)
    print_table(report)
    print(json.dumps(report))


async def _measure(runs: int, messages: int) -> list[Figures]:
    script = postfix.find_script()
    if script is None:
        print("Postfix is not measured: its script is not here; ratios are null.")
    figures = []
    async with Stack() as stack:
        await flood(stack.web, _singles(stack, 200), connections=8)  # warm caches and plans
        await _settled(stack)
        for run in range(runs):
            found = Figures()
            print(f"run {run + 1} of {runs}", flush=True)
            if script is not None:
                found.baseline = await postfix.measure(
                    script, messages=messages, sessions=CONNECTIONS, size_bytes=SIZE_BYTES
                )
            begun = time.perf_counter()
            seconds, _ = await flood(stack.web, _singles(stack, messages), connections=CONNECTIONS)
            found.accepted = messages / seconds
            await _settled(stack)
            found.delivered = messages / (time.perf_counter() - begun)
            seconds, _ = await flood(stack.web, _batches(stack, messages), connections=4)
            found.accepted_in_batches = messages / seconds
            await _settled(stack)
            samples = await _paced(stack, found.accepted / 2, messages)
            found.p50, found.p99 = percentile(samples, 0.5), percentile(samples, 0.99)
            await _settled(stack)
            found.memory = stack.memory()
            figures.append(found)
            print(f"  {found}", flush=True)
    return figures


def _singles(stack: Stack, count: int) -> list[bytes]:
    return [
        _request(stack, "/send", message(number, size_bytes=SIZE_BYTES)) for number in range(count)
    ]


def _batches(stack: Stack, count: int) -> list[bytes]:
    return [
        _request(
            stack,
            "/batch",
            {
                "messages": [
                    message(start + number, size_bytes=SIZE_BYTES)
                    for number in range(min(BATCH, count - start))
                ]
            },
        )
        for start in range(0, count, BATCH)
    ]


def _request(stack: Stack, path: str, body: dict[str, Any]) -> bytes:
    host = f"{stack.web[0]}:{stack.web[1]}"
    return request_bytes(host, REST + path, json.dumps(body).encode(), key=stack.key)


async def _paced(stack: Stack, per_second: float, messages: int) -> list[Sample]:
    count = min(messages, int(per_second * 10))
    return await pace(
        stack.web, _singles(stack, count), per_second=per_second, connections=CONNECTIONS
    )


async def _settled(stack: Stack) -> None:
    """Wait until no message is on its way."""
    while await stack.waiting():  # noqa: ASYNC110 it is another process that changes it
        await asyncio.sleep(0.1)


def summary(figures: list[Figures]) -> dict[str, Any]:
    """Return benchmark name → value, unit, ratio, against, runs; medians over the runs."""

    def entry(values: list[float], unit: str, against: list[float], name: str) -> dict[str, Any]:
        ratios = [ours / theirs for ours, theirs in zip(values, against, strict=False)]
        return {
            "value": round(statistics.median(values), 3),
            "unit": unit,
            "ratio": round(statistics.median(ratios), 3) if ratios else None,
            "against": name if ratios else None,
            "runs": len(values),
        }

    accepted = [f.baseline.accepted for f in figures if f.baseline]
    delivered = [f.baseline.delivered for f in figures if f.baseline]
    memory = [sum(f.memory.values()) / 2**20 for f in figures]
    budget = [400.0] * len(figures)
    return {
        "accept_single": entry(
            [f.accepted for f in figures], "messages/s", accepted, "postfix accepted"
        ),
        "accept_batch": entry(
            [f.accepted_in_batches for f in figures], "messages/s", accepted, "postfix accepted"
        ),
        "delivered_end_to_end": entry(
            [f.delivered for f in figures], "messages/s", delivered, "postfix delivered"
        ),
        "accept_p50_at_half_load": entry([f.p50 * 1e3 for f in figures], "ms", [], ""),
        "accept_p99_at_half_load": entry([f.p99 * 1e3 for f in figures], "ms", [], ""),
        "memory_web_and_worker": entry(memory, "MiB", budget, "400 MiB budget"),
    }


def print_table(report: dict[str, Any]) -> None:
    """Print a line for each benchmark."""
    print(f"\n{'benchmark':<26}{'value':>12} {'unit':<12}{'ratio':>8}  against")
    for name, found in report.items():
        ratio = "-" if found["ratio"] is None else f"{found['ratio']:.2f}"
        against = found["against"] or ""
        print(f"{name:<26}{found['value']:>12} {found['unit']:<12}{ratio:>8}  {against}")


if __name__ == "__main__":
    main()
