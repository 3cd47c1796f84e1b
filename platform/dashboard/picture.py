"""Charts as SVG without a style or a script: the looks are the style sheet's, by class."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 200, 56, 8, 8


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of thing that was counted: its word, its class, and a number for each moment."""

    word: str
    name: str
    values: Sequence[int]


def bars(series: Sequence[Series], labels: Sequence[str]) -> Markup:
    """Return bars with the series on top of each other; each says its numbers when pointed at."""
    sums = [sum(each) for each in zip(*(one.values for one in series), strict=True)]
    most = max(sums, default=0) or 1
    room = HEIGHT - TOP - BOTTOM
    step = (WIDTH - LEFT) / max(len(sums), 1)
    parts = [
        Markup(
            '<svg class="chart" viewBox="0 0 {} {}" role="img" '
            'aria-label="The numbers are in the table below.">'
        ).format(WIDTH, HEIGHT)
    ]
    for share in (0, 0.5, 1):
        y = TOP + room * (1 - share)
        parts.append(
            Markup(
                '<line x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                '<text x="{}" y="{:.1f}" text-anchor="end">{:,.0f}</text>'
            ).format(LEFT, WIDTH, y, y, LEFT - 6, y + 4, most * share)
        )
    for place, label in enumerate(labels):
        base = TOP + float(room)
        told = ", ".join(f"{one.word} {one.values[place]:,}" for one in series)
        parts.append(Markup("<g><title>{}: {}</title>").format(label, told))
        for one in series:
            height = room * one.values[place] / most
            base -= height
            parts.append(
                Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
                ).format(one.name, LEFT + place * step + step * 0.1, base, step * 0.8, height)
            )
        parts.append(Markup("</g>"))
    return Markup("").join([*parts, Markup("</svg>")])
