"""What a foreign API costs beside PostMTA's: the same mail over the same connections, in turn.

python -m benchmarks.dialects                  three runs of 3,000 messages each
python -m benchmarks.dialects --runs 1 --messages 500
"""

import argparse
import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvloop

from .client import Connection, flood
from .stack import DOMAIN, Stack, message

CONNECTIONS = 32
SIZE_BYTES = 2000
TURNS = 6
"""Parts of one run: the machine is not as fast all the time, and not to be so for one API only."""
TARGET = 0.9
"""Of what PostMTA's `messages/send` accepts in the same time."""

FEW, MANY = 50, 500
CALLS = 20
"""Calls with so many recipients each, of values of their own."""
MOST_TIMES = 3.0
"""How much longer than with few recipients a call with many may take."""


@dataclass(frozen=True, slots=True)
class Sending:
    """How one API takes a message."""

    path: str
    head: Callable[[str], str]
    """From the key to its header, if it stands in one."""
    body: Callable[[Mapping[str, Any], str], dict[str, Any]]
    """From PostMTA's fields and the key to the body."""


POSTMTA = Sending(
    "/api/v1/messages/send", lambda key: f"X-API-Key: {key}\r\n", lambda m, key: dict(m)
)
OTHERS = {
    "postal_send_message": Sending(
        "/api/v1/send/message",
        lambda key: f"X-Server-API-Key: {key}\r\n",
        lambda m, key: {
            "from": m["from"],
            "to": m["to"],
            "subject": m["subject"],
            "plain_body": m["text"],
        },
    ),
    "postageapp_send_message": Sending(
        "/v.1.1/send_message",
        lambda key: "",
        lambda m, key: {
            "api_key": key,
            "uid": uuid.uuid4().hex,
            "arguments": {
                "recipients": m["to"],
                "headers": {"from": m["from"], "subject": m["subject"]},
                "content": {"text/plain": m["text"]},
            },
        },
    ),
}
"""By the name of the benchmark. Another API is one entry more."""


@dataclass(slots=True)
class Rates:
    """Messages accepted in a second, run by run."""

    postmta: list[float] = field(default_factory=list)
    others: dict[str, list[float]] = field(default_factory=dict)
    few: list[float] = field(default_factory=list)
    """Milliseconds of calls with `FEW` recipients, and with `MANY`."""
    many: list[float] = field(default_factory=list)


async def measure(*, runs: int, messages: int) -> Rates:
    """Send the same number of messages by each API, in turn, and return the rates."""
    found = Rates(others={name: [] for name in OTHERS})
    async with Stack() as stack:
        # PostageApp sends with keys of a project only, so that all do.
        stack.key = await stack.project_key()
        for sending in (POSTMTA, *OTHERS.values()):
            await _check(stack, sending)
            await flood(stack.web, _requests(stack, sending, 200), connections=8)
        for _ in range(runs):
            rates = await _rates(stack, [POSTMTA, *OTHERS.values()], messages)
            found.postmta.append(rates[0])
            for name, rate in zip(OTHERS, rates[1:], strict=True):
                found.others[name].append(rate)
        await _measure_personal(stack, found)
    return found


