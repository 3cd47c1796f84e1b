"""Postfix on the same machine, by the script that measures it, when that is present."""

import asyncio
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

SCRIPT = "POSTLANE_POSTFIX_BASELINE"
"""Environment variable that names the script, if it is not where it is looked for."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Messages a second."""

    accepted: float
    delivered: float


def find_script() -> Path | None:
    """Return the script that measures Postfix, or None."""
    places = [Path(__file__).resolve().parents[2] / "shared" / "tools" / "postfix-baseline"]
    if named := os.environ.get(SCRIPT):
        places.insert(0, Path(named))
    return next((place for place in places if place.is_file()), None)


async def measure(script: Path, *, messages: int, sessions: int, size_bytes: int) -> Baseline:
    """Run the script once, with a configuration of its own beside the machine's.

    The machine's may be missing: Debian's package installs none where it is told so.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "main.cf").touch()
        process = await asyncio.create_subprocess_exec(
            "bash",
            str(script),
            str(messages),
            str(sessions),
            str(size_bytes),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "MAIL_CONFIG": folder},
        )
        output, _ = await process.communicate()
    found = re.search(rb"accepted (\d+)/s, delivered (\d+)/s", output)
    if not found:
        raise RuntimeError(f"Postfix could not be measured: {output.decode()[-500:]}")
    return Baseline(float(found[1]), float(found[2]))
