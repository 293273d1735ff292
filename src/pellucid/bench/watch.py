"""Numbers of each step for a run's report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..maths.problem import to_model, to_unit
from ..methods.likelihood import Beside
from ..methods.method import State
from ..metrics import psnr

_POINTS, _KERNELS, _SIDE = 200, 5, 41
"""The most steps and kernels to keep, and the largest side of a kernel in pixels."""


class Watch:
    """Records the states of one image's restoration.

    Args:
        truth: (1, C, H, W) in [0, 1], for the PSNR of each estimate; None if unknown.
        sigmas: the prior's training ladder, for the steps of latents; None to leave them out.

    Attributes:
        nfe: evaluations so far.
        note: note of the method on the image.
    """

    def __init__(self, truth: Tensor | None, sigmas: Tensor | None = None) -> None:
        self._truth = truth
        self._beside = None if truth is None or sigmas is None else Beside(to_model(truth), sigmas)
        self._steps: list[dict[str, float]] = []
        self._kernels: list[Tensor] = []
        self._gains: list[list[float]] = []
        self.nfe, self.note = 0, ""

    def see(self, state: State) -> None:
        """Takes in one state; keeps numbers and kernels."""
        self.nfe, self.note = state.nfe, (state.notes or ("",))[0]
        if self._beside is not None:
            self._beside.see(state)
        row = {"step": float(state.step), "nfe": float(state.nfe)}
        estimate = to_unit(state.x0).cpu()
        if self._truth is not None and estimate.shape == self._truth.shape:
            row["psnr"] = psnr(estimate, self._truth).item()
        row |= {name: values[0] for name, values in state.curves.items()}
        found = state.found
        if "gain" in found:
            row["gain"] = found["gain"].mean().item()
        if "map" in found:
            row["map"] = found["map"].mean().item()
        if "kernel" in found:
            self._kernels.append(found["kernel"][0, 0].cpu())
        self._steps.append(row)

    def sheet(self) -> Image.Image | None:
        """Latents before and after correction; see `Beside.sheet`."""
        return None if self._beside is None else self._beside.sheet()

    def keep_gains(self, levels: Sequence[float], gains: Sequence[float]) -> None:
        """Takes in the record of `Latents`."""
        self._gains = [list(levels), list(gains)]

    def trace(self) -> dict[str, list[Any]]:
        """Returns each number by name in the order of steps; long runs are thinned evenly and keep the last step.

        "levels" and "log_probability" are those of `Latents`, "likelihood_up" and "likelihood_down" of `Beside`.
        "kernels" are images as lists of rows, their brightest 1.
        """
        kept = [self._steps[i] for i in _spread(len(self._steps), _POINTS)]
        names = {name: None for row in kept for name in row}
        table: dict[str, list[Any]] = {name: [_number(row.get(name)) for row in kept] for name in names}
        if self._gains and self._gains[0]:
            table["levels"], table["log_probability"] = self._gains
        if self._beside is not None and self._beside.down:
            for name, levels in (("up", self._beside.up), ("down", self._beside.down)):
                table[f"likelihood_{name}"] = [
                    {"t": one.t, **{key: round(value, 4) for key, value in one.densities.items()}} for one in levels
                ]
        if self._kernels:
            table["kernels"] = [_rows(self._kernels[i]) for i in _spread(len(self._kernels), _KERNELS)]
        return table


def _spread(count: int, most: int) -> list[int]:
    """Selects at most so many of the first `count` whole numbers, with the last."""
    if count <= most:
        return list(range(count))
    return sorted({round((count - 1) * i / (most - 1)) for i in range(most)})


def _number(value: float | None) -> float | None:
    return round(value, 5) if value is not None and math.isfinite(value) else None


def _rows(kernel: Tensor) -> list[list[float]]:
    small = kernel[None, None] if max(kernel.shape) <= _SIDE else F.adaptive_avg_pool2d(kernel[None, None], _SIDE)
    brightest = small.max().item() or 1.0
    return [[round(value / brightest, 3) for value in row] for row in small[0, 0].tolist()]
