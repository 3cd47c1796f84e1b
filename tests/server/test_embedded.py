"""The embedded PostgreSQL: after crashes, in odd folders, and without its starter."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from postlane.server import embedded
from postlane.server.embedded import EmbeddedDatabase, running_url
from postlane.server.faults import CommandFailed


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedDatabase]:
    started = EmbeddedDatabase(tmp_path / "postgres")
    yield started
    await started.stop()


async def ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_what_was_committed_survives_a_killed_server(server: EmbeddedDatabase) -> None:
    url = await server.start()
    await ask(url, "CREATE TABLE kept AS SELECT 7 AS n")

    server.process.kill()
    await server.process.wait()
    url = await server.start()

    assert await ask(url, "SELECT n FROM kept") == 7


async def test_a_killed_backend_leaves_a_server_that_answers(server: EmbeddedDatabase) -> None:
    url = await server.start()
    connection = await asyncpg.connect(url)

    os.kill(connection.get_server_pid(), signal.SIGKILL)
    await asyncio.sleep(0.5)

    assert server.running
    for _ in range(100):
        try:
            assert await ask(url, "SELECT 1") == 1
            break
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.1)
    else:
        pytest.fail("the server did not recover within ten seconds")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such policy")
async def test_the_server_and_its_backends_wait_for_who_runs(server: EmbeddedDatabase) -> None:
    ours = os.sched_getscheduler(0)
    theirs = os.SCHED_BATCH if ours == os.SCHED_OTHER else ours
    url = await server.start()

    assert os.sched_getscheduler(server.process.pid) == theirs
    connection = await asyncpg.connect(url)
    try:
        own = await connection.fetchval("SELECT pg_backend_pid()")
        assert os.sched_getscheduler(own) == theirs
    finally:
        await connection.close()
    # Whoever starts it goes on as before.
    assert os.sched_getscheduler(0) == ours


async def test_a_lock_file_of_another_program_is_not_believed(
    server: EmbeddedDatabase, tmp_path: Path
) -> None:
    await server.start()
    stale = (tmp_path / "postgres" / "postmaster.pid").read_text()
    server.process.kill()
    await server.process.wait()
    ours = "\n".join([str(os.getpid()), *stale.splitlines()[1:]])
    (tmp_path / "postgres" / "postmaster.pid").write_text(ours)

    url = await server.start()

    assert await ask(url, "SELECT 1") == 1


async def test_a_half_written_lock_file_does_not_keep_the_server_from_starting(
    server: EmbeddedDatabase, tmp_path: Path
) -> None:
    await server.start()
    await server.stop()
    (tmp_path / "postgres" / "postmaster.pid").write_text("")

    url = await server.start()

    assert await ask(url, "SELECT 1") == 1


async def test_an_initdb_that_was_cut_short_is_done_again(
    server: EmbeddedDatabase, tmp_path: Path
) -> None:
    half_made = tmp_path / "postgres.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")

    url = await server.start()

    assert await ask(url, "SELECT 1") == 1
    assert not half_made.exists()


async def test_a_folder_too_deep_for_a_unix_socket_is_served_elsewhere(tmp_path: Path) -> None:
    server = EmbeddedDatabase(tmp_path / ("d" * 120) / "postgres")
    try:
        url = await server.start()

        assert await ask(url, "SELECT 1") == 1
        assert running_url(tmp_path / ("d" * 120) / "postgres") == url
        sockets = Path(url.partition("host=")[2])
        assert sockets.stat().st_mode & 0o777 == 0o700
    finally:
        await server.stop()


async def test_a_folder_with_a_space_in_its_name_works(tmp_path: Path) -> None:
    server = EmbeddedDatabase(tmp_path / "two words" / "postgres")
    try:
        assert await ask(await server.start(), "SELECT 1") == 1
    finally:
        await server.stop()


async def test_another_major_version_is_refused_with_what_to_do(
    server: EmbeddedDatabase, tmp_path: Path
) -> None:
    await server.start()
    await server.stop()
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")

    with pytest.raises(CommandFailed, match="PostgreSQL 16; this Postlane brings 18"):
        await server.start()


async def test_a_server_that_cannot_start_says_why(
    server: EmbeddedDatabase, tmp_path: Path
) -> None:
    await server.start()
    await server.stop()
    with (tmp_path / "postgres" / "postgresql.auto.conf").open("a") as file:
        file.write("work_mem = 'lots'\n")

    with pytest.raises(CommandFailed, match=r"does not start.*work_mem"):
        await server.start()


async def test_the_server_ends_with_a_starter_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from postlane.server.embedded import EmbeddedDatabase\n"
        "async def main():\n"
        "    server = EmbeddedDatabase(Path(sys.argv[1]))\n"
        "    await server.start()\n"
        "    print(server.process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    path = tmp_path / "postgres"
    source = Path(embedded.__file__).resolve().parents[2] / "src"
    starter = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        str(path),
        env={**os.environ, "PYTHONPATH": str(source)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert starter.stdout is not None
    postmaster = psutil.Process(int(await starter.stdout.readline()))

    starter.kill()
    await starter.wait()

    assert await asyncio.to_thread(postmaster.wait, 20) in (0, None)
    assert running_url(path) is None
