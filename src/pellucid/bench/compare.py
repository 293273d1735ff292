"""Figures of restored images beside clean ones, from any program: the work of `pellucid compare`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from .. import images, metrics
from ..errors import PellucidError, UsageError
from ..images import Picture
from ..jobs import caught
from ..metrics import Metric, SetMetric
from ..support.plural import number_of
from .measure import features
from .pairs import Pair
from .summary import Cell, cell

USUAL = ("psnr", "ssim")
"""Metrics by default."""

_NO_DAMAGE = "pellucid bench knows it, compare does not"


@dataclass(frozen=True)
class MeasuredPair:
    """Measured values of an image, a page of its file.

    Attributes:
        pair: its files.
        page: number of the page, from 1 up; None for a single page.
        size: height and width; None if it could not be read.
        figures: by metric.
        before: figures of the damaged image, where they exist.
        errors: reasons for missing figures, a line each.
    """

    pair: Pair
    page: int | None
    size: tuple[int, int] | None
    figures: Mapping[str, float]
    before: Mapping[str, float]
    errors: tuple[str, ...] = ()

    @property
    def gain(self) -> dict[str, float]:
        """Changes of the figures, for metrics that have both, neither of them infinite."""
        both = {name: (self.figures[name], before) for name, before in self.before.items()}
        return {name: after - before for name, (after, before) in both.items() if not math.isinf(after + before)}


def chosen(
    names: Sequence[str], weights: Mapping[str, Path], protocol: Mapping[str, str], given: Sequence[str]
) -> dict[str, Metric | SetMetric]:
    """Resolves the requested metrics by name.

    Args:
        names: names of metrics; empty for the default ones and those with weights.
        weights: files of networks, by metric.
        protocol: typed options by METRIC.OPTION.
        given: kinds of images beside the restored ones: "truth", "input".

    Raises:
        UsageError: an unknown name or option, or a metric without its inputs.
        PellucidError: a file of weights cannot be read.
    """
    names = names or list(dict.fromkeys([*USUAL, *weights]))
    texts: dict[str, dict[str, str]] = {}
    for key, text in protocol.items():
        name, _, option = key.rpartition(".") if "." in key else (key, "", "")
        texts.setdefault(name, {})[option] = text
    for name in (*weights, *texts):
        if name not in names:
            raise UsageError(f"{name} is not among the metrics that are measured: say --metric {name}, too")
    return {name: _metric(name, weights.get(name), texts.get(name, {}), given) for name in dict.fromkeys(names)}


def _metric(name: str, weights: Path | None, texts: Mapping[str, str], given: Sequence[str]) -> Metric | SetMetric:
    needed: dict[str, Any] = {} if weights is None else {"weights": weights}
    why = metrics.missing(name, **needed)
    if why is not None:
        raise UsageError(why.replace("give weights", f"say --weights {name}=FILE").replace("give damage", _NO_DAMAGE))
    options = metrics.options(name, texts) | needed
    if metrics.is_set(name):
        return metrics.get_set(name, **options)
    metric = metrics.get(name, **options)
    if metric.against == "truth" and "truth" not in given:
        raise UsageError(f"{name} compares with the clean images: name them, too")
    if metric.against == "input" and "input" not in given:
        raise UsageError(f"{name} compares with the damaged images: say --damaged")
    return metric


def measured(pair: Pair, chosen: Mapping[str, Metric]) -> Iterator[MeasuredPair]:
    """Measures the images of a pair, page by page.

    Colours are compared, transparency is not. Grey beside colour counts as three equal channels.

    Args:
        pair: of files.
        chosen: the metrics, by name.

    Yields:
        A result for each page; one without figures if a file cannot be read or the page counts differ.
    """
    with caught(str(pair.restored)) as errors:
        restored, *others = (
            None if path is None else images.read(path).pages for path in (pair.restored, pair.truth, pair.damaged)
        )
        assert restored is not None
        for path, pages in zip((pair.truth, pair.damaged), others, strict=True):
            if pages is not None and len(pages) != len(restored):
                raise PellucidError(f"{pair.restored}: has {number_of(len(restored), 'page')}, {path} has {len(pages)}")
        truths, inputs = (pages or [None] * len(restored) for pages in others)
        for number, page in enumerate(zip(restored, truths, inputs, strict=True), 1):
            yield _page(pair, number if len(restored) > 1 else None, page, chosen)
    if errors:
        yield MeasuredPair(pair, None, None, {}, {}, tuple(errors))


def _page(
    pair: Pair, number: int | None, page: tuple[Picture, Picture | None, Picture | None], chosen: Mapping[str, Metric]
) -> MeasuredPair:
    channels = max(one.colour.shape[2] for one in page if one is not None)
    image, truth, damaged = (None if one is None else one.tensor(channels) for one in page)
    assert image is not None
    name = f"{pair.restored}" if number is None else f"{pair.restored}, page {number}"
    height, width = size = (image.shape[-2], image.shape[-1])
    if truth is not None and truth.shape != image.shape:
        error = f"{name}: has {width}x{height} pixels, {pair.truth} has {truth.shape[-1]}x{truth.shape[-2]}"
        return MeasuredPair(pair, number, size, {}, {}, (error,))
    figures, before, errors = {}, {}, []
    for metric in chosen.values():
        other = {"truth": truth, "input": damaged, "nothing": image}[metric.against]
        if other is None:
            continue  # what it was made of is lacking, which was said
        try:
            figures[metric.name] = metric(image, other).item()
            if metric.against != "input" and damaged is not None and damaged.shape == image.shape:
                before[metric.name] = metric(damaged, other if metric.against == "truth" else damaged).item()
        except PellucidError as error:
            errors.append(f"{name}: {error}")
    return MeasuredPair(pair, number, size, figures, before, tuple(errors))


def means(rows: Sequence[MeasuredPair], of: Callable[[MeasuredPair], Mapping[str, float]]) -> dict[str, Cell]:
    """The mean of each metric over the images, of each the mean of its samples.

    Infinite figures, as the PSNR of identical images, are left out unless all are infinite; `infinite` counts them.

    Args:
        rows: results of all images.
        of: which figures of a row.
    """
    each = {name: list(values.values()) for name, values in _by_image(rows, of).items()}
    return {name: cell([value for value in values if not math.isinf(value)] or values) for name, values in each.items()}


def infinite(rows: Sequence[MeasuredPair]) -> dict[str, int]:
    """Numbers of images with an infinite figure, by metric; metrics without one are left out."""
    each = _by_image(rows, lambda row: row.figures)
    found = {name: sum(map(math.isinf, values.values())) for name, values in each.items()}
    return {name: number for name, number in found.items() if number}


def _by_image(
    rows: Sequence[MeasuredPair], of: Callable[[MeasuredPair], Mapping[str, float]]
) -> dict[str, dict[object, float]]:
    """Figures of each image, the means of its samples, by metric."""
    found: dict[str, dict[object, list[float]]] = {}
    for row in rows:
        image = (row.pair.truth or row.pair.damaged or row.pair.restored, row.page)
        for name, value in of(row).items():
            found.setdefault(name, {}).setdefault(image, []).append(value)
    return {name: {image: fmean(values) for image, values in each.items()} for name, each in found.items()}


def of_sets(metric: SetMetric, restored: Sequence[Path], truth: Sequence[Path]) -> float:
    """Measures the distance between two sets of images; their order does not matter.

    Raises:
        PellucidError: a file cannot be read, or a set is too small.
    """
    own, other = (torch.cat(list(features(metric, side))) for side in (restored, truth))
    return metric.distance(own, other)
