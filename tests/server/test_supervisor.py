"""The supervisor: what dies is started again, what is stopped stops in order."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from postlane.server import supervisor as supervising
from postlane.server.supervisor import Program, Supervisor

NOTE_STARTS = """
import os, signal, sys, time
path, name = sys.argv[1], sys.argv[2]
def ended(*_):
    open(path, "a").write(f"{name} stopped\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, ended)
open(path, "a").write(f"{name} {os.getpid()}\\n")
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    made = Supervisor()
    yield made
    await made.stop()


def program(name: str, script: str, *arguments: str, patience: float = 5) -> Program:
    return Program(
        name,
        [sys.executable, "-c", script, *arguments],
        environment=dict(os.environ),
        patience_seconds=patience,
        prefixed=True,
    )


async def lines_of(path: Path, count: int) -> list[str]:
    """The lines of *path* once there are *count* of them."""
    for _ in range(400):
        found = path.read_text().splitlines() if path.exists() else []
        if len(found) >= count:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"{path} did not get {count} lines within 20 seconds")


async def test_a_killed_program_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    await supervisor.add(program("one", NOTE_STARTS, str(notes), "one"))
    [first] = await lines_of(notes, 1)

    os.kill(int(first.split()[1]), signal.SIGKILL)
    _, second = await lines_of(notes, 2)

    assert second != first
    assert supervisor.restarts == {"one": 1}


async def test_a_program_that_keeps_failing_is_started_less_and_less_often(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    script = "import sys; open(sys.argv[1], 'a').write('x\\n'); sys.exit(3)"

    await supervisor.add(program("one", script, str(notes)))
    await asyncio.sleep(3)

    # At 0, 0.5, 1.5 and 3.5 seconds, and a little later each.
    assert supervisor.restarts["one"] in (1, 2)


async def test_parts_stop_one_after_the_other_the_last_added_first(tmp_path: Path) -> None:
    supervisor, notes = Supervisor(), tmp_path / "notes"
    for number, name in enumerate(("database", "worker", "web"), start=1):
        await supervisor.add(program(name, NOTE_STARTS, str(notes), name))
        await lines_of(notes, number)

    await supervisor.stop()

    assert notes.read_text().splitlines()[3:] == [
        "web stopped",
        "worker stopped",
        "database stopped",
    ]


async def test_a_program_that_does_not_finish_is_ended_with_its_children(tmp_path: Path) -> None:
    supervisor, notes = Supervisor(), tmp_path / "notes"
    script = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "open(sys.argv[1], 'a').write(f'{os.getpid()}\\n')\n"
        "time.sleep(60)\n"
    )
    await supervisor.add(program("stubborn", script, str(notes), patience=0.5))
    pids = [int(line) for line in await lines_of(notes, 2)]

    await supervisor.stop()
    await asyncio.sleep(0.2)

    alive = [pid for pid in pids if psutil.pid_exists(pid)]
    assert [pid for pid in alive if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE] == []


async def test_lines_come_out_under_the_name_of_their_program(
    supervisor: Supervisor, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    script = (
        "import sys, time\n"
        "print('plain')\n"
        f"print('y' * {supervising.LONGEST_LINE_BYTES * 2})\n"
        "print('after', file=sys.stderr, flush=True)\n"
        "sys.stdout.flush(); time.sleep(60)\n"
    )

    await supervisor.add(program("one", script))
    seen = b""
    for _ in range(200):
        seen += capfdbinary.readouterr().err
        if b"after" in seen and b"plain" in seen:
            break
        await asyncio.sleep(0.05)

    assert b"one      | plain\n" in seen
    assert b"one      | after\n" in seen


async def test_every_line_for_a_program_is_json(
    supervisor: Supervisor, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    lines = ['print(\'{"message": "logged"}\')', "print('printed')", "raise SystemExit('oh')"]
    command = [sys.executable, "-c", "\n".join(lines)]
    part = Program("one", command, environment=dict(os.environ), patience_seconds=5, prefixed=False)

    await part.start()
    await part.wait()

    said = [json.loads(line) for line in capfdbinary.readouterr().err.splitlines()]
    assert sorted(each["message"] for each in said) == ["logged", "oh", "printed"]
    assert {each.get("logger") for each in said} == {None, "one"}


async def test_children_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    script = (
        "import asyncio, os, sys\n"
        "from postlane.server.supervisor import Program, Supervisor\n"
        "async def main():\n"
        "    part = Program('one', [sys.executable, '-c', sys.argv[1], sys.argv[2], 'one'],\n"
        "        environment=dict(os.environ), patience_seconds=5, prefixed=True)\n"
        "    await Supervisor().add(part)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    source = Path(supervising.__file__).resolve().parents[2] / "src"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        NOTE_STARTS,
        str(notes),
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    [line] = await lines_of(notes, 1)
    child = psutil.Process(int(line.split()[1]))

    process.kill()
    await process.wait()

    await asyncio.to_thread(child.wait, 10)
    assert notes.read_text().splitlines()[-1] == "one stopped"
