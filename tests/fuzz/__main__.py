"""`make fuzz`: atheris on every target, for so many seconds each; what it finds stays.

What is asked of the GraphQL API is made from the schema by hypothesis, in the test that does the
same for some seconds.

Findings go into tests/fuzz/found/<target>, where the tests run them from then on. What it learns
on the way is kept in var/fuzz, and what is worth it is copied into tests/fuzz/corpus by hand.
"""

import argparse
import os
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path

from .targets import CORPUS, TARGETS

FOUND = Path(__file__).parent / "found"
GRAPHQL = "graphql"
LEARNT = Path(__file__).parents[2] / "var" / "fuzz"
ONE_TARGET = """
import sys
import atheris
with atheris.instrument_imports(include=["postlane"]):
    from tests.fuzz.targets import TARGETS
target = TARGETS[sys.argv.pop(1)]
atheris.Setup(sys.argv, target.try_in_time)
atheris.Fuzz()
"""


def main() -> int:
    """Fuzz, and return 1 if something was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("targets", nargs="*", help="names of targets; none is all")
    options = parser.parse_args()
    names = options.targets or [*TARGETS, GRAPHQL]
    failed = [name for name in names if not fuzz(name, options.seconds)]
    for name in failed:
        print(f"Something was found in {name}: {FOUND / name}")
    return bool(failed)


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz one target and say whether all was well."""
    if name == GRAPHQL:
        return fuzz_graphql(seconds)
    for folder in (LEARNT / name, FOUND / name):
        folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            *(sys.executable, "-c", ONE_TARGET, name),
            *(f"-max_total_time={seconds}", "-timeout=60", "-max_len=20000", "-verbosity=0"),
            *("-print_final_stats=1", f"-artifact_prefix={FOUND / name}/"),
            str(LEARNT / name),
            str(CORPUS / name),
        ],
        # What opens tokens needs a key to open them with.
        env={"POSTLANE_SECRET_KEY": secrets.token_hex(32), **os.environ},
        check=False,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    runs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    said = f"{int(runs[1]):,} inputs" if runs else "it did not come to its end"
    print(f"{name}: {seconds} s, {said}", flush=True)
    if done.returncode:
        print(done.stderr, flush=True)
    return done.returncode == 0


def fuzz_graphql(seconds: int) -> bool:
    """Ask the GraphQL API for so long, other things each time, and say whether all was well."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-o", "faulthandler_timeout=0"),
            "tests/fuzz/test_requests.py::test_no_request_is_a_bug",
        ],
        env={**os.environ, "FUZZ_SECONDS": str(seconds), "FUZZ_SEED": str(time.time_ns() // 10**9)},
        check=False,
    )
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
