r"""DGP: a generative adversarial network, fitted to the image first by its latent and then by its weights.

The search starts from the random latent whose image is most similar to the measurement y. Then Adam optimises the
latent z and the generator's weights, first in the coarsest blocks and stage by stage in finer ones, against

.. math:: w_D \sum_i \overline{| D_i(A G_\theta(z)) - D_i(y) |} + w_2 \overline{(A G_\theta(z) - y)^2}
          + \lambda\, \overline{z^2} / 2

with bars for means, D_i the last layers of the discriminator from the generator's training, and A = 1 for an unknown
degradation. Coarse-to-fine tuning preserves the generator's image statistics for longer than tuning all weights at
once.

A generator makes images of one size. Here overlapping patches of that size cover each image. Each patch has its own
latent; one generator, tuned to the whole image, makes them all. They are blended before the comparison. With
`fit="resize"` a single image of the generator is resized instead, as in the paper's experiments; this suits generators
of whole scenes.

References:
    Pan et al., "Exploiting Deep Generative Prior for Versatile Image Restoration and Manipulation", ECCV 2020.
        https://arxiv.org/abs/2003.13659
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..operators import Denoise, Operator
from ..priors.generator import load_gan
from ..priors.prior import Prior
from .canvas import Canvas, coloured
from .method import Effective, Method, State, with_gradients
from .tuning import Tuning, finite

# The last of the discriminator's layers, by which the paper's code chooses a latent.
_CHOOSING = 3


@dataclass(frozen=True)
class DGP(Method):
    """Restoration by a generative adversarial network that is tuned to the image (Pan et al., ECCV 2020).

    It evaluates no diffusion prior. It costs `candidates` images of the generator, then a forward and a backward pass
    for each iteration, per patch of each image. The rates and weights come from the authors' example of
    super-resolution. A given operator is used; the noise level is not.

    Attributes:
        generator: "gan64" from the package; a folder from `pellucid train --gan`; or any function of latents (B, ...)
            to images (B, C, H, W) in [-1, 1] of one size. Its attribute `latent` is the length or the shape of one
            latent. A module's weights are tuned in a copy, by its attribute `blocks` or by its children, from the first
            to the last.
        features: any function of images (B, C, H, W) of the generator's size to a sequence of tensors, such as a
            discriminator's layers; None for those of the folder, or for none with a custom generator.
        candidates: latents to choose from.
        spread: their standard deviation.
        iterations: of each stage.
        rates: Adam's learning rate of the weights at each stage, 0 to leave them; stage k of K tunes the first k/K of
            the blocks.
        latent_rates: that of the latents.
        feature_weight: w_D.
        error_weight: w_2, in [-1, 1] units.
        latent_weight: lambda.
        layers: number of last features to compare; all if there are fewer.
        fit: "patches" or "resize".
        overlap: least overlap of neighbouring patches in pixels; at most half their side.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": {"fit": "resize"}}

    takes_operator: ClassVar[bool] = True
    needs_prior: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False

    effective: ClassVar[Effective] = {"overlap": ("fit patches", lambda self, _: self.fit == "patches")}

    generator: str | Path | Callable[[Tensor], Tensor] = "gan64"
    features: Callable[[Tensor], Sequence[Tensor]] | None = None
    candidates: int = 500
    spread: float = 0.3
    iterations: int = 200
    rates: tuple[float, ...] = (5e-5, 5e-5, 2e-5, 1e-5, 1e-5)
    latent_rates: tuple[float, ...] = (2e-3, 1e-3, 2e-5, 1e-5, 1e-5)
    feature_weight: float = 1.0
    error_weight: float = 1.0
    latent_weight: float = 0.02
    layers: int = 8
    fit: Literal["patches", "resize"] = "patches"
    overlap: int = 16

    def __post_init__(self) -> None:
        self.require(self.candidates >= 1, "candidates", "at least 1")
        self.require(0 < self.spread < math.inf, "spread", "above 0")
        self.require(self.iterations >= 1, "iterations", "at least 1")
        for field in ("rates", "latent_rates"):
            values = getattr(self, field)
            self.require(len(values) >= 1, field, "one or more numbers, one for each stage")
            self.require(all(0 <= value < math.inf for value in values), field, "0 or more")
        self.require(len(self.latent_rates) == len(self.rates), "latent_rates", "as many as rates")
        for field in ("feature_weight", "error_weight", "latent_weight", "overlap"):
            self.require(0 <= getattr(self, field) < math.inf, field, "0 or more")
        self.require(self.layers >= 1, "layers", "at least 1")
        self.require(self.fit in ("patches", "resize"), "fit", "patches or resize")

    def nfe(self, prior: Prior) -> int:
        """Always None: it needs no diffusion prior."""
        return 0

    @with_gradients
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state an iteration, whose `curves` has each image's "loss".

        Raises:
            PellucidError: the generator cannot be loaded, or its image is not finite.
            UsageError: it does not fit the images.
        """
        if problem.operator is None:
            self.require_blind(problem)
        y, operator = problem.y, problem.operator
        shape = tuple(y.shape) if operator is None else operator.image_shape(tuple(y.shape))
        model = self._model(y)
        latents = self.spread * rng.like(y.new_empty(len(y), self.candidates, *model.latent))
        canvas = Canvas(shape, model.size, None if self.fit == "resize" else self.overlap)
        measure = _Measure(canvas, model, y, operator)
        chosen = choose(model, canvas, measure, latents, shape[1])
        tunings = [Tuning(model.generator, z) for z in chosen]
        total, step = self.iterations * len(self.rates), 0
        for stage, (rate, latent_rate) in enumerate(zip(self.rates, self.latent_rates, strict=True), 1):
            for tuning in tunings:
                tuning.begin(stage, len(self.rates), rate, latent_rate)
            for _ in range(self.iterations):
                step += 1
                with torch.enable_grad():
                    x = torch.cat([canvas.blend(tuning.make(), shape[1]) for tuning in tunings])
                    made = measure.of(x)
                    losses = [
                        self._loss(measure, image, index, tuning.z)
                        for index, (image, tuning) in enumerate(zip(made, tunings, strict=True))
                    ]
                curves = {"loss": tuple(loss.item() for loss in losses)}
                yield State(step, total, 0.0, x.detach(), x.detach(), 0, curves)
                tuned = [weight for tuning in tunings for weight in tuning.weights]
                slopes = iter(torch.autograd.grad(torch.stack(losses).sum(), tuned, allow_unused=True))
                for tuning in tunings:
                    tuning.step(slopes)

    def _loss(self, measure: _Measure, made: Tensor, index: int, z: Tensor) -> Tensor:
        """Loss of one image by its measurement `made`."""
        loss = self.error_weight * (made - measure.y[index]).square().mean() + self.latent_weight * (z**2 / 2).mean()
        if self.feature_weight and measure.wanted is not None:
            features = measure.features(made[None])
            loss = loss + self.feature_weight * _distance(features, measure.wanted[index], self.layers).mean()
        return loss

    def _model(self, y: Tensor) -> _Model:
        """Loads the generator and its features in the type and on the device of y."""
        generator, features = self.generator, self.features
        if isinstance(generator, str | Path):
            gan = load_gan(generator).to(y)
            generator, features = gan.generator, features or gan.discriminator.features
        elif isinstance(generator, nn.Module):
            generator = copy.deepcopy(generator).eval().requires_grad_(False).to(y)
        latent = getattr(generator, "latent", None)
        if isinstance(latent, int):
            latent = (latent,)
        if not isinstance(latent, tuple | torch.Size):
            raise UsageError("DGP: a generator of one's own has an attribute latent, the length or shape of one latent")
        with torch.no_grad():
            image = generator(y.new_zeros(1, *latent))
        if image.ndim != 4 or len(image) != 1:
            raise UsageError(f"DGP: a generator makes images (B, C, H, W), not {tuple(image.shape)}")
        return _Model(generator, features, tuple(latent), image.shape[1], (image.shape[2], image.shape[3]))


class _Model(NamedTuple):
    """A generator with the shapes of a latent and of an image (channels, height, width)."""

    generator: Callable[[Tensor], Tensor]
    features: Callable[[Tensor], Sequence[Tensor]] | None
    latent: tuple[int, ...]
    channels: int
    size: tuple[int, int]

    def make(self, z: Tensor) -> Tensor:
        """Makes images of latents."""
        return finite(self.generator(z))


class _Measure:
    """Measurements of images, and their comparison with the given ones.

    Attributes:
        y: the given measurements, (B, ...).
        wanted: features of each; None without features, or if such measurements have none.
    """

    def __init__(self, canvas: Canvas, model: _Model, y: Tensor, operator: Operator | None) -> None:
        self._canvas, self._model, self.y = canvas, model, y
        self.blind = operator is None
        self._operator = operator or Denoise()
        self.wanted: list[list[Tensor]] | None = None
        if model.features is not None and y.ndim == 4 and (y.shape[1] in (1, model.channels) or model.channels == 1):
            with torch.no_grad():
                self.wanted = [self.features(image[None]) for image in y]

    def of(self, x: Tensor) -> Tensor:
        """Measures images (B, C, H, W)."""
        return self._operator.A(x)

    def features(self, measured: Tensor, place: int | None = None) -> list[Tensor]:
        """Features of one measurement, each (len(canvas), ...): it is enlarged to the image's size, then cut.

        Args:
            measured: (1, C, H', W').
            place: a single place; None for all.
        """
        assert self._model.features is not None
        whole = self._canvas.fitted(coloured(measured, self._model.channels))
        return list(self._model.features(self._canvas.cut(whole, place)))

    def distance(self, patch: Tensor, index: int) -> Tensor:
        """Distance of a generator image, (1, C, h, w), to each place of a directly measured image."""
        if self.wanted is not None:
            assert self._model.features is not None
            return _distance(self._model.features(patch), self.wanted[index], _CHOOSING)
        y = self.y[index][None]
        return (coloured(patch, y.shape[1]) - self._canvas.cut(y)).square().flatten(1).mean(1)

    def distance_at(self, made: Tensor, place: int, index: int) -> Tensor:
        """Distance of a measurement to the given one, on the features of one place if there are features."""
        if self.wanted is None:
            return (made - self.y[index]).square().mean()
        wanted = [layer[place : place + 1] for layer in self.wanted[index]]
        return _distance(self.features(made[None], place), wanted, _CHOOSING)[0]


@torch.no_grad()
def choose(model: _Model, canvas: Canvas, measure: _Measure, latents: Tensor, channels: int) -> list[Tensor]:
    """Chooses for each place the latent whose image is most similar to the measurement, by features if available.

    With a known operator, each candidate is tested in its place with grey around it, since its surroundings are not
    known yet.

    Args:
        model: the generator.
        canvas: places of its images.
        measure: measurement to compare with.
        latents: to choose from, (B, N, ...).
        channels: channels of the problem's images.

    Returns:
        For each of the B images, (len(canvas), ...).
    """
    batch, places = range(len(latents)), range(len(canvas))
    distances = []
    for candidates in latents.unbind(1):
        patches = [model.make(z[None]) for z in candidates]
        if measure.blind:
            distances.append(torch.stack([measure.distance(patches[i], i) for i in batch]))
            continue
        columns = []
        for place in places:
            made = measure.of(torch.cat([canvas.paste(patch, place, channels) for patch in patches]))
            columns.append(torch.stack([measure.distance_at(made[i], place, i) for i in batch]))
        distances.append(torch.stack(columns, 1))
    best = torch.stack(distances).argmin(0)
    return [own[index] for own, index in zip(latents, best, strict=True)]


def _distance(a: Sequence[Tensor], b: Sequence[Tensor], layers: int) -> Tensor:
    """The summed mean absolute differences of the last layers, for each place, (places,)."""
    pairs = list(zip(a, b, strict=True))[-layers:]
    return torch.stack([(own - other).abs().flatten(1).mean(1) for own, other in pairs]).sum(0)
