"""Inputs of a table's methods: measurements of clean images, or of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import catalogue, degradations
from ..catalogue import told
from ..errors import PellucidError
from ..maths.noise import Streams, derive_seed
from ..maths.problem import Problem, to_model, to_unit
from ..methods import Method
from ..operators import Denoise, Jpeg, Mask, Operator
from . import known, official
from .spec import TableTask

OPERATORS: dict[str, Callable[..., Operator]] = {
    **told.OPERATORS,
    "published-blur": lambda height, width, kind="uniform": official.blur(kind),
    "valid-blur": lambda height, width: official.valid_blur(),
    "jpeg": lambda height, width, quality=10: Jpeg(quality),
}
"""The catalogue's operators by the damage's name, and those of published code."""


class Case(NamedTuple):
    """One image of a task.

    Attributes:
        truth: (1, C, H, W) in [0, 1]; None if unknown.
        damaged: the measurement as an image, in [0, 1].
        blind: input of blind methods.
        known: input of methods for known degradations; None if the degradation is unknown.
    """

    truth: Tensor | None
    damaged: Tensor
    blind: Problem
    known: Problem | None

    def noisy(self, least: float) -> Case:
        """Copies the case with at least this noise level assumed for the measurement, in [0, 1] units."""
        if self.known is None or self.known.sigma_y is None or self.known.sigma_y >= 2 * least:
            return self
        return self._replace(known=replace(self.known, sigma_y=2 * least))

    def assuming(self, assumed: dict[str, Any]) -> Case:
        """Copies the case with another operator, without noise, for methods that know the operator."""
        if not assumed:
            return self
        y = self.blind.y
        return self._replace(known=Problem(y, operator(assumed, *y.shape[-2:]), 0.0))

    def problem(self, method: Method) -> Problem:
        """Makes the problem for a method: with the degradation if it is known and the method takes it.

        Denoisers (`Method.takes_noise`) undo only the operator `Denoise`; for other operators they see the damaged
        image alone.

        Raises:
            PellucidError: the method needs a degradation that is unknown.
        """
        taken = not method.blind or method.takes_operator
        if method.takes_noise:
            taken = self.known is not None and isinstance(self.known.operator, Denoise)
        if self.known is not None and taken:
            return self.known
        if not method.blind:
            raise PellucidError(f"{type(method).__name__} needs the degradation, which this task does not have")
        return self.blind


def given(task: TableTask, name: str, truth: Tensor | None, damaged: Tensor | None, seed: int, stand_in: bool) -> Case:
    """Makes what methods are given of one image.

    Args:
        task: the degradation.
        name: name of the image; the seed of its noise depends on it.
        truth: (1, C, H, W) in [0, 1].
        damaged: damaged image of the data set, if it has one.
        seed: of the damage.
        stand_in: whether the task's stand-in replaces the data set's damage.

    Raises:
        PellucidError: neither a clean nor a damaged image is given.
    """
    damage = task.damage or (task.stand_in if stand_in else {})
    own = derive_seed(seed, name, 1)
    if task.operator and truth is not None:
        return _measured(task, truth, own)
    if damage and truth is not None:
        y = _damage(damage)(truth, own).clamp(0, 1)
    elif damaged is not None and not task.operator:
        y = damaged
    else:
        raise PellucidError(f"{name}: the data set has no {'clean' if damaged is not None else 'damaged'} image of it")
    # Several exposures of one image lie along the channels; the middle one is shown.
    channels = y.shape[1] if truth is None else truth.shape[1]
    shown = y.split(channels, 1)[y.shape[1] // channels // 2]
    return Case(truth, shown, Problem.of(y), None)


def _damage(damage: dict[str, Any]) -> degradations.Damage:
    if damage["name"] == "exposures":
        return lambda image, seed: torch.cat([(image * gain).clamp(0, 1) for gain in damage["gains"]], 1)
    name = catalogue.damage(damage["name"])
    return degradations.get(name, **{key: value for key, value in damage.items() if key != "name"})


def operator(about: dict[str, Any], height: int, width: int) -> Operator:
    """An operator of a table.

    Raises:
        UsageError: unknown operator or parameter.
    """
    name, parameters = about["name"], {key: value for key, value in about.items() if key != "name"}
    if name not in OPERATORS and not parameters:
        return known.operator(name, height, width)
    return told.operator(name, height, width, OPERATORS, **parameters)


def _measured(task: TableTask, truth: Tensor, seed: int) -> Case:
    height, width = truth.shape[-2:]
    clean, done = to_model(truth), operator(task.operator, height, width)
    # An image without noise, whose measurement's scale is that of [-1, 1], too.
    y = done.A(clean)
    y = y + 2 * task.noise * Streams.of(seed, 1).like(y)
    problem = Problem(y, done, 2 * task.noise)
    if "blur" in task.operator["name"]:
        # What a blur leaves is an image, whose border may be missing.
        edges = [(side - has) // 2 for side, has in ((width, y.shape[-1]), (height, y.shape[-2])) for _ in range(2)]
        image = F.pad(y, edges, mode="replicate") if any(edges) else y
    elif task.missing == "black" and isinstance(done, Mask):
        image = y * done.known - (1 - done.known)
    else:
        image = known.simple(problem)
    shown = to_unit(image)
    return Case(truth, shown, Problem(image), problem)
