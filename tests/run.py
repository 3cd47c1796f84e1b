"""What `make test` runs: the parts that tests use, every check, every test."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.parts import LIGHTHOUSE, NODE, NPM, PARTS, THE_81, TOOLS, Part

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".pytest_cache" / "v"
COUNTED = KEPT / THE_81
FAILED = KEPT / "cache" / "lastfailed"
MOST_AGAIN = 5
"""As many failed tests are tried once more, alone; more of them are no accident of load."""
LONGEST_SECONDS = 60 * 60
"""A run that takes longer hangs; it is ended, with the place where it hangs."""
SHARED = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")
"""Three processes share the files of tests: many of them wait for processes, not for a core.

Each has servers of its own. A file is never split, so that its fixtures are made once. The
files are taken in the order of `tests/order.py`; xdist's own begins with the most tests.
"""
CHECKS = (
    ("ruff check", ("ruff", "check", ".")),
    ("ruff format", ("ruff", "format", "--check", ".")),
    ("imports", ("lint-imports", "--no-logo")),
    ("types", ("mypy",)),
)
EXAMPLE = """\
Without arguments: every check, then every test. With arguments: pytest with them, and no
check. For example
    make test ARGS="tests/mail -k dkim"
    .venv/bin/python -m tests.run tests/test_layout.py
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what *arguments* ask for and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="make test",
        description="Test Postlane against real parts.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--no-install", action="store_true", help="never install a missing program through apt-get"
    )
    options, rest = parser.parse_known_args(arguments)
    install_parts(allowed=not options.no_install)
    if rest:
        return run_tests(rest)
    failed = run_checks()
    for kept in (COUNTED, FAILED):
        kept.unlink(missing_ok=True)
    code = run_all()
    print(read_the_81())
    for name in failed:
        print(f"The check '{name}' failed; see the top of the output.")
    return code or bool(failed)


def install_parts(*, allowed: bool) -> None:
    """Bring in what is missing where that is ours to do; otherwise say what is missing."""
    missing = [part for part in PARTS if not part.path()]
    if missing and allowed and os.geteuid() == 0 and shutil.which("apt-get"):
        apt_install(missing)
        missing = [part for part in PARTS if not part.path()]
    for part in missing:
        print(f"Missing: {part.program}, for {part.purpose}. To get it: {part.how}", flush=True)
    if NODE.path() and NPM.path():
        npm_install(TOOLS)
        npm_install(LIGHTHOUSE)


def apt_install(parts: Sequence[Part]) -> None:
    """Install the packages of *parts*; a failure is told, and their tests are skipped."""
    packages = sorted({package for part in parts for package in part.package.split()})
    print("Installing " + " ".join(packages) + " ...", flush=True)
    quiet = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120")
    calm = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    leave_unconfigured(packages)
    for command in (
        (*quiet, "update"),
        (*quiet, "install", "-y", "--no-install-recommends", *packages),
    ):
        done = subprocess.run(
            command, env=calm, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode:
            print(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}", flush=True)
            return


def leave_unconfigured(packages: Sequence[str]) -> None:
    """See to it that installing Postfix starts no mail server of the machine's own.

    Without a configuration it does not start; tests run instances of their own.
    """
    answer = "postfix postfix/main_mailer_type select No configuration\n"
    if "postfix" in packages and shutil.which("debconf-set-selections"):
        subprocess.run(["debconf-set-selections"], input=answer, text=True, check=False)


def npm_install(folder: Path) -> None:
    """Install the locked packages of *folder*, unless that is done already."""
    lock, done = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if not lock.is_file():
        return
    if done.is_file() and done.stat().st_mtime >= lock.stat().st_mtime:
        return
    command = ("npm", "ci", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts")
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode:
        print(
            f"npm ci --prefix {folder.relative_to(ROOT)} failed:\n{result.stderr[-2000:]}",
            flush=True,
        )


def run_checks() -> list[str]:
    """Run every check and return the names of those that failed."""
    failed = []
    for name, (program, *arguments) in CHECKS:
        started = time.monotonic()
        command = (Path(sys.executable).parent / program, *arguments)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        seconds = time.monotonic() - started
        print(f"{name:12} {'FAILED' if done.returncode else 'ok':6} {seconds:5.1f} s", flush=True)
        if done.returncode:
            print(done.stdout + done.stderr, flush=True)
            failed.append(name)
    return failed


def run_all() -> int:
    """Run every test, and once more alone what failed beside the others; return the exit code.

    Three processes on two cores let a test wait that has never waited before. What fails alone
    as well is wrong; what does not is named at the end, to be looked into.
    """
    code = run_tests(["--durations=10", *SHARED])
    failed = read_failed()
    if code != pytest.ExitCode.TESTS_FAILED or not 0 < len(failed) <= MOST_AGAIN:
        return code
    print(f"\n{len(failed)} failed beside the others, and once more alone:", flush=True)
    with tempfile.TemporaryDirectory(prefix="postlane-again-") as folder:
        told = Path(folder) / "told.xml"
        code = run_tests([f"--junitxml={told}", *failed])
        if code == 0 and passed_in(told) < len(failed):
            print("Not each of them ran when it was alone.")
            return pytest.ExitCode.TESTS_FAILED
    if code == 0:
        print("These failed beside the others and passed alone; see above why, and mend it:")
        print("\n".join(f"    {name}" for name in failed), flush=True)
    return code


def passed_in(told: Path) -> int:
    """Return how many tests passed, as pytest's report in JUnit's form says."""
    return sum(
        not any(case.find(kind) is not None for kind in ("skipped", "failure", "error"))
        for case in ElementTree.parse(told).iter("testcase")
    )


def read_failed() -> list[str]:
    """Return the names of the tests that failed last."""
    return sorted(json.loads(FAILED.read_text())) if FAILED.is_file() else []


def run_tests(arguments: Sequence[str]) -> int:
    """Run pytest with *arguments* and return its exit code."""
    # pytest's usual folder is closed to other users whenever a run begins, and as root the
    # database of another run is another user's.
    folder = tempfile.mkdtemp(prefix="postlane-pytest-")
    command = (sys.executable, "-m", "pytest", f"--basetemp={folder}", *arguments)
    # Hundreds of processes are started: without bytecode each compiles a thousand modules anew.
    kept = {name: each for name, each in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    try:
        return _finished(subprocess.Popen(command, cwd=ROOT, env=kept))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _finished(process: subprocess.Popen[bytes]) -> int:
    # Ctrl-C reaches pytest by itself; here it would only end the wait for it. What is ignored
    # is inherited, so the next one begins with what was.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait(LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"The tests took more than {LONGEST_SECONDS} seconds; ending them.", flush=True)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        return pytest.ExitCode.INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, before)


def read_the_81() -> str:
    """Return how many endpoints of the contract passed; the whole table stands further up."""
    return str(json.loads(COUNTED.read_text())) if COUNTED.is_file() else "The 81 were not tried."


if __name__ == "__main__":
    sys.exit(main())
