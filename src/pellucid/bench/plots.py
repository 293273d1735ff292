"""Curves of a run's report: PSNR against evaluations, and the figures of the papers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev

from .rows import Row
from .svg import Band, Plot, Points

_OF_DIIP = ("loss", "slope", "laplacian")


def of_task(task: str, rows: Sequence[Row], colours: Mapping[str, int]) -> Iterator[Plot]:
    """Draws the curves of one task: means over the images if all took the same steps, else the first image's.

    Args:
        task: name of the task.
        rows: rows of the task, with those of the damaged images.
        colours: number of each method's colour.
    """
    methods = {row.method: [one for one in rows if one.method == row.method] for row in rows if row.nfe}
    damaged = [row.figures["psnr"] for row in rows if row.method == "damaged" and "psnr" in row.figures]
    damaged = [value for value in damaged if math.isfinite(value)]  # an image may have come through whole
    level = ("damaged", fmean(damaged)) if damaged else None
    ways = {name: _line(own, "nfe", "psnr") for name, own in methods.items()}
    fits = {name: own for name, own in methods.items() if set(_OF_DIIP) <= set(own[0].trace)}
    stopping = {name: _line(own, "step", "psnr") for name, own in fits.items()}
    # Where one stops and another does not, their iterations tell more.
    apart = set(stopping) if len(stopping) > 1 else set()
    ways = {name: line for name, line in ways.items() if line and name not in apart}
    if ways:
        numbers = [x for line in ways.values() for x, _ in line]
        wide = max(numbers) > 30 * max(min(line[-1][0] for line in ways.values()), 1)
        yield Plot(
            f"{task}: on the way", "evaluations of the prior", "PSNR of the estimate, dB",
            ways, list(ways), level, wide,
            "Where each method's estimate of the clean image stood after so many evaluations; the dot is its "
            "end.", colours,
        )  # fmt: skip
    gains = {name: _gains(own) for name, own in methods.items() if "log_probability" in own[0].trace}
    if gains:
        yield Plot(
            f"{task}: log-probability of the latents", "correction, from the top of the ladder down",
            "gain of the correction, nats a value", gains, (), ("before", 0.0), False,
            "Gain in the latent's log-probability by each of DreamClean's corrections, from the prior's score along "
            "the way from before to after (trapezoid; exact for a Gaussian prior). The paper's Figure 5 asks the same.",
            colours,
        )  # fmt: skip
    for name, own in methods.items():
        lines, bands = _densities(own)
        if lines:
            yield Plot(
                f"{task}: {name}, latents beside the clean image", "t", "log q(x_t | x_0) / N, nats a value",
                lines, (), None, False,
                "Probability of each latent given the clean image (the paper's Figure 5): means of the images, in "
                "bands of one deviation to both sides. Clean: what draws from q have, whose deviation of 1 / sqrt(2 N) "
                "is narrower than the line. Damaged: on the way up. After: the same level after Variance Preservation "
                "Sampling on the way down; before: before it.",
                {name: _KINDS.index(name) for name in lines}, bands,
            )  # fmt: skip
    if len(stopping) > 1:
        yield Plot(
            f"{task}: two regimes", "iteration", "PSNR, dB", stopping, list(stopping), level, False,
            "One optimisation that stops and one that does not: the clean image comes first, the damage later. The "
            "dots are where they ended.", colours,
        )  # fmt: skip
        for curve in ("loss", "laplacian"):
            lines = {name: _line(methods[name], "step", curve) for name in stopping}
            yield Plot(f"{task}: {curve}", "iteration", _NAMES[curve], lines, list(lines), None, False, "", colours)
    for found, what in (("gain", "f, the factor of the light"), ("map", "M, its mean")):
        lines = {name: _line(own, "step", found) for name, own in methods.items() if found in own[0].trace}
        if lines and any(y for line in lines.values() for _, y in line):
            note = "GDP's estimate of the degradation y = f x + M during sampling."
            yield Plot(f"{task}: {what}", "step", what, lines, (), None, False, note, colours)


_NAMES = {"loss": "mean squared error to the damaged image", "laplacian": "variance of the Laplacian"}


def _line(rows: Sequence[Row], x: str, y: str) -> Points:
    traces = [row.trace for row in rows if y in row.trace and x in row.trace]
    if not traces:
        return []
    alike = [trace for trace in traces if trace[x] == traces[0][x]]
    if len(alike) < len(traces):
        alike = traces[:1]
    columns = zip(traces[0][x], *(trace[y] for trace in alike), strict=True)
    return [(at, fmean(values)) for at, *values in columns if None not in values]


_KINDS = ("clean", "damaged", "before", "after")


def _densities(rows: Sequence[Row]) -> tuple[dict[str, Points], dict[str, Band]]:
    """Averages each kind of latent over the images at every common t; bands are one deviation of the images wide.

    An image's seeds count as their mean. Images without a common t, by strengths of their own, are the first alone.
    """
    found: dict[str, dict[float, dict[str, list[float]]]] = {}
    counted = [row for row in rows if "likelihood_down" in row.trace]
    common = [{one["t"] for one in row.trace["likelihood_down"]} for row in counted]
    if counted and not set.intersection(*common):
        counted = [row for row in counted if (row.image, row.seed) == (counted[0].image, counted[0].seed)]
    for row in counted:
        for way, kinds in (("up", ("damaged",)), ("down", ("clean", "before", "after"))):
            for one in row.trace.get(f"likelihood_{way}", []):
                for kind in kinds:
                    found.setdefault(kind, {}).setdefault(one["t"], {}).setdefault(row.image, []).append(one[kind])
    lines: dict[str, Points] = {}
    bands: dict[str, Band] = {}
    for kind, at in found.items():
        each = {t: own for t, own in sorted(at.items()) if sum(map(len, own.values())) == len(counted)}
        images = {t: [fmean(seeds) for seeds in own.values()] for t, own in each.items()}
        if not images:
            continue
        lines[kind] = [(t, fmean(values)) for t, values in images.items()]
        if kind != "clean" and all(len(values) > 1 for values in images.values()):
            bands[kind] = [
                (t, fmean(values) - stdev(values), fmean(values) + stdev(values)) for t, values in images.items()
            ]
    return lines, bands


def _gains(rows: Sequence[Row]) -> Points:
    each = [row.trace["log_probability"] for row in rows if "log_probability" in row.trace]
    return [(index + 1.0, fmean(values)) for index, values in enumerate(zip(*each, strict=False))]
