"""The command line: what it says when asked, and when something is wrong."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from postlane.server.cli import COMMANDS, build_parser
from tests.server.commands import environment, postlane_command, start


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_explains_itself_with_an_example(
    command: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([*command.name.split(), "--help"])

    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "example:\n" in said
    assert f"postlane {command.name}" in said.partition("example:\n")[2]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_argument_is_described(command: object) -> None:
    for argument in command.arguments:
        assert argument.keywords.get("help"), argument.flags


def test_every_command_can_be_imported() -> None:
    import importlib

    for command in COMMANDS:
        module, _, function = command.run.partition(":")
        assert callable(getattr(importlib.import_module(f"postlane.server.{module}"), function))


def test_what_needs_no_schema_loads_none() -> None:
    """It takes as long to load as all the rest; a worker loads it once a job needs it."""
    modules = {command.run.partition(":")[0] for command in COMMANDS} - {"smtp"}
    names = [*(f"postlane.server.{name}" for name in sorted(modules)), "postlane.jobs.worker"]
    asked = f"import sys, {', '.join(names)}; print('strawberry' in sys.modules)"

    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert told.stdout == "False\n"


async def test_no_command_lists_them_and_fails(tmp_path: Path) -> None:
    answer = await postlane_command(env=environment(tmp_path))

    assert answer.code == 2
    assert "COMMAND" in answer.err


async def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    answer = await postlane_command("doctor", env=environment(tmp_path, listne="127.0.0.1:80"))

    assert answer.code == 1
    assert answer.err == (
        "postlane: POSTLANE_LISTNE is not a setting. See docs/operating.md for the list.\n"
    )


async def test_a_database_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    url = "postgresql://someone:hush@127.0.0.1:1/nothing"
    answer = await postlane_command("migrate", env=environment(tmp_path, database_url=url))

    assert answer.code == 1
    assert "The database at postgresql://someone:***@127.0.0.1:1/nothing cannot be reached" in (
        answer.err
    )
    assert "Traceback" not in answer.err
    assert "hush" not in answer.err


async def test_web_without_a_database_says_what_to_do(tmp_path: Path) -> None:
    answer = await postlane_command("web", env=environment(tmp_path, secret_key="k" * 40))

    assert answer.code == 1
    assert "There is no database" in answer.err
    assert "postlane up" in answer.err


async def test_a_port_in_use_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = await postlane_command("up", env=environment(tmp_path, listen=f"127.0.0.1:{port}"))

    assert answer.code == 1
    assert f"Port {port} on 127.0.0.1 is in use by another program." in answer.err
    assert not (tmp_path / "postgres").exists()


async def test_a_host_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    answer = await postlane_command("up", env=environment(tmp_path, listen="192.0.2.1:8000"))

    assert answer.code == 1
    assert "POSTLANE_LISTEN=192.0.2.1:8000 cannot be listened on" in answer.err


async def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    answer = await postlane_command("up", env=environment(tmp_path / "var"))

    assert answer.code == 1
    assert "cannot be written" in answer.err
    assert "Traceback" not in answer.err


async def test_smtp_that_is_turned_off_says_so(tmp_path: Path) -> None:
    env = environment(tmp_path, secret_key="k" * 40, smtp_listen="")

    answer = await postlane_command("smtp", env=env)

    assert answer.code == 1
    assert "which turns SMTP off" in answer.err


async def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    files = {"tls_certificate": "/does/not/exist", "tls_key": "/does/not/exist"}
    env = environment(tmp_path, secret_key="k" * 40, smtp_listen="127.0.0.1:0", **files)

    answer = await postlane_command("smtp", env=env)

    assert answer.code == 1
    assert "POSTLANE_TLS_CERTIFICATE=/does/not/exist" in answer.err
    assert "Traceback" not in answer.err


async def test_a_reader_that_stops_reading_is_no_fault(tmp_path: Path) -> None:
    process = await start("print-settings", env=environment(tmp_path))
    assert process.stdout is not None
    process.stdout._transport.close()  # as `| head -0` does

    assert process.stderr is not None
    said = await process.stderr.read()
    await process.wait()

    assert b"Traceback" not in said
