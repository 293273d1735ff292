"""The keywords of a restoration with their types, for type checkers and editors.

`python -m tests.test_keywords` writes this file from the fields of `Recipe` and of the methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from torch import Tensor


class Keywords(TypedDict, total=False):
    """Fields of a `Recipe` beside those that signatures name, and hyper-parameters of the package's methods."""

    settings: Mapping[str, Any]
    preset: str | None
    task: str | None
    mask: str | Path | None
    yes: bool
    kernel: str | Path | int | None
    by: int | None
    exact: bool
    label: int | None
    prompt: str | None
    offline: bool
    tile: int | None
    device: str | None
    backend: str
    precision: str

    average: float
    balance: float
    begin: float
    beta: float | None
    black: float
    boost: float
    bottom: float
    bright: float
    calibrate: bool
    candidates: int
    cell: int
    channels: int | None
    climb: int
    clip: bool
    colour: float
    corrections: int
    degradation: Literal["kernel", "light", "none"]
    doubt: float
    draw: Literal["langevin", "exact"]
    draws: int
    ends: Literal["prior", "data"]
    ensemble: bool
    error_weight: float
    eta: float
    eta_b: float
    eta_y: float
    every: int
    feature_weight: float
    features: Callable[[Tensor], Sequence[Tensor]] | None
    fidelity: float
    final: float
    finish: Literal["faithful", "crisp"]
    first: int
    fit: Literal["patches", "resize"]
    floor: float
    flow: int
    gain: float
    gamma: float
    generator: str | Path | Callable[[Tensor], Tensor]
    glue: float
    gradient: Literal["exact", "straight-through"]
    guidance: Literal["step", "score"]
    guide: Literal["x0", "xt"]
    hold: float
    inner: int
    inputs: int
    iterations: int
    jitter: float
    kernel_prior: Path | None
    kernel_rate: float
    kernel_scale: float
    langevin: int
    latent_rates: tuple[float, ...]
    latent_weight: float
    layers: int
    least: float
    level: float
    levels: int
    loss: Literal["mse", "l1", "ssim"]
    map_rate: float | None
    minimum: int
    model: str | Path | Callable[[Tensor], Tensor] | None
    multiple: int
    norm: Literal["sum", "mean"]
    null_space: Literal["estimate", "increment"]
    overlap: int
    patience: int
    per_channel: bool
    polish: bool
    preconditioned: bool
    range: Literal["unit", "symmetric"]
    rate: float
    rates: tuple[float, ...]
    relaxation: float
    repeats: int
    restarts: int
    ridge: float
    scale: float | None
    schedule: Literal["preserving", "langevin", "none"]
    shared: bool
    size: float
    skip: int
    slope: float
    smooth: float
    solver: Literal["fixed-point", "gradient"]
    spacing: Literal["uniform", "quad"]
    sparsity: float
    sphere: bool
    spread: float
    squared: bool
    start: Literal["invert", "noise", "forward"]
    steps: int
    stop: Literal["auto", "slope", "laplacian", "never", "variance"]
    strength: float | Literal["auto"]
    tolerance: float
    top: float
    travel_length: int
    travel_repeat: int
    variance: Literal["posterior", "learned", "beta"]
    weight: float
    white: float
    width: float
    window: int
    zeta: float
