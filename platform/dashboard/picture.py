"""Charts as SVG without a style or a script: the looks are the style sheet's, by class."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..core.languages import gettext as _

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
    parts = _frame([(TOP + room * (1 - share), most * share) for share in (0, 0.5, 1)])
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


def climb(days: Sequence[tuple[int, int | None, int | None]]) -> Markup:
    """Return a bar for what was sent on each day, under a line for how much was allowed.

    Each line across is ten times the one below: a warm-up grows so, and its first days count.
    """
    most = max((n for _, *both in days for n in both if n is not None), default=0) or 1
    powers = [10**power for power in range(len(str(most)))]
    top = 10 ** len(str(most))
    room = HEIGHT - TOP - BOTTOM

    def y_of(number: int) -> float:
        return TOP + room * (1 - math.log10(max(number, 1)) / math.log10(top))

    step = (WIDTH - LEFT) / max(len(days), 1)
    parts = _frame([(y_of(each), each) for each in [*powers, top]])
    for place, (day, limit, sent) in enumerate(days):
        x, y = LEFT + place * step, y_of(sent or 0)
        done, cap = f"{sent or 0:,}", f"{limit or 0:,}"
        told = _("Day %(day)s: %(sent)s sent", day=day, sent=done)
        if limit is not None:
            told = _("Day %(day)s: %(sent)s sent of %(limit)s", day=day, sent=done, limit=cap)
        parts.append(
            Markup(
                "<g><title>{}</title>"
                '<rect class="delivered" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
            ).format(told, x + step * 0.15, y, step * 0.7, TOP + room - y)
        )
        if limit is not None:
            parts.append(
                Markup(
                    '<line class="limit" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
                ).format(x, x + step, y_of(limit), y_of(limit))
            )
        parts.append(Markup("</g>"))
    return Markup("").join([*parts, Markup("</svg>")])


def _frame(lines: Sequence[tuple[float, float]]) -> list[Markup]:
    """Return the beginning of a chart: its size, and lines across with the numbers they mean."""
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            WIDTH, HEIGHT, _("The numbers are in the table below.")
        )
    ]
    for y, number in lines:
        parts.append(
            Markup(
                '<line x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                '<text x="{}" y="{:.1f}" text-anchor="end">{:,.0f}</text>'
            ).format(LEFT, WIDTH, y, y, LEFT - 6, y + 4, number)
        )
    return parts
