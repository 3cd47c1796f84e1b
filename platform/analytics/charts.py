"""Charts as SVG: made of numbers on the server, readable without colour or script."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 180
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 10, 24
INK, LINE, BAR = "#5b6675", "#dfe3e8", "#2f6fb3"


def bars(title: str, labels: Sequence[str], values: Sequence[float | None]) -> str:
    """Return a chart of a bar for each value; its title and description say what it shows."""
    most = max([value or 0 for value in values], default=0) or 1
    inner, room = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    step = inner / max(len(values), 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="11">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(_described(labels, values))}</desc>",
    ]
    for share in (0, 0.5, 1):
        y = TOP + room * (1 - share)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{LINE}"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="{INK}">'
            f"{_axis(most * share)}</text>"
        )
    for nth, value in enumerate(values):
        height = room * (value or 0) / most
        parts.append(
            f'<rect x="{LEFT + nth * step + step * 0.1:.1f}" y="{TOP + room - height:.1f}" '
            f'width="{step * 0.8:.1f}" height="{height:.1f}" fill="{BAR}"/>'
        )
    for nth in sorted({0, len(labels) // 2, len(labels) - 1}) if labels else ():
        anchor = "start" if nth == 0 else "end" if nth == len(labels) - 1 else "middle"
        x = LEFT + step * (nth + {"start": 0, "middle": 0.5, "end": 1}[anchor])
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}" fill="{INK}">'
            f"{escape(labels[nth])}</text>"
        )
    return "".join(parts) + "</svg>"


def _axis(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _described(labels: Sequence[str], values: Sequence[float | None]) -> str:
    known = [(value, label) for value, label in zip(values, labels, strict=True) if value]
    if not known:
        return "Nothing."
    (most, when), (least, then) = max(known), min(known)
    return f"From {least:,.6g} ({then}) to {most:,.6g} ({when})."
