"""`make test`: what failed beside others gets one more try, alone, and only that."""

from pathlib import Path

import pytest

from tests import run

ONCE = """
from pathlib import Path

def test_sound():
    assert True

def test_unlucky():
    tried = Path(__file__).with_name("tried")
    was_there = tried.exists()
    tried.touch()
    assert was_there
"""
WRONG = """
def test_wrong():
    assert 1 == 2
"""
MANY = "\n".join(f"def test_{number}():\n    assert False" for number in range(6))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    kept = tmp_path / ".pytest_cache" / "v" / "cache" / "lastfailed"
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "FAILED", kept)
    return tmp_path


@pytest.mark.slow
def test_an_unlucky_test_is_named_and_fails_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "test_once.py").write_text(ONCE)

    assert run.run_all() == 0

    told = capfd.readouterr().out
    assert "1 failed, 1 passed" in told
    assert "passed alone" in told.splitlines()[-2]
    assert told.splitlines()[-1].strip() == "test_once.py::test_unlucky"


@pytest.mark.slow
def test_a_wrong_test_beside_an_unlucky_one_fails(folder: Path) -> None:
    (folder / "test_once.py").write_text(ONCE)
    (folder / "test_wrong.py").write_text(WRONG)

    assert run.run_all() == pytest.ExitCode.TESTS_FAILED


@pytest.mark.slow
def test_who_skips_the_second_try_has_not_passed(folder: Path) -> None:
    (folder / "test_once.py").write_text(
        "from pathlib import Path\n\nimport pytest\n\n"
        "def test_unlucky():\n"
        "    tried = Path(__file__).with_name('tried')\n"
        "    if tried.exists():\n"
        "        pytest.skip('nothing to try')\n"
        "    tried.touch()\n"
        "    assert False\n"
    )

    assert run.run_all() == pytest.ExitCode.TESTS_FAILED


def test_many_failures_are_no_accident(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "test_many.py").write_text(MANY)

    assert run.run_all() == pytest.ExitCode.TESTS_FAILED
    assert "once more alone" not in capfd.readouterr().out


@pytest.mark.slow
def test_a_file_that_cannot_be_read_fails(folder: Path) -> None:
    (folder / "test_broken.py").write_text("import nothing_of_this_name\n")

    assert run.run_all() != 0


@pytest.mark.slow
def test_a_run_that_hangs_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "test_slow.py").write_text("import time\n\ndef test_slow():\n    time.sleep(60)\n")
    monkeypatch.setattr(run, "LONGEST_SECONDS", 3)
    monkeypatch.setattr(run, "SHARED", ())

    assert run.run_all() == pytest.ExitCode.INTERRUPTED
