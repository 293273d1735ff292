"""Recipe of a training run: its numbers, its noise levels, its learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import PellucidError, UsageError, unknown_name
from ..priors.network import UNetConfig
from ..support.settings import changes, check_known, parse
from .data import Variety

# The ends of DDPM's linear ladder, which every prior of this package can be walked on.
SIGMA_MIN, SIGMA_MAX = 0.01, 157.0


@dataclass(frozen=True)
class TrainingRecipe:
    """The hyper-parameters of a run. The same recipe, images and seed give the same weights on the same machine.

    Attributes:
        network: the network's.
        steps: updates of the weights in all.
        batch: crops an update, of all processes together.
        size: side of a crop in pixels.
        lr: highest learning rate.
        film: share of it for gains and shifts. All inputs of their layers move them at once, so that a full step
            switches channels off for good.
        warmup: updates over which it rises to that.
        schedule: "trapezoid" stays there and falls to zero over the last `decay` updates, so that a run can become
            longer or shorter at any earlier time; "cosine" falls from the end of the warm-up on.
        decay: updates of the trapezoid's fall.
        optimiser: "muon" or "adamw".
        ema: largest decay factor of the weight average at each update.
        clip: largest norm of a gradient.
        seed: of weights, order, crops and noise.
        noise_mean: mean of ln sigma.
        noise_spread: standard deviation of ln sigma.
        noise_tail: share of crops whose ln sigma is uniform over the whole range instead.
        native: share of crops at the original scale; the others are reduced.
        least: smallest reduction of those. From 1.3 on, a JPEG's blocks do not teach wrong texture.
        grey: share of photographs that lose their colours, as grey scans have none.
        relit: share of photographs that are darkened, faded or tinted.
        drawn: share of crops that are text, line drawings and screens.
        teachers: priors, by name or folder, to learn from in place of the photographs. The target of a photograph is
            the estimate that is nearest to it. This lacks the chance that no network can predict, so gradients have
            far less noise. What is drawn holds little chance and stays its own target. An update takes longer by the
            teachers' calls.
        trust: share of that estimate in the target; the photograph is the rest. Below 1 more chance is left, and the
            network can become better than its teachers.

    Raises:
        UsageError: a number is out of range.
    """

    network: UNetConfig = field(default_factory=UNetConfig)
    steps: int = 10_000
    batch: int = 16
    size: int = 64
    lr: float = 1.5e-3
    film: float = 0.1
    warmup: int = 200
    schedule: Literal["trapezoid", "cosine"] = "trapezoid"
    decay: int = 3_000
    optimiser: Literal["muon", "adamw"] = "muon"
    ema: float = 0.999
    clip: float = 1.0
    seed: int = 0
    noise_mean: float = -1.2
    noise_spread: float = 1.0
    noise_tail: float = 0.2
    native: float = 0.3
    least: float = 1.3
    grey: float = 0.15
    relit: float = 0.2
    drawn: float = 0.06
    teachers: tuple[str, ...] = ()
    trust: float = 1.0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "size", "lr", "clip", "noise_spread", "least"):
            if not getattr(self, name) > 0:
                raise UsageError(f"a recipe's {name} must be above 0, not {getattr(self, name)}")
        for name in ("ema", "noise_tail", "native", "grey", "relit", "drawn", "trust", "film"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"a recipe's {name} must be from 0 to 1, not {getattr(self, name)}")
        for name in ("warmup", "decay", "seed"):
            if getattr(self, name) < 0:
                raise UsageError(f"a recipe's {name} must not be below 0")
        for name, known in (("schedule", ("trapezoid", "cosine")), ("optimiser", ("muon", "adamw"))):
            if getattr(self, name) not in known:
                raise unknown_name(name, str(getattr(self, name)), known)

    @property
    def variety(self) -> Variety:
        """Kinds of crops."""
        return Variety(self.native, self.least, self.grey, self.relit, self.drawn)

    def to_json(self) -> dict[str, Any]:
        """Converts it to JSON; `from_json` is the inverse."""
        return {**asdict(self), "network": self.network.to_json()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> TrainingRecipe:
        """Makes a recipe from `to_json`'s result; unknown fields, of a later version, are left out."""
        own = {f.name for f in fields(cls)}
        values = {name: value for name, value in content.items() if name in own}
        network = {name: value for name, value in values.pop("network").items() if name != "_class_name"}
        values["teachers"] = tuple(values.get("teachers", ()))
        return cls(network=UNetConfig(**network), **values)


PRESETS: dict[str, TrainingRecipe] = {
    # Two cores: the network of the embedded prior, 11.8 GFLOP a call at 256x256, 7 MB in half precision.
    "cpu": TrainingRecipe(),
    # One GPU with 16 GB or more: 42 GFLOP a call, 28 MB in half precision.
    "gpu": TrainingRecipe(
        network=UNetConfig(patch=2, widths=(64, 128, 256, 320), blocks=(2, 3, 3, 2)),
        steps=200_000,
        batch=128,
        size=128,
        lr=2e-3,
        warmup=1_000,
        decay=60_000,
        ema=0.9995,
    ),
    # Seconds, for tests and to see that everything works.
    "tiny": TrainingRecipe(
        network=UNetConfig(patch=2, widths=(8, 16), blocks=(1, 1), embedding=8),
        steps=20, batch=4, size=16, film=1.0, warmup=2, decay=8, ema=0.9,
    ),
}  # fmt: skip


