"""Curves of a report from rows of a run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pellucid.bench import plots, svg
from pellucid.bench.rows import Row


def row(image: str, seed: int, levels: Sequence[int], density: float) -> Row:
    """A row of DreamClean's whose damaged latents have a density, those before a correction 1 more, after it 2 more."""
    trace = {
        "likelihood_up": [{"t": t, "clean": 9.0, "damaged": density} for t in levels],
        "likelihood_down": [{"t": t, "clean": 9.0, "before": density + 1, "after": density + 2} for t in levels[::-1]],
    }
    return Row(
        "t", "d", "noise", "Ours", image, seed, {"psnr": 20.0}, 6, 1.0, 0.0, "", {}, "c", "p", "cpu", {}, trace
    )  # fmt: skip


def densities(*rows: Row) -> svg.Plot:
    (plot,) = (plot for plot in plots.of_task("noise", rows, {}) if plot.x == "t")
    svg.draw(plot)  # which every plot of a report must survive
    return plot


def test_latents_are_means_of_images_in_bands_of_one_deviation() -> None:
    # The images' densities are 1 and 3: each the mean of its seeds, whose own spread belongs to no band.
    plot = densities(
        row("a", 0, [10, 20], 0.5), row("a", 1, [10, 20], 1.5), row("b", 0, [10, 20], 2.0), row("b", 1, [10, 20], 4.0)
    )
    assert plot.lines == {
        "damaged": [(10, 2.0), (20, 2.0)],
        "clean": [(10, 9.0), (20, 9.0)],
        "before": [(10, 3.0), (20, 3.0)],
        "after": [(10, 4.0), (20, 4.0)],
    }
    assert set(plot.bands) == {"damaged", "before", "after"}
    ends = [number for point in plot.bands["after"] for number in point]
    assert ends == pytest.approx([10, 4 - 2**0.5, 4 + 2**0.5, 20, 4 - 2**0.5, 4 + 2**0.5])


def test_one_image_has_no_band() -> None:
    assert not densities(row("a", 0, [10, 20], 1.0), row("a", 1, [10, 20], 2.0)).bands


def test_images_with_strengths_of_their_own_are_drawn_where_they_meet() -> None:
    plot = densities(row("a", 0, [10, 20], 1.0), row("b", 0, [20, 40], 3.0))
    assert plot.lines["damaged"] == [(20, 2.0)]
    apart = densities(row("a", 0, [10, 20], 1.0), row("b", 0, [11, 23], 3.0))
    assert apart.lines["damaged"] == [(10, 1.0), (20, 1.0)], "without a common level it is the first image's"
    assert not apart.bands
