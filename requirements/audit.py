"""`make audit`: looks the locked packages up in the advisory database, and fails on known holes.

Without a network nothing is known, which is told and is no failure: a build must not break
because a database elsewhere is down. `--strict` makes it one, as a release wants.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).parent / "runtime.txt"
PATIENCE_SECONDS = 15
LONGEST_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Hole:
    """One advisory about one locked package."""

    package: str
    version: str
    advisory: str
    fixed_in: tuple[str, ...]


def main() -> int:
    """Audit, say what was found, and return 1 if it is known holes."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--strict", action="store_true", help="fail where nothing can be looked up")
    parser.add_argument("--lock", type=Path, default=LOCK, help="the locked requirements")
    options, more = parser.parse_known_args()
    holes = look_up(options.lock, more)
    if holes is None:
        print("The advisory database cannot be reached, so nothing was audited.")
        return int(options.strict)
    for hole in holes:
        mended = f"; mended in {', '.join(hole.fixed_in)}" if hole.fixed_in else ""
        print(f"{hole.package} {hole.version}: {hole.advisory}{mended}")
    print(f"{len(holes)} known holes in the locked packages.")
    return int(bool(holes))


def look_up(lock: Path, more: list[str]) -> list[Hole] | None:
    """Return the known holes of what *lock* locks; None if they cannot be looked up."""
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(lock)),
        *("--require-hashes", "--disable-pip", "--no-deps", "--format", "json"),
        *("--progress-spinner", "off", "--timeout", str(PATIENCE_SECONDS), *more),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
        )
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return [
        Hole(found["name"], found["version"], hole["id"], tuple(hole["fix_versions"]))
        for found in answer["dependencies"]
        for hole in found.get("vulns", ())
    ]


if __name__ == "__main__":
    sys.exit(main())
