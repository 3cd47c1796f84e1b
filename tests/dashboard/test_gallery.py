"""The gallery shows what pages are made of, and pages are made of nothing else."""

import re

import pytest

from postlane.dashboard.format import STATES
from postlane.dashboard.pages import PAGES
from postlane.dashboard.render import TEMPLATES, has_block
from tests.client import Client
from tests.dashboard.browser import Browser, member

MACROS = TEMPLATES / "_ui.html"
SOURCES = {
    path.relative_to(TEMPLATES).as_posix(): path.read_text("utf-8")
    for path in sorted(TEMPLATES.rglob("*.html"))
    if path != MACROS
}
BESIDE = {"csrf", "live", "newer", "export", "type"}
"""Macros without looks of their own, or that belong to one page's data."""
OWN_MARKS = re.compile(r'class="(?:banner|empty|badge|loading|stale)\b')
SEARCHED = [
    page
    for page in PAGES
    if has_block(page.template, "found") and 'role="search"' in SOURCES[page.template]
]


def test_every_component_is_in_the_gallery() -> None:
    made = set(re.findall(r"{% macro (\w+)\(", MACROS.read_text("utf-8"))) - BESIDE

    assert {name for name in made if f"ui.{name}(" not in SOURCES["gallery/index.html"]} == set()


@pytest.mark.parametrize("name", SOURCES)
def test_pages_make_no_component_of_their_own(name: str) -> None:
    """One that pages wrote themselves would look otherwise than in the gallery."""
    found = [line for line in SOURCES[name].splitlines() if OWN_MARKS.search(line)]

    # What the script shows and hides is there from the first paint.
    assert [line for line in found if 'id="paused"' not in line] == []


@pytest.mark.parametrize("page", SEARCHED, ids=lambda page: page.path)
def test_a_list_that_is_searched_says_what_it_lacks(page: object) -> None:
    source = SOURCES[page.template]  # type: ignore[attr-defined]

    assert "ui.no_match(" in source
    assert "ui.empty(" in source


async def test_the_gallery_shows_every_state_in_either_light(client: Client) -> None:
    browser, _ = await member(client)

    shown = await browser.get("/gallery")
    dark = await browser.get("/gallery?theme=dark")
    odd = await browser.get("/gallery?theme=%22%3E")
    nobody = await Browser(client).get("/gallery")

    assert all(f">{word}</span>" in shown.text for _, _, word in STATES.values())
    assert 'data-theme="dark"' in dark.text
    assert "data-theme" not in odd.text
    assert odd.status_code == 200
    assert nobody.headers["location"] == "/login?next=/gallery"
