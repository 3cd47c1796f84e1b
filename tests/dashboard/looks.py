"""What the gallery looks like, in numbers: where each element stands, and in which style.

Pictures differ from machine to machine by their fonts and how letters are smoothed; boxes differ
by a few pixels, and colours, spaces and weights not at all. Each look has a file of its own.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.async_api import Page

REFERENCES = Path(__file__).parent / "gallery"
PIXELS, SHARE = 8.0, 0.2
"""How far a box may be from its reference: fonts are not equally wide everywhere."""
BOX = ("x", "y", "width", "height")
STYLE = (
    "color",
    "background-color",
    "border-top-color",
    "border-top-width",
    "border-top-left-radius",
    "display",
    "font-size",
    "font-weight",
    "gap",
    "padding-top",
    "padding-left",
    "text-decoration-line",
)
COLLECT = """properties => {
  const round = n => Math.round(n * 2) / 2, styles = [], elements = {};
  const walk = (element, path, within) => {
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height) return;
    const found = getComputedStyle(element);
    const style = JSON.stringify(properties.map(each => found.getPropertyValue(each)));
    if (!styles.includes(style)) styles.push(style);
    const place = [box.x - within.x, box.y - within.y, box.width, box.height].map(round);
    elements[path] = [...place, styles.indexOf(style)];
    if (element.tagName === 'svg' || element.tagName === 'SELECT') return;
    [...element.children].forEach((child, n) =>
      walk(child, `${path}/${child.tagName.toLowerCase()}${n}`, box));
  };
  const main = document.querySelector('main');
  // Each part is measured from its own corner: what grows a little does not move all that follows.
  [...main.children].forEach((child, n) =>
    walk(child, `${child.tagName.toLowerCase()}${n}`, child.getBoundingClientRect()));
  return {styles: styles.map(each => JSON.parse(each)), elements};
}"""


async def look_of(page: Page) -> dict[str, Any]:
    """Return the boxes of all that the page shows, each within its parent's, and their styles."""
    found: dict[str, Any] = await page.evaluate(COLLECT, STYLE)
    return found


def read_look(name: str) -> dict[str, Any]:
    """Return the reference of a look."""
    found: dict[str, Any] = json.loads((REFERENCES / f"{name}.json").read_text("utf-8"))
    return found


def write_look(name: str, look: Mapping[str, Any]) -> None:
    """Make *look* the reference; an element a line, so that a change can be read."""
    REFERENCES.mkdir(exist_ok=True)
    styles = ",\n".join(json.dumps(each) for each in look["styles"])
    elements = ",\n".join(
        f"{json.dumps(path)}: {json.dumps(value)}" for path, value in look["elements"].items()
    )
    text = f'{{"styles": [\n{styles}\n], "elements": {{\n{elements}\n}}}}\n'
    (REFERENCES / f"{name}.json").write_text(text, "utf-8")


def differences(reference: Mapping[str, Any], look: Mapping[str, Any]) -> list[str]:
    """Return how *look* differs from its reference, an element and property each."""
    before, after = reference["elements"], look["elements"]
    found = [f"{path} is gone" for path in before if path not in after]
    found += [f"{path} is new" for path in after if path not in before]
    for path in before.keys() & after.keys():
        was, now = before[path], after[path]
        for name, old, new in zip(BOX, was, now, strict=False):
            if abs(old - new) > max(PIXELS, SHARE * max(abs(old), abs(new))):
                found.append(f"{path}: {name} was {old}, is {new}")
        old_style, new_style = reference["styles"][was[4]], look["styles"][now[4]]
        for name, old, new in zip(STYLE, old_style, new_style, strict=True):
            if old != new:
                found.append(f"{path}: {name} was {old}, is {new}")
    return sorted(found)