async def _measure_personal(stack: Stack, found: Rates) -> None:
    """Time calls to PostageApp's in turn, each by itself: what came before is settled first.

    Beside the delivery of the calls before, a call would be timed that has half of the machine,
    and less of it the longer it takes: how fast a worker delivers is another figure.
    """
    connection = await Connection.open(*stack.web)
    for turn in range(CALLS + CALLS // 4):  # the first warm caches and plans
        for size, times in ((FEW, found.few), (MANY, found.many)):
            await _settled(stack)
            took = await _timed(stack, connection, size)
            if turn >= CALLS // 4:
                times.append(took * 1e3)
    connection.close()
    await _settled(stack)


async def _timed(stack: Stack, connection: Connection, size: int) -> float:
    """Return the seconds of one call with so many recipients."""
    body = json.dumps(personal(stack.key, size, sender=f"bench@{DOMAIN}")).encode()
    host = f"{stack.web[0]}:{stack.web[1]}"
    request = _framed(OTHERS["postageapp_send_message"], body, host, stack.key)
    begun = time.perf_counter()
    status, answer = await connection.send(request)
    took = time.perf_counter() - begun
    if json.loads(answer)["response"]["status"] != "ok":
        raise RuntimeError(f"{size} recipients: {status}, {answer[:500]!r}")
    return took


def personal(key: str, size: int, *, sender: str) -> dict[str, Any]:
    """Return a call to PostageApp's with *size* recipients, each with values of their own."""
    people = {
        f"Person {n} <person{n}@dest.postlane.test>": {"name": f"Person {n}", "total": f"{n}.00"}
        for n in range(size)
    }
    arguments = {
        "recipients": people,
        "headers": {"from": sender, "subject": "Hello {{name}}"},
        "content": {
            "text/plain": "Hi {{name}}, {{total}} paid." * 20,
            "text/html": "<p>Hi {{name}}, {{total}} paid.</p>" * 20,
        },
    }
    return {"api_key": key, "uid": uuid.uuid4().hex, "arguments": arguments}


def summary(found: Rates) -> dict[str, Any]:
    """Return the entries of the report."""
    return {
        name: {
            "value": round(statistics.median(rates), 1),
            "unit": "messages/s",
            "ratio": round(
                statistics.median(
                    ours / theirs for ours, theirs in zip(rates, found.postmta, strict=True)
                ),
                3,
            ),
            "against": f"PostMTA's messages/send in the same run; {TARGET:g} is wanted",
            "runs": len(rates),
        }
        for name, rates in found.others.items()
    } | {
        "personal_500_vs_50": {
            "value": round(statistics.median(found.many), 3),
            "unit": "ms",
            "ratio": round(statistics.median(found.many) / statistics.median(found.few), 3),
            "against": f"{FEW} recipients with values of their own; {MOST_TIMES:g} at most",
            "runs": 1,
        }
    }


async def _rates(stack: Stack, sendings: Sequence[Sending], count: int) -> list[float]:
    """Return what each accepts in a second, of *count* messages in parts that take turns."""
    part = max(1, count // TURNS)
    seconds = [0.0] * len(sendings)
    for _ in range(TURNS):
        for nth, sending in enumerate(sendings):
            requests = _requests(stack, sending, part)
            took, _ = await flood(stack.web, requests, connections=CONNECTIONS)
            seconds[nth] += took
            await _settled(stack)
    return [TURNS * part / took for took in seconds]


async def _settled(stack: Stack) -> None:
    while await stack.waiting():  # noqa: ASYNC110 it is another process that changes it
        await asyncio.sleep(0.1)


async def _check(stack: Stack, sending: Sending) -> None:
    """Raise unless the API takes a message: some answer 200 to a refusal, too."""
    connection = await Connection.open(*stack.web)
    status, body = await connection.send(_requests(stack, sending, 1)[0])
    connection.close()
    if status >= 300 or json.loads(body).get("status") in ("error", "parameter-error"):
        raise RuntimeError(f"{sending.path} answered {status}: {body[:500]!r}")


def _requests(stack: Stack, sending: Sending, count: int) -> list[bytes]:
    host = f"{stack.web[0]}:{stack.web[1]}"
    return [
        _request(sending, message(number, size_bytes=SIZE_BYTES), host, stack.key)
        for number in range(count)
    ]


def _request(sending: Sending, fields: Mapping[str, Any], host: str, key: str) -> bytes:
    return _framed(sending, json.dumps(sending.body(fields, key)).encode(), host, key)


def _framed(sending: Sending, body: bytes, host: str, key: str) -> bytes:
    head = (
        f"POST {sending.path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"{sending.head(key)}Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dialects")
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured")
    parser.add_argument("--messages", type=int, default=3000, help="messages in each run")
    chosen = parser.parse_args()
    found = uvloop.run(measure(runs=chosen.runs, messages=chosen.messages))
    print(json.dumps(summary(found)))


if __name__ == "__main__":
    main()
