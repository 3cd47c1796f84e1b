"""The threat model: each border names the tests that guard it, and they exist and test."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODEL = (ROOT / "SECURITY.md").read_text("utf-8")
BORDERS = re.findall(
    r"^\d+\. \*\*(.+?)\*\*(.*?)(?=^\d+\. \*\*|^## )", MODEL, re.MULTILINE | re.DOTALL
)
TEST = re.compile(r"`(tests/[\w/]+\.py)`")


def test_every_border_is_guarded_by_tests_that_exist() -> None:
    guards = {border: TEST.findall(text.partition("Guarded by")[2]) for border, text in BORDERS}

    assert len(guards) == 11
    assert [border for border, tests in guards.items() if not tests] == []
    absent = {
        test
        for tests in guards.values()
        for test in tests
        if not re.search(r"^(async )?def test_", read(test), re.MULTILINE)
    }
    assert absent == set()


def read(path: str) -> str:
    file = ROOT / path
    return file.read_text("utf-8") if file.is_file() else ""


def test_it_says_what_is_protected_trusted_and_left_out() -> None:
    titles = re.findall(r"^## (.+)$", MODEL, re.MULTILINE)

    assert titles[:5] == ["Reporting", "What is protected", "Borders", "Trusted", "Out of scope"]
