"""Which Python `make` takes: one that works, the system's before others."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = (ROOT / "requirements" / "find-python").read_text()


def find(tmp_path: Path, *, system: dict[str, str], path: dict[str, str]) -> str:
    """Return what is found where the system and the path have these; each a script's text."""
    for folder, programs in (("system", system), ("path", path)):
        (tmp_path / folder).mkdir()
        for name, text in programs.items():
            (tmp_path / folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / folder / name).chmod(0o755)
    script = SCRIPT.replace("/usr/bin/", f"{tmp_path}/system/")
    found = subprocess.run(
        ["/bin/sh", "-c", script],
        env={"PATH": str(tmp_path / "path")},
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip().replace(f"{tmp_path}/system", "/usr/bin")


WORKS = "exit 0"
IS_OLD = "exit 1"
MAKES_NO_ENVIRONMENTS = 'case "$2" in *ensurepip*) exit 1;; esac'


@pytest.mark.parametrize(
    ("system", "path", "found"),
    [
        ({"python3.11": WORKS}, {"python3.13": WORKS}, "/usr/bin/python3.11"),
        ({"python3.11": WORKS, "python3.13": WORKS}, {}, "/usr/bin/python3.13"),
        ({"python3": IS_OLD}, {"python3.12": WORKS}, "python3.12"),
        # One that is named and does not start, as a version manager's that is not chosen.
        ({}, {"python3.13": "exit 127", "python3": WORKS}, "python3"),
        ({"python3.11": MAKES_NO_ENVIRONMENTS}, {"python3": WORKS}, "python3"),
        ({"python3.11": MAKES_NO_ENVIRONMENTS}, {}, "/usr/bin/python3.11"),
        ({"python3": IS_OLD}, {}, ""),
    ],
)
def test_the_newest_that_works_is_found(
    tmp_path: Path, system: dict[str, str], path: dict[str, str], found: str
) -> None:
    assert find(tmp_path, system=system, path=path) == found
