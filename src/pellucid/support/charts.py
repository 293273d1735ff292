"""Curves as a picture, drawn here without a plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

Lines = Mapping[str, Sequence[tuple[int, float]]]
"""Points (x, y) by the line's name."""

# Colours that people with any colour vision can tell apart (Okabe and Ito, 2008).
_COLOURS = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7")


def draw(charts: Mapping[str, Lines]) -> Image.Image:
    """Draws charts side by side, 600 x 480 pixels each.

    Args:
        charts: lines by the chart's title; points of a line are in order, x counts from 0 or more.
    """
    page = Image.new("RGB", (600 * max(len(charts), 1), 480), "white")
    pen = ImageDraw.Draw(page)
    for index, (title, lines) in enumerate(charts.items()):
        _chart(pen, (600 * index, 0), title, lines)
    return page


def _chart(draw: ImageDraw.ImageDraw, corner: tuple[int, int], title: str, lines: Lines) -> None:
    """One chart: axes, five labels on each, lines, legend."""
    left, top, width, height = corner[0] + 60, corner[1] + 40, 400, 380
    draw.text((left, top - 24), title, fill="black")
    draw.rectangle((left, top, left + width, top + height), outline="#888888")
    points = [point for line in lines.values() for point in line]
    if not points:
        return
    last = max(max(x for x, _ in points), 1)
    low, high = min(y for _, y in points), max(y for _, y in points)
    span = max(high - low, 1e-6)
    for i in range(5):
        x, y = left + width * i / 4, top + height * (1 - i / 4)
        draw.line((left, y, left + width, y), fill="#dddddd")
        draw.text((left - 50, y - 6), f"{low + span * i / 4:.3g}", fill="black")
        draw.text((x - 12, top + height + 6), f"{last * i // 4}", fill="black")
    for index, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        path = [(left + width * x / last, top + height * (1 - (y - low) / span)) for x, y in line]
        if len(path) > 1:
            draw.line(path, fill=colour, width=2)
        draw.text((left + width + 12, top + 16 * index), name, fill=colour)
