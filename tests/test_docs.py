"""The documents are true: made parts are current, links lead somewhere, words are in use."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from docs.__main__ import CHANGELOG, FRAGMENTS, KINDS, generated, release_notes
from graphql import parse, validate

from postlane.blocklists.catalogue import check_settings, known_lists
from postlane.core.settings import settings
from postlane.graphql.schema import CORE
from postlane.protection.catalogue import all_rules

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").glob("*.md")]
)


def name_of(path: Path) -> str:
    """Return how *path* is called in a failure."""
    return path.relative_to(ROOT).as_posix()


BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = [
    (name_of(path), text)
    for path in PAGES
    for language, text in BLOCK.findall(path.read_text("utf-8"))
    if language == "graphql"
]
RUN = {
    "README.md": "tests/test_getting_started.py",
    "docs/domains.md": "tests/journeys/test_pages.py",
    "docs/getting-started.md": "tests/test_getting_started.py",
    "docs/moving-from-postageapp.md": "tests/journeys/test_pages.py",
    "docs/moving-from-postal.md": "tests/journeys/test_moving_from_postal.py",
    "docs/moving-from-postmta.md": "tests/journeys/test_pages.py",
    "docs/scaling.md": "tests/server/test_scaling.py",
    "docs/sending.md": "tests/journeys/test_pages.py",
}
"""The pages that show commands, and what runs them."""


def test_the_made_parts_are_current() -> None:
    stale = [name_of(p) for p, text in generated().items() if p.read_text("utf-8") != text]

    assert stale == [], "run `make docs`"


def test_every_link_inside_the_project_leads_somewhere() -> None:
    broken = []
    for path in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
            if not (path.parent / target).exists():
                broken.append(f"{name_of(path)}: {target}")
    assert broken == []


def test_every_command_of_make_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {
        (name_of(path), name)
        for path in PAGES
        for name in re.findall(r"`make ([a-z]+)", path.read_text("utf-8"))
    }

    assert {pair for pair in named if pair[1] not in targets} == set()


def test_every_command_of_make_says_what_it_does() -> None:
    command = ("make", "--no-print-directory", "help")
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)

    assert [line.split()[0] for line in told.stdout.splitlines()] == targets


def test_the_layout_names_every_folder_of_the_platform() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    folders = {path.parent.name for path in (ROOT / "platform").glob("*/__init__.py")}

    assert named == folders


def test_the_layout_shows_the_layers_that_the_build_checks() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]

    shown = re.findall(r"^```\n(server\n.*?)^```$", text, re.MULTILINE | re.DOTALL)
    planned = set(re.findall(r"\((\w+)\)", shown[0]))
    assert re.sub(r"[()]", "", shown[0]).split("\n")[:-1] == [
        re.sub(r"[()]", "", x) for x in layers
    ]
    assert planned == {name for name in planned if not (ROOT / "platform" / name).exists()}


def test_the_words_of_the_vocabulary_are_in_use() -> None:
    page = (ROOT / "docs" / "vocabulary.md").read_text("utf-8")
    words = re.findall(r"^\| ([A-Za-z ]+) \| ", page, re.MULTILINE)[1:]
    files = (ROOT / "platform").rglob("*.py")
    code = [path.read_text("utf-8").lower().replace("_", " ") for path in files]

    assert len(words) > 30
    assert [word for word in words if not any(word.lower() in text for text in code)] == []


def test_a_release_joins_every_fragment() -> None:
    notes = release_notes("9.9.9", "2026-01-31")

    assert notes.startswith("## 9.9.9 (2026-01-31)\n")
    fragments = [path for kind in KINDS for path in FRAGMENTS.glob(f"*.{kind}.md")]
    assert notes.count("\n- ") == len(fragments)
    assert "<!-- releases -->\n" in CHANGELOG.read_text("utf-8")


def test_the_front_page_is_short_and_gives_the_two_commands() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()

    assert len(lines) <= 150
    assert any("make run" in line for line in lines)
    assert any("make test" in line for line in lines)


def test_every_document_that_a_page_shows_fits_the_schema() -> None:
    faults = [
        (page, fault.message)
        for page, document in DOCUMENTS
        for fault in validate(CORE, parse(document))
    ]

    assert len(DOCUMENTS) > 15
    assert faults == []


def test_every_page_with_commands_is_run() -> None:
    with_commands = {
        name_of(path)
        for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
        if any(language == "sh" for language, _ in BLOCK.findall(path.read_text("utf-8")))
    }

    assert with_commands == set(RUN)
    absent = [
        page for page, test in RUN.items() if page.split("/")[-1] not in (ROOT / test).read_text()
    ]
    assert absent == []


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}

    assert {name for name in pages if f"({name})" not in index} == set()


def test_the_settings_files_that_a_page_shows_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = [
        text
        for language, text in BLOCK.findall((ROOT / "docs" / "security.md").read_text("utf-8"))
        if language == "toml"
    ]
    for name, text in zip(("blocklists_file", "auto_block_file"), shown, strict=True):
        (tmp_path / name).write_text(text, "utf-8")
        monkeypatch.setenv(f"POSTLANE_{name.upper()}", str(tmp_path / name))
    settings.cache_clear()
    try:
        check_settings(settings())
        known = known_lists()
        rule = all_rules()["high_bounce_rate"]
    finally:
        monkeypatch.undo()
        settings.cache_clear()

    assert {"zen.dq.spamhaus.net", "bl.example.com"} <= set(known)
    assert (rule.threshold, rule.locked) == (3, True)
