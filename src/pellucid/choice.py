"""From what a person says to a method, its hyper-parameters and the degradation: one answer at every door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import methods, tasks
from .errors import UsageError
from .operators import Operator
from .settings import parse


@dataclass(frozen=True)
class Choice:
    """What is going to be done, nothing left open.

    Attributes:
        method: its name.
        hyper_parameters: those that differ from the method's own defaults, or were given.
        operator: the degradation, or what makes it of each picture; None is blind.
        noise: its noise level in [0, 1] units; None to estimate it.
        several: whether all inputs are exposures of one image.
    """

    method: str
    hyper_parameters: Mapping[str, Any]
    operator: Operator | tasks.Maker | None = None
    noise: float | None = None
    several: bool = False


def choose(
    method: str | None = None,
    task: str | None = None,
    settings: Mapping[str, str] | None = None,
    *,
    given: Mapping[str, Any] | None = None,
    noise: float | None = None,
    mask: Path | None = None,
    kernel: Path | None = None,
    preset: str | None = None,
) -> Choice:
    """Fills in what a person leaves open: a task's method and its settings, or the usual ones.

    Args:
        method: a name from `methods.names()`; None for the task's, or the usual one.
        task: a name from `tasks.names()`; None for methods that find out by themselves.
        settings: hyper-parameters as they are typed.
        given: others, as values.
        noise: the noise level in [0, 1] units; None to estimate it, unless the task says.
        mask: image file for the task that needs one.
        kernel: likewise.
        preset: one of the method's, for what is neither in `settings` nor given.

    Raises:
        UsageError: an unknown name, a value out of its range, or a file that is missing or not wanted.
        PellucidError: a file cannot be read.
    """
    typed, given = settings or {}, given or {}
    operator, several = None, False
    ours: Mapping[str, Any] = {}
    if task is not None:
        usual = tasks.find(task)
        operator, several = tasks.operator(task, mask, kernel), usual.several
        if method in (None, usual.method):
            method, ours = usual.method, usual.settings
        noise = usual.noise if noise is None else noise
    elif mask is not None or kernel is not None:
        raise UsageError("a mask goes with the task inpaint, a kernel with the task deblur")
    if method is None:
        method, ours = methods.usual({**typed, **given})
    elif method == "dreamclean":
        ours = {"strength": "auto"}
    kind = methods.find(method)
    hyper_parameters = {**ours, **methods.of_preset(kind, method, preset), **parse(kind, method, typed), **given}
    methods.get(method, **hyper_parameters)  # wrong values are found before files and priors are read
    return Choice(method, hyper_parameters, operator, noise, several)
