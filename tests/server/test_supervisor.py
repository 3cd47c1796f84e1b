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
from postlane.server.nursery import Nursery, NurseryClosed
from postlane.server.supervisor import Program, Supervisor

ROOT = Path(__file__).parents[2]
SCRIPTS = "tests.server.scripts"

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
async def nursery(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Nursery]:
    """A nursery of scripts."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(ROOT / "src"))))
    made = Nursery(entry=f"{SCRIPTS}:run", shared=SCRIPTS)
    yield made
    await made.stop()


@pytest.fixture
async def supervisor(nursery: Nursery) -> AsyncIterator[Supervisor]:
    made = Supervisor()
    yield made
    await made.stop()


def program(
    nursery: Nursery,
    name: str,
    script: str,
    *arguments: str,
    patience: float = 5,
    prefixed: bool = True,
    niceness: int = 0,
) -> Program:
    return Program(
        name,
        [script, *arguments],
        nursery=nursery,
        environment=dict(os.environ) | {"OF_ITS_OWN": name},
        patience_seconds=patience,
        prefixed=prefixed,
        niceness=niceness,
    )


async def lines_of(path: Path, count: int) -> list[str]:
    """The lines of *path* once there are *count* of them."""
    for _ in range(400):
        found = path.read_text().splitlines() if path.exists() else []
        if len(found) >= count:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"{path} did not get {count} lines within 20 seconds")


async def test_a_killed_program_is_started_again(
    supervisor: Supervisor, nursery: Nursery, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    await supervisor.add(program(nursery, "one", NOTE_STARTS, str(notes), "one"))
    [first] = await lines_of(notes, 1)

    os.kill(int(first.split()[1]), signal.SIGKILL)
    _, second = await lines_of(notes, 2)

    assert second != first
    assert supervisor.restarts == {"one": 1}


async def test_a_program_that_keeps_failing_is_started_less_and_less_often(
    supervisor: Supervisor, nursery: Nursery, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    script = "import sys; open(sys.argv[1], 'a').write('x\\n'); sys.exit(3)"

    await supervisor.add(program(nursery, "one", script, str(notes)))
    await asyncio.sleep(3)

    # At 0, 0.5, 1.5 and 3.5 seconds, and a little later each.
    assert supervisor.restarts["one"] in (1, 2)


async def test_parts_stop_one_after_the_other_the_last_added_first(
    nursery: Nursery, tmp_path: Path
) -> None:
    supervisor, notes = Supervisor(), tmp_path / "notes"
    for number, name in enumerate(("database", "worker", "web"), start=1):
        await supervisor.add(program(nursery, name, NOTE_STARTS, str(notes), name))
        await lines_of(notes, number)

    await supervisor.stop()

    assert notes.read_text().splitlines()[3:] == [
        "web stopped",
        "worker stopped",
        "database stopped",
    ]


async def test_a_program_that_does_not_finish_is_ended_with_its_children(
    nursery: Nursery, tmp_path: Path
) -> None:
    supervisor, notes = Supervisor(), tmp_path / "notes"
    script = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "open(sys.argv[1], 'a').write(f'{os.getpid()}\\n')\n"
        "time.sleep(60)\n"
    )
    await supervisor.add(program(nursery, "stubborn", script, str(notes), patience=0.5))
    pids = [int(line) for line in await lines_of(notes, 2)]

    await supervisor.stop()
    await asyncio.sleep(0.2)

    alive = [pid for pid in pids if psutil.pid_exists(pid)]
    assert [pid for pid in alive if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE] == []


async def test_lines_come_out_under_the_name_of_their_program(
    supervisor: Supervisor, nursery: Nursery, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    script = (
        "import sys, time\n"
        "print('plain')\n"
        f"print('y' * {supervising.LONGEST_LINE_BYTES * 2})\n"
        "print('after', file=sys.stderr, flush=True)\n"
        "sys.stdout.flush(); time.sleep(60)\n"
    )

    await supervisor.add(program(nursery, "one", script))
    seen = b""
    for _ in range(200):
        seen += capfdbinary.readouterr().err
        if b"after" in seen and b"plain" in seen:
            break
        await asyncio.sleep(0.05)

    assert b"one      | plain\n" in seen
    assert b"one      | after\n" in seen


async def test_every_line_for_a_program_is_json(
    nursery: Nursery, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    lines = ['print(\'{"message": "logged"}\')', "print('printed')", "raise SystemExit('oh')"]
    part = program(nursery, "one", "\n".join(lines), prefixed=False)

    await part.start()
    code = await part.wait()

    said = [json.loads(line) for line in capfdbinary.readouterr().err.splitlines()]
    assert sorted(each["message"] for each in said) == ["logged", "oh", "printed"]
    assert {each.get("logger") for each in said} == {None, "one"}
    assert code == 1


async def test_a_program_is_as_if_it_had_been_started_by_itself(
    nursery: Nursery, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    script = (
        "import atexit, json, os, signal, sys\n"
        "atexit.register(open(sys.argv[1], 'a').write, 'left\\n')\n"
        "names = ('SIGTERM', 'SIGHUP', 'SIGCHLD', 'SIGINT')\n"
        "found = {'handlers': [str(signal.getsignal(getattr(signal, each))) for each in names],\n"
        "  'leads': os.getpid() == os.getsid(0) == os.getpgrp(), 'read': sys.stdin.read(),\n"
        "  'own': os.environ['OF_ITS_OWN'], 'nice': os.nice(0),\n"
        "  'title': open('/proc/self/cmdline').read(),\n"
        "  'files': sorted(os.listdir('/proc/self/fd'))}\n"
        "open(sys.argv[1], 'a').write(json.dumps(found) + '\\n')\n"
    )
    # Another that runs: nothing of it may be in the second one's hands.
    other = program(nursery, "other", "import time; time.sleep(60)")
    await other.start()
    own = program(nursery, "own", script, str(notes), niceness=3)

    await own.start()
    code = await own.wait()
    other.kill()

    said, left = await lines_of(notes, 2)
    found = json.loads(said)
    assert (code, left) == (0, "left")
    assert found["title"].rstrip("\0 ").startswith("postlane import atexit")
    assert found["handlers"][:3] == [str(signal.SIG_DFL)] * 3
    assert "default_int_handler" in found["handlers"][3]
    assert (found["leads"], found["read"], found["own"]) == (True, "", "own")
    assert found["nice"] == os.nice(0) + 3
    # Those of standard input, output and error; the script's, and the one that lists them.
    assert len(found["files"]) <= 5


async def test_an_environment_of_any_size_reaches_a_program(
    nursery: Nursery, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    script = "import os, sys; open(sys.argv[1], 'a').write(f'{len(os.environ[\"LARGE\"])}\\n')"
    part = Program(
        "one",
        [script, str(notes)],
        nursery=nursery,
        environment={"LARGE": "x" * 3_000_000},
        patience_seconds=5,
        prefixed=True,
    )

    await part.start()
    await part.wait()

    assert await lines_of(notes, 1) == ["3000000"]


async def test_programs_are_back_after_the_nursery_was_killed(
    supervisor: Supervisor, nursery: Nursery, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    await supervisor.add(program(nursery, "one", NOTE_STARTS, str(notes), "one"))
    [first] = await lines_of(notes, 1)
    forked_by = psutil.Process(int(first.split()[1])).ppid()

    os.kill(forked_by, signal.SIGKILL)
    said = await lines_of(notes, 3)

    assert "one stopped" in said
    assert supervisor.restarts == {"one": 1}


async def test_what_outlives_the_nursery_is_waited_for(
    supervisor: Supervisor, nursery: Nursery, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    script = (
        "import os, signal, sys, time\n"
        "def finish(*_):\n"
        "    time.sleep(2)\n"
        "    open(sys.argv[1], 'a').write('finished\\n')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, finish)\n"
        "open(sys.argv[1], 'a').write(f'{os.getpid()}\\n')\n"
        "time.sleep(60)\n"
    )
    await supervisor.add(program(nursery, "one", script, str(notes)))
    [first] = await lines_of(notes, 1)

    os.kill(psutil.Process(int(first)).ppid(), signal.SIGKILL)
    said = await lines_of(notes, 3)

    assert said[1] == "finished"


async def test_what_cannot_be_forked_now_is_refused_and_the_others_run_on(
    nursery: Nursery, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    own = program(nursery, "one", NOTE_STARTS, str(notes), "one")
    await own.start()
    [first] = await lines_of(notes, 1)
    forked_by = psutil.Process(int(first.split()[1])).ppid()
    await asyncio.create_subprocess_exec("prlimit", "--nofile=4", "--pid", str(forked_by))
    await asyncio.sleep(0.2)

    other = program(nursery, "other", "")
    with pytest.raises(OSError, match="open files"):
        await other.start()

    assert psutil.Process(int(first.split()[1])).is_running()
    own.kill()


async def test_a_program_that_is_asked_to_end_at_its_start_ends(
    nursery: Nursery, tmp_path: Path
) -> None:
    for _ in range(20):
        part = program(nursery, "one", "import time; time.sleep(60)")
        await part.start()
        await part.stop()
        assert await part.wait() == -signal.SIGTERM


async def test_who_no_longer_waits_for_a_program_leaves_none_behind(
    nursery: Nursery, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    await program(nursery, "first", "").start()
    part = program(nursery, "one", NOTE_STARTS, str(notes), "one")
    starting = asyncio.create_task(part.start())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    starting.cancel()
    await asyncio.wait([starting])
    await asyncio.sleep(1)

    said = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
    assert [each for each in said if each.startswith("postlane") and str(notes) in each] == []


async def test_a_nursery_that_cannot_import_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    nursery = Nursery(entry=f"{SCRIPTS}:run", shared="no_such_module")

    with pytest.raises(NurseryClosed, match="the lines above say why"):
        await program(nursery, "one", "").start()

    await nursery.stop()
    assert "no_such_module" in capfd.readouterr().err


async def test_children_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    script = (
        "import asyncio, os, sys\n"
        "from postlane.server.nursery import Nursery\n"
        "from postlane.server.supervisor import Program, Supervisor\n"
        f"NURSERY = Nursery(entry='{SCRIPTS}:run', shared='{SCRIPTS}')\n"
        "async def main():\n"
        "    part = Program('one', [sys.argv[1], sys.argv[2], 'one'], nursery=NURSERY,\n"
        "        environment=dict(os.environ), patience_seconds=5, prefixed=True)\n"
        "    await Supervisor().add(part)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    source = os.pathsep.join((str(ROOT), str(ROOT / "src")))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        NOTE_STARTS,
        str(notes),
        env={**os.environ, "PYTHONPATH": source},
    )
    [line] = await lines_of(notes, 1)
    child = psutil.Process(int(line.split()[1]))

    process.kill()
    await process.wait()

    await asyncio.to_thread(child.wait, 10)
    assert notes.read_text().splitlines()[-1] == "one stopped"