_INNER = "network."


def preset(name: str, **changes: Any) -> TrainingRecipe:
    """The recipe of a name with some numbers changed; those that are None stay.

    Raises:
        UsageError: unknown preset, or a number out of range.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return replace(PRESETS[name], **{key: value for key, value in changes.items() if value is not None})


def with_settings(recipe: TrainingRecipe, settings: Mapping[str, str]) -> TrainingRecipe:
    """Changes numbers of a recipe from texts; those of the network are named network.widths and the like.

    Args:
        recipe: the one to change.
        settings: field's name to text, as `--set` gives them.

    Raises:
        UsageError: unknown field, or an unreadable value.

    Example:
        >>> with_settings(TrainingRecipe(), {"steps": "200", "network.widths": "64,96,192,256"}).network.widths
        (64, 96, 192, 256)
    """
    inner = {key.removeprefix(_INNER): text for key, text in settings.items() if key.startswith(_INNER)}
    outer = {key: text for key, text in settings.items() if not key.startswith(_INNER)}
    if "network" in outer:
        names = ", ".join(_INNER + entry.name for entry in fields(UNetConfig))
        raise UsageError(f"a recipe's network is set number by number: {names}")
    own = [entry.name for entry in fields(TrainingRecipe) if entry.name != "network"]
    check_known([*own, *(_INNER + entry.name for entry in fields(UNetConfig))], "a recipe", settings)
    try:
        network = replace(recipe.network, **parse(UNetConfig, "a recipe's network", inner))
    except PellucidError as error:
        raise UsageError(str(error)) from None
    return replace(recipe, network=network, **parse(TrainingRecipe, "a recipe", outer))


def settings_of(recipe: TrainingRecipe) -> tuple[str, dict[str, str]]:
    """The nearest preset and the settings that make a recipe of it; `with_settings(preset(name), settings)` inverts it.

    Example:
        >>> settings_of(TrainingRecipe(lr=1e-3, teachers=("natural", "natural-large")))
        ('cpu', {'lr': '0.001', 'teachers': 'natural,natural-large'})
    """
    made = {
        name: {_INNER + key: text for key, text in changes(recipe.network, start.network).items()}
        | changes(recipe, start)
        for name, start in PRESETS.items()
    }
    nearest = min(made, key=lambda name: len(made[name]))
    return nearest, made[nearest]


def learning_rate(recipe: TrainingRecipe, step: int) -> float:
    """The learning rate of update `step`, counted from 0; above 0 throughout."""
    rise = min(1.0, (step + 1) / (recipe.warmup + 1))
    left = max(recipe.steps - step, 0)
    if recipe.schedule == "trapezoid":
        fall = min(1.0, left / (recipe.decay + 1))
    else:
        fall = 0.5 - 0.5 * math.cos(math.pi * min(1.0, left / max(recipe.steps - recipe.warmup, 1)))
    return recipe.lr * rise * fall


def noise_levels(recipe: TrainingRecipe, numbers: range) -> npt.NDArray[np.float32]:
    """The noise level of each crop of these numbers: log-normal as in EDM (section 5), with a tail over all levels.

    A uniform t of the DDPM schedule would spend half of the training above sigma 2, where few numbers determine an
    image and a crop teaches little. The tail keeps the training at those levels, from which sampling starts.

    Returns:
        sigma in [-1, 1] units, (len(numbers),).
    """
    levels = []
    for number in numbers:
        rng = np.random.default_rng([recipe.seed, 2, number])
        if rng.random() < recipe.noise_tail:
            log_sigma = rng.uniform(math.log(SIGMA_MIN), math.log(SIGMA_MAX))
        else:
            log_sigma = rng.normal(recipe.noise_mean, recipe.noise_spread)
        levels.append(math.exp(log_sigma))
    return np.clip(np.array(levels, np.float32), SIGMA_MIN / 2, SIGMA_MAX)


def loss_weight(sigma: Tensor) -> Tensor:
    """Inverse of a good denoiser's squared error on photographs, about 0.25 sigma / (18 + sigma).

    So each level's loss is near one, and a decibel has the same weight at all levels. The law is a fit to published
    denoisers' PSNR between 15 and 100 over 255. It tends to the variance of images in [-1, 1] at high noise.
    """
    return (18 + sigma) / (0.25 * sigma)


def bands() -> tuple[tuple[float, float], ...]:
    """Bands of noise levels with separately logged losses: (from, below) in [-1, 1] units."""
    edges = (0.0, 0.05, 0.15, 0.4, 1.0, 4.0, 20.0, float("inf"))
    return tuple(pairwise(edges))


def band_of(sigma: Tensor) -> Tensor:
    """Index into `bands()` of each noise level, (B,) int64."""
    edges = torch.tensor([low for low, _ in bands()][1:], dtype=sigma.dtype, device=sigma.device)
    return torch.bucketize(sigma, edges, right=True)
