"""Files of others that pages use: those that the lock says, and nothing else."""

import base64
import gzip
import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from postlane.dashboard.assets import FOLDER, assets
from tests.parts import NODE

ROOT = Path(__file__).parents[2]
MADE_FROM = ROOT / "requirements" / "assets"
LOCK = json.loads((MADE_FROM / "assets.lock").read_text())
OURS = {"app.css", "app.js", "charts.js", "explorer.js", "passkeys.js"}


def test_every_file_is_ours_or_locked() -> None:
    assert set(assets()) == OURS | set(LOCK)
    for name, locked in LOCK.items():
        found = hashlib.sha384((FOLDER / name).read_bytes()).digest()
        assert base64.b64encode(found).decode() == locked["sha384"], name
        assert all(each["license"] and each["integrity"] for each in locked["from"])


def test_every_package_is_named_with_its_licence() -> None:
    named = (FOLDER / "LICENCES.md").read_text()

    for locked in LOCK.values():
        for each in locked["from"]:
            assert f"`{each['name']}` | {each['version']} | {each['license']}" in named


@pytest.mark.skipif(
    NODE.path() is None or not (MADE_FROM / "node_modules").is_dir(),
    reason="npm ci --prefix requirements/assets --ignore-scripts",
)
def test_the_files_are_what_the_locked_packages_make() -> None:
    made = subprocess.run(
        ["node", str(MADE_FROM / "build.mjs"), "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert made.returncode == 0, made.stderr


def test_pages_stay_small() -> None:
    sizes = {name: len(asset.compressed) for name, asset in assets().items()}

    # What every page loads, and what the API explorer and Analytics load besides.
    assert sum(sizes[name] for name in ("app.css", "app.js", "htmx.min.js", "icons.svg")) < 40_000
    assert sizes["editor.min.js"] + sizes["explorer.js"] < 185_000
    assert sum(sizes[name] for name in ("charts.js", "uplot.min.css", "uplot.min.js")) < 26_000
    assert len(gzip.compress((FOLDER / "app.css").read_bytes())) < 6_000
