"""Charts as SVG without a style or a script: the looks are the style sheet's, by class."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..core.languages import gettext as _

WIDTH, HEIGHT, TOP, BOTTOM = 720, 198, 8, 8


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
    step = WIDTH / max(len(sums), 1)
    # What is counted is whole: there is no half of one.
    marks = sorted({0, most // 2, most})
    parts = _frame([(TOP + room * (1 - mark / most), mark) for mark in marks])
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
                ).format(one.name, place * step + step * 0.1, base, step * 0.8, height)
            )
        parts.append(Markup("</g>"))
    return Markup("").join([*parts, Markup("</svg></svg>")])


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

    step = WIDTH / max(len(days), 1)
    parts = _frame([(y_of(each), each) for each in [*powers, top]])
    for place, (day, limit, sent) in enumerate(days):
        x, y = place * step, y_of(sent or 0)
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
    return Markup("").join([*parts, Markup("</svg></svg>")])


def _frame(lines: Sequence[tuple[float, int]]) -> list[Markup]:
    """Return the beginning of a chart: lines across with the numbers they mean, and its plot.

    Only the plot is stretched to the room there is; numbers keep their size on any screen.
    """
    parts = [
        Markup('<svg class="chart" role="img" aria-label="{}">').format(
            _("The numbers are in the table below.")
        )
    ]
    for y, number in lines:
        parts.append(
            Markup(
                '<line x1="0" x2="100%" y1="{:.1f}" y2="{:.1f}"/>'
                '<text x="-6" y="{:.1f}" text-anchor="end">{:,}</text>'
            ).format(y, y, y + 4, number)
        )
    parts.append(
        Markup(
            '<svg class="plot" height="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">'
        ).format(HEIGHT, WIDTH, HEIGHT)
    )
    return parts
