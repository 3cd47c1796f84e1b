"""The gallery looks as it did, in light, in dark and on a small screen.

    WRITE_LOOKS=1 .venv/bin/python -m pytest tests/dashboard/test_looks.py

makes how it looks now the reference.
"""

import os

import pytest
from playwright.async_api import Browser

from tests.dashboard.chromium import LOOKS, signed_in
from tests.dashboard.looks import differences, look_of, read_look, write_look
from tests.parts import CHROMIUM, needs

BREAKS = {
    "another colour": ("main .badge", "e.style.color = 'rgb(1, 2, 3)'", "color"),
    "another space": (".sample .banner", "e.style.paddingLeft = '40px'", "padding-left"),
    "a broken row": ("main .row", "e.style.display = 'block'", "display"),
    "something gone": (".sample .empty", "e.remove()", "is gone"),
    "something far too wide": ("main .field", "e.style.minWidth = '900px'", "width"),
}
"""What a change of the style sheet may do to an element, and the word that tells."""


@needs(CHROMIUM)
@pytest.mark.parametrize("look", LOOKS)
async def test_the_gallery_looks_as_it_did(chromium: Browser, url: str, look: str) -> None:
    context = await chromium.new_context(**LOOKS[look])  # type: ignore[arg-type]
    page = await context.new_page()
    await signed_in(context, url)
    await page.goto(f"{url}/gallery")

    found = await look_of(page)
    if os.environ.get("WRITE_LOOKS"):
        write_look(look, found)

    assert len(found["elements"]) > 200
    assert differences(read_look(look), found) == []
    if look == "light":
        for selector, change, word in BREAKS.values():
            await page.goto(f"{url}/gallery")
            await page.locator(selector).first.evaluate(f"e => {{ {change} }}")
            told = differences(read_look(look), await look_of(page))
            assert any(word in each for each in told), (selector, change)
    await context.close()
