"""Metrics of a table: those that can be measured here, and the reasons for the others' absence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import images, metrics
from ..errors import PellucidError
from ..maths.problem import to_model, to_zero_one
from ..metrics import Metric, SetMetric
from ..operators import Operator
from .cases import Case
from .rows import Row
from .spec import Table

_AGAIN = "consistency"
"""The metric that repeats the task's damage on the result."""


class Measures:
    """Metrics of a table's images.

    Args:
        table: names the metrics.
        weights: files of metrics' networks, by metric.

    Attributes:
        missing: reasons for unmeasured metrics by name.

    Raises:
        PellucidError: a file cannot be read.
    """

    def __init__(self, table: Table, weights: Mapping[str, Path]) -> None:
        self.missing: dict[str, str] = {}
        self._single: dict[str, Metric] = {}
        self._sets: dict[str, SetMetric] = {}
        self._again: dict[str, Any] | None = None
        for name in table.metrics:
            options = dict(table.options.get(name, {}))
            if name in weights:
                options["weights"] = weights[name]
            if name == _AGAIN:
                self._again = options
                continue
            why = metrics.missing(name, **options)
            if why is not None:
                self.missing[name] = why.replace("give weights", f"say --weights {name}=FILE")
            elif metrics.is_set(name):
                self._sets[name] = metrics.get_set(name, **options)
            else:
                self._single[name] = metrics.get(name, **options)

    def __call__(self, image: Tensor, given: Case) -> dict[str, float]:
        """Measures one restored image, (1, C, H, W) in [0, 1]; empty without a truth or enough pixels."""
        found = {}
        for name, metric in self._single.items():
            other = {"truth": given.truth, "input": given.damaged, "nothing": image}[metric.against]
            if other is None or other.shape != image.shape:
                continue
            try:
                found[name] = metric(image, other).item()
            except PellucidError:
                continue  # smaller than the metric's window
        if self._again is not None and given.known is not None and given.known.operator is not None:
            metric, measured = self._consistency(given.known.operator), to_zero_one(given.known.y)
            found[_AGAIN] = metric(image, measured).item()
        return found

    def _consistency(self, operator: Operator) -> Metric:
        assert self._again is not None
        return metrics.get(_AGAIN, damage=lambda image: to_zero_one(operator.A(to_model(image))), **self._again)

    def of_sets(self, rows: Sequence[Row], folder: Path) -> dict[str, float]:
        """Measures all images of one task and method together, from their files.

        Args:
            rows: rows of these images.
            folder: folder of the run.
        """
        found = {}
        for name, metric in self._sets.items():
            pairs = [(folder / row.picture, (folder / row.picture).with_name("truth.png")) for row in rows]
            sides = zip(*((one, truth) for one, truth in pairs if one.is_file() and truth.is_file()), strict=True)
            try:
                own, truth = (torch.cat(list(features(metric, side))) for side in sides)
                found[name] = metric.distance(own, truth)
            except (PellucidError, ValueError):
                continue  # too few images
        return found


def features(metric: SetMetric, paths: Iterable[Path]) -> Iterator[Tensor]:
    """Computes features of images for a metric of sets, reading each in its turn.

    Raises:
        PellucidError: a file cannot be read.
    """
    return (metric.features(images.read(path).tensor(3)) for path in paths)
