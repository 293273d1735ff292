"""Curves as SVG for self-contained pages, in the page's colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

Points = Sequence[tuple[float, float]]

Band = Sequence[tuple[float, float, float]]
"""An area around a line: x, its lower end and its upper end."""

COLOURS = 8
"""Number of the page's colours, classes c0, c1 ..."""

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 560, 320, 68, 44, 14, 14


@dataclass(frozen=True)
class Plot:
    """A chart.

    Attributes:
        title: title, and description for screen readers.
        x: label of the axis.
        y: the same.
        lines: points by the line's name, in order of x.
        ends: lines with a marked last point.
        level: height of a dashed line, and its name.
        logarithmic: whether x is logarithmic.
        note: text below the chart.
        colours: number of a line's colour; by its place if it has none.
        bands: an area around some of the lines, by the line's name.
    """

    title: str
    x: str
    y: str
    lines: Mapping[str, Points]
    ends: Sequence[str] = ()
    level: tuple[str, float] | None = None
    logarithmic: bool = False
    note: str = ""
    colours: Mapping[str, int] = field(default_factory=dict)
    bands: Mapping[str, Band] = field(default_factory=dict)

    def colour(self, name: str) -> int:
        """Number of a line's colour, which is that of its method throughout the page."""
        return self.colours.get(name, list(self.lines).index(name)) % COLOURS


def draw(plot: Plot) -> str:
    """Draws the chart as an SVG element."""
    points = [point for line in plot.lines.values() for point in line]
    heights = [y for _, y in points] + ([plot.level[1]] if plot.level else [])
    heights += [end for band in plot.bands.values() for _, *ends in band for end in ends]
    x_low, x_high = _range([x for x, _ in points], plot.logarithmic)
    y_low, y_high = _range(heights)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (_scaled(x, plot.logarithmic) - x_low) / (x_high - x_low)
        up = (y - y_low) / (y_high - y_low)
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _BOTTOM - _TOP),
        )

    parts = [_axes(plot, (x_low, x_high), (y_low, y_high))]
    if plot.level:
        _, height = place(points[0][0], plot.level[1])
        parts.append(f'<path class="level" d="M{_LEFT} {height:.1f}H{_WIDTH - _RIGHT}"/>')
        name = escape(plot.level[0])
        parts.append(f'<text text-anchor="end" x="{_WIDTH - _RIGHT}" y="{height - 5:.1f}">{name}</text>')
    for name, band in plot.bands.items():
        around = [(x, low) for x, low, _ in band] + [(x, high) for x, _, high in reversed(band)]
        path = "M" + "L".join("{:.1f} {:.1f}".format(*place(*point)) for point in around)
        parts.append(f'<path class="band c{plot.colour(name)}" d="{path}Z"/>')
    for name, line in plot.lines.items():
        placed = [place(*point) for point in line]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
        parts.append(f'<path class="line c{plot.colour(name)}" d="{path}"><title>{escape(name)}</title></path>')
        if name in plot.ends or len(line) == 1:
            x, y = placed[-1]
            parts.append(f'<circle class="c{plot.colour(name)}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    title = escape(f"{plot.title}: {plot.y} against {plot.x}")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}" '
        f'preserveAspectRatio="xMidYMid meet">{"".join(parts)}</svg>'
    )


def _axes(plot: Plot, across: tuple[float, float], up: tuple[float, float]) -> str:
    parts = []
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for value in _ticks(*up):
        y = bottom - (value - up[0]) / (up[1] - up[0]) * (bottom - _TOP)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text class="tick" text-anchor="end" x="{_LEFT - 8}" y="{y + 4:.1f}">{value:g}</text>')
    values = _decades(*across) if plot.logarithmic else _ticks(*across)
    for value in values:
        x = _LEFT + (_scaled(value, plot.logarithmic) - across[0]) / (across[1] - across[0]) * (right - _LEFT)
        parts.append(f'<path class="grid" d="M{x:.1f} {bottom}v5"/>')
        parts.append(f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{bottom + 19}">{value:g}</text>')
    parts.append(
        f'<text class="axis" text-anchor="middle" x="{(_LEFT + right) / 2}" y="{_HEIGHT - 6}">{escape(plot.x)}</text>'
    )
    middle = (_TOP + bottom) / 2
    turned = f'transform="translate(13 {middle}) rotate(-90)"'
    parts.append(f'<text class="axis" text-anchor="middle" {turned}>{escape(plot.y)}</text>')
    return "".join(parts)


def _scaled(value: float, logarithmic: bool) -> float:
    return math.log10(max(value, 1e-9)) if logarithmic else value


def _range(values: Sequence[float], logarithmic: bool = False) -> tuple[float, float]:
    """Ends of an axis: a little beyond the values, never equal."""
    low, high = (_scaled(end(values), logarithmic) for end in (min, max))
    margin = (high - low) * 0.04 or max(abs(high), 1e-3) * 0.1
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Returns about five round numbers between the ends."""
    rough = (high - low) / 5
    size = 10 ** math.floor(math.log10(rough))
    step = next(m * size for m in (1, 2, 5, 10) if m * size >= rough)
    first = math.ceil(low / step)
    # Rounded, as 3 * 0.1 is not 0.3.
    return [round(index * step, 12) for index in range(first, math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Round numbers between the ends of a logarithmic axis, given as logarithms."""
    numbers = [m * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)]
    return [number for number in numbers if low <= math.log10(number) <= high]
