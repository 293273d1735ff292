from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.bench.svg import Plot, draw

NUMBER = st.floats(-1e4, 1e4).map(lambda value: round(value, 3))


def numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[0-9.]+", path)]


@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=5))
def test_every_point_is_on_the_page(points: list[tuple[float, float]]) -> None:
    drawn = ElementTree.fromstring(draw(Plot("t", "x", "y", {"a": points}, ["a"])))
    (line,) = (path for path in drawn.iter("path") if "line" in path.attrib["class"])
    placed = numbers(line.attrib["d"])
    assert len(placed) == 2 * len(points)
    assert all(0 <= x <= 560 for x in placed[::2])
    assert all(0 <= y <= 320 for y in placed[1::2])


def test_a_logarithmic_axis_has_equal_steps_for_equal_ratios() -> None:
    plot = Plot("t", "x", "y", {"a": [(1, 0), (10, 0), (100, 1)]}, logarithmic=True)
    (line,) = (path for path in ElementTree.fromstring(draw(plot)).iter("path") if "line" in path.attrib["class"])
    first, _, second, _, third, _ = numbers(line.attrib["d"])
    assert math.isclose(third - second, second - first, abs_tol=0.2)


def test_names_are_escaped_and_the_chart_is_told() -> None:
    drawn = draw(Plot("<i>", "x", "y", {"a<b": [(0, 0), (1, 1)]}, level=("l<m", 0.5)))
    svg = ElementTree.fromstring(drawn)
    assert svg.attrib["aria-label"] == "<i>: y against x"
    assert [title.text for title in svg.iter("title")] == ["a<b"]
    assert "l<m" in [text.text for text in svg.iter("text")]


@pytest.mark.parametrize("high", [1e-6, 0.3, 1.0, 7.0, 12345.0])
def test_ticks_are_few_and_round(high: float) -> None:
    drawn = ElementTree.fromstring(draw(Plot("t", "x", "y", {"a": [(0, 0), (1, high)]})))
    ticks = [text for text in drawn.iter("text") if text.attrib.get("text-anchor") == "end"]
    assert 3 <= len(ticks) <= 7
    assert all(len((text.text or "").lstrip("-")) <= 6 for text in ticks)


def test_a_band_is_an_area_within_the_page() -> None:
    plot = Plot("t", "x", "y", {"a": [(0, 0), (1, 1)]}, bands={"a": [(0, -5, 5), (1, 0, 9)]})
    (area,) = (path for path in ElementTree.fromstring(draw(plot)).iter("path") if "band" in path.attrib["class"])
    placed = numbers(area.attrib["d"])
    assert len(placed) == 2 * 4
    assert all(0 <= y <= 320 for y in placed[1::2])
    assert area.attrib["d"].endswith("Z")
    # From the left to the right along the lower end, and back along the upper one.
    assert placed[0] < placed[2]
    assert placed[1] > placed[7]
