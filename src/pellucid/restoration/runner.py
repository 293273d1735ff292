"""A method on a prior for batches of tensors of any size: the common part of all interfaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..diagnosis.content import is_grey
from ..errors import PellucidError, UsageError, is_too_large
from ..images import Picture
from ..maths.noise import Streams, derive_seed
from ..maths.problem import Noise, Problem, as_measured, levels_of, to_model, to_unit
from ..methods import Method
from ..methods.latent import InLatents, within
from ..methods.measurement import CALLS as LOOKS
from ..methods.measurement import tells, treated
from ..methods.method import State, last
from ..operators import Grayscale, Jpeg, Mask, Operator
from ..operators.quantised import SIGMA
from ..priors import Counted, Prior, fit, load_prior
from ..priors.adapters import alone
from ..priors.backends import way_of
from ..priors.fingerprint import fingerprint
from ..priors.latent import latent_of
from ..priors.load import Source
from ..priors.memory import Memory
from ..priors.prior import Tiles, Unused, device_of
from ..priors.tiled import usual_tile
from ..support.devices import find_device
from . import Recipe, levels
from .restored import Restored

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ..diagnosis import Diagnosis
    from .keywords import Keywords


_AT_ONCE = 1 << 22
"""Pixels of samples to restore at once; for latents, and with a network's gradient, an eighth of it."""

_ROUNDING = 1e-6
"""Most that a value changes between [0, 1] and [-1, 1]."""


class Runner:
    """A method on a prior for images of any size; made once, used for many.

    A named degradation, a mask and so on are fields of `Recipe`, which describes them.

    Args:
        method: a name from `methods.names()`, or a method; None for the default; or a recipe with all options.
        prior: any argument of `load_prior`. An object computes on the device of its weights.
        operator: the degradation, for methods that need it; or a function that makes it from each picture, such as
            `Jpeg.of`.
        noise: standard deviation of the damage's noise in a channel, in [0, 1] units, likewise; None to estimate it,
            image by image, at half a step of 8 bits or more. A tensor or several numbers belong to the images of a
            batch.
        seed: see `run`.
        loaded: the prior itself, if it was loaded according to the recipe.
        options: further fields of `Recipe`, and hyper-parameters of a method given by name.

    Attributes:
        recipe: all options.
        method: the method.
        prior: the loaded prior; `Unused` for the name of a prior with a method that needs none.

    Raises:
        UsageError: an unknown name, a value out of range, or information that a blind method cannot use.
        PellucidError: the prior cannot be loaded.
    """

    def __init__(
        self,
        method: str | Method | Recipe | None = None,
        prior: Source = "natural",
        *,
        operator: Operator | Callable[[Picture], Operator] | None = None,
        noise: Noise | None = None,
        seed: int = 0,
        loaded: Prior | None = None,
        **options: Unpack[Keywords],
    ) -> None:
        recipe = Recipe.of(method, prior, operator=operator, noise=noise, seed=seed, **options)
        choice = recipe.choice
        method, operator, noise = choice.restores, choice.operator, choice.noise
        label, prompt, device, tile, exact = recipe.label, recipe.prompt, recipe.device, recipe.tile, recipe.exact
        self.recipe = recipe
        _check_options(method, operator, noise, exact)
        self.method = method
        self.prior: Prior
        for name, given in (("label", label), ("prompt", prompt)):
            if given is not None and not method.needs_prior:
                raise UsageError(f"{type(method).__name__} needs no prior, which a {name} is for: leave it out")
        if loaded is not None:
            self.prior = loaded
            self._device = device_of(loaded)
        elif isinstance(recipe.prior, str | Path) and not method.needs_prior:
            self.prior = Unused(find_device(device))
            self._device = self.prior.device
        else:
            self.prior = load_prior(
                recipe.prior, find_device(device), label=label, prompt=prompt, offline=recipe.offline,
                backend=recipe.backend, precision=recipe.precision,
            )  # fmt: skip
            self._device = device_of(self.prior)
        if device is not None and find_device(device).type != self._device.type:
            raise UsageError(f"the prior is on {self._device}, not on {device}: load it there, or leave device out")
        if self._device.type == "meta":
            raise UsageError("cannot compute on 'meta': it holds no numbers")
        # One of the two: the degradation of all, or what makes it of each picture.
        self._operator = operator if isinstance(operator, Operator) else None
        self._maker = None if isinstance(operator, Operator) else operator
        self._noise, self._tile, self._exact = noise, tile, exact
        method.prepare(self._device)
        # Refuses a tile that is out of range now, before the first image.
        self._fitted = fit(self.prior, tile)
        self._latent = latent_of(self.prior) if method.needs_prior else None
        self._runs = self._adapted()

    def _adapted(self) -> Method:
        """The running method: the method itself, or wrapped to work on latents."""
        if self._latent is None:
            if self.method.latents_only:
                name = type(self.method).__name__
                raise UsageError(f"{name} works in latents: take a latent prior, or dps for pixels")
            return self.method
        return within(self.method, self._latent, known_operator=self._knows_operator, tile=self.tile)

    @property
    def tile(self) -> int:
        """Side of the tiles in pixels."""
        return usual_tile(self.prior) if self._tile is None else self._tile

    def with_tile(self, tile: int) -> Self:
        """Copy with tiles of another size, in pixels; nothing is loaded again."""
        other = self._with(self.prior, tile)
        # What is said of the result names the tiles that it was made with.
        other.recipe = replace(self.recipe, tile=tile)
        return other

    def with_prior(self, prior: Prior) -> Self:
        """Copy with its prior in a wrapper."""
        return self._with(prior, self._tile)

    def _with(self, prior: Prior, tile: int | None) -> Self:
        _ = self.fingerprint  # before there are copies, each of which would find it out anew
        other = copy(self)
        other.prior, other._tile, other._fitted = prior, tile, fit(prior, tile)
        other._runs = other._adapted()
        return other

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the prior; see `priors.fingerprint`."""
        return fingerprint(self.prior)

    @property
    def way(self) -> dict[str, str]:
        """Backend and precision of the prior by option; empty for torch in float32."""
        return way_of(self.prior)

    @property
    def estimates_noise(self) -> bool:
        """True if the noise level is estimated from each image."""
        return self.recipe.noise is None and self.method.needs_noise and self._knows_operator

    def _treats_noise(self, operator: Operator | None) -> bool:
        """True if the noise of each measurement is diagnosed, and removed if no method can take it.

        Args:
            operator: the degradation; None if it is made from a picture, of which only the greatest cost is known.
        """
        if operator is not None and not operator.pictures:
            return False
        able = self._latent is None and self.method.needs_prior and tells(self.prior)
        return self.estimates_noise and able and not self._exact

    @property
    def _knows_operator(self) -> bool:
        return self._operator is not None or self._maker is not None

    def nfe(self) -> int:
        """Largest number of evaluations of the prior for one image."""
        return self._runs.nfe(self.prior) + self._treats_noise(self._operator) * LOOKS

    @property
    def channels(self) -> int:
        """Number of channels of the prior's images."""
        return self.prior.channels if self._latent is None else self._latent.vae.channels

    def tiles(self, height: int, width: int) -> Tiles:
        """Tiles for an image whose measurement has this size."""
        size = self._image_size(height, width)
        return self._fitted.tiles(*(size if self._latent is None else self._latent.latent_size(*size)))

    def memory(self, height: int, width: int) -> Memory | None:
        """Memory for a measurement of this size; None except for a prior of latents."""
        return self._runs.memory(*self._image_size(height, width)) if isinstance(self._runs, InLatents) else None

    def _image_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the image for a measurement of this size."""
        if self._operator is None:
            return height, width
        shape = self._operator.image_shape((1, self.channels, height, width))
        return shape[-2], shape[-1]

    def work(self, height: int, width: int) -> int:
        """Total of `progress` for a measurement of this size: pixels through the network."""
        return self.nfe() * self.tiles(height, width).pixels

    def run(
        self,
        colours: Tensor,
        seed: int | Sequence[int] | None = None,
        progress: Callable[[int], object] | None = None,
        operator: Operator | None = None,
        watch: Callable[[State], object] | None = None,
        known: Sequence[Diagnosis] = (),
    ) -> Restored:
        """Restores a batch.

        Args:
            colours: damaged images, (B, C, H, W) in [0, 1]; C is 1 or the prior's. Grey images pass a colour prior as
                three equal channels; the result is the mean of the three, also where they come as three equal ones.
                With an operator, measurements. Methods without a prior get them unchanged; those for several exposures
                of one image get them stacked along C.
                For colorization, colour input is converted to grey first.
            seed: image i has seed `seed + i`, or `seed[i]` if there is a seed for each; None for the recipe's.
            progress: called with the pixels of each evaluation; see `work`.
            operator: the degradation, if it is not the same for all.
            watch: called with each of the method's states; their images are latents if the prior's are.
            known: known findings for each image; see `Problem`.

        Raises:
            UsageError: the channels do not fit, or the degradation needs a picture and there is none.
            PellucidError: the images or the prior's estimate have NaN.
        """
        seed = self.recipe.seed if seed is None else seed
        operator = operator or self._operator
        if operator is None and self._maker is not None:
            raise UsageError("this degradation depends on a picture: give a file, or the operator itself")
        if isinstance(operator, Grayscale) and colours.shape[1] == self.channels:
            # Grey photographs are often saved as ones of colours; of others the colours are to be found anew.
            colours = operator.A(colours)
        colours = as_measured(colours, operator)
        if isinstance(operator, Mask):
            operator.check_size(tuple(colours.shape))
        noise = None if self._noise is None else levels_of(self._noise, len(colours))
        if self.estimates_noise and not isinstance(operator, Jpeg):
            if len(colours) > 1 and self._treats_noise(operator):
                # Each image has noise of its own, as it would by itself.
                return Restored.joined(
                    self.run(image[None], own, progress, operator and operator.alone(i), watch, known[i : i + 1])
                    for i, (image, own) in enumerate(zip(colours, Streams.seeds(seed, len(colours)), strict=True))
                )
            noise = levels.estimated(colours, operator) if noise is None else noise
        image, grey = self._channels(colours.to(self._device, torch.float32), operator)
        prior = fit(Counted(self.prior, progress), self._tile)
        told = self._noise is not None
        given = noise and levels.for_method(noise, image, operator, self.method, told=told)
        problem = replace(Problem.of(image, operator, given), known=tuple(known))
        if isinstance(operator, Jpeg) and not self.method.takes_decoded:
            operator, q = operator.linear_of(problem.y)
            problem = Problem(q, operator, SIGMA)
        rng, before, note = Streams.of(seed, len(image)), 0, ""
        own = Streams([derive_seed(one, "measurement") for one in Streams.seeds(seed, len(image))])
        with alone(self._device.type):
            if self._treats_noise(operator):
                treatment = treated(problem, prior, own)
                if treatment.problem is not problem:
                    noise = () if treatment.problem.noise is None else (treatment.problem.noise,)
                problem, before, note = treatment.problem, treatment.nfe, treatment.note
            state = last(self._runs.iterate(problem, prior, rng), watch)
        _check_shape(state.x, problem)
        x = operator.consistent(state.x, problem.y) if self._exact and operator is not None else state.x
        restored = to_unit(x)
        restored = restored.mean(1, keepdim=True) if grey else self._kept_grey(restored, image, operator)
        found = {name: value.cpu() for name, value in state.found.items()}
        # Of a measurement whose noise was found there is no batch.
        notes = ("; ".join((note, *filter(None, state.notes))),) if note else state.notes
        random = rng.drawn or own.drawn
        return Restored(restored.detach().cpu(), before + state.nfe, noise or (), notes, found, random)

    def samples(
        self,
        colours: Tensor,
        seeds: Sequence[int],
        progress: Callable[[int], object] | None = None,
        operator: Operator | None = None,
        known: Sequence[Diagnosis] = (),
    ) -> list[Restored]:
        """Restores one image several times, as many at once as memory permits, with the same bytes as one by one.

        Args:
            colours: the damaged image, (1, C, H, W); see `run`.
            seeds: of the restorations.
            progress: see `run`.
            operator: see `run`.
            known: see `run`.

        Raises:
            UsageError: see `run`.
            PellucidError: likewise.
        """
        pixels = max(1, colours.shape[-2] * colours.shape[-1])
        heavy = self._latent is not None or self.method.through_network
        at_once = max(1, (_AT_ONCE // 8 if heavy else _AT_ONCE) // pixels)
        done: list[Restored] = []
        while len(done) < len(seeds):
            now = seeds[len(done) : len(done) + at_once]
            batch = colours.expand(len(now), *colours.shape[1:])
            try:
                done += self.run(batch, now, progress, operator, known=tuple(known) * len(now)).divided()
            except (MemoryError, RuntimeError) as error:
                if len(now) == 1 or not is_too_large(error):
                    raise
                at_once = len(now) // 2
        return done

    def _channels(self, image: Tensor, operator: Operator | None) -> tuple[Tensor, bool]:
        """Adapts the measurement's channels to the prior's images; also tells if they were repeated."""
        shape = tuple(image.shape) if operator is None else operator.image_shape(tuple(image.shape))
        wanted = self.channels
        if shape[1] == wanted or not self.method.needs_prior:
            return image, False
        if self.method.takes_exposures and shape[1] > wanted and shape[1] % wanted == 0:
            return image, False
        if shape[1] != 1:
            raise UsageError(f"the prior takes images of {wanted} channels, this one has {shape[1]}")
        return image.expand(-1, wanted, -1, -1), True

    def _kept_grey(self, restored: Tensor, image: Tensor, operator: Operator | None) -> Tensor:
        """Makes grey what came in grey, as most grey photographs do, with the channels of a colour one."""
        if not self.method.needs_prior or image.shape[1] != restored.shape[1] or (operator and not operator.keeps_grey):
            return restored
        grey = torch.tensor([is_grey(to_model(one)) for one in image.split(1)], device=restored.device)
        if not grey.any():
            return restored
        grey = grey.view(-1, 1, 1, 1)
        if image.shape == restored.shape:
            # A pixel that is a step off grey, and was not restored, remains as it was.
            off = image.amax(1, keepdim=True) > image.amin(1, keepdim=True)
            grey = grey & ~(off & ((restored - image).abs().amax(1, keepdim=True) <= _ROUNDING))
        return torch.where(grey, restored.mean(1, keepdim=True), restored)


def _check_shape(x: Tensor, problem: Problem) -> None:
    """Rejects a result of another number of images, or of a smaller size; some methods enlarge."""
    y, operator = problem.y, problem.operator
    number, _, height, width = tuple(y.shape) if operator is None else operator.image_shape(tuple(y.shape))
    if x.ndim != 4 or len(x) != number or x.shape[-2] < height or x.shape[-1] < width:
        raise PellucidError(f"the result has the shape {tuple(x.shape)}, not ({number}, C, {height}, {width})")


def _check_options(
    method: Method,
    operator: Operator | Callable[[Picture], Operator] | None,
    noise: float | tuple[float, ...] | None,
    exact: bool,
) -> None:
    """Rejects options that the method cannot use, and missing ones."""
    if not method.blind and operator is None:
        raise UsageError(
            f"{type(method).__name__} needs the degradation: name a task that has one, or give an operator"
        )
    if operator is None and noise is not None and method.takes_operator and not method.takes_noise:
        raise UsageError(f"{type(method).__name__} uses the noise level only with an operator: give both")
    if method.blind and not method.takes_operator and (operator is not None or noise is not None):
        known = "an operator, nor a task with one" if operator is not None else "the noise level"
        instead = "" if operator is not None else ", or name a task that takes it, such as denoise"
        raise UsageError(f"{type(method).__name__} is blind: it cannot use {known}; leave it out{instead}")
    if exact and not (isinstance(operator, Operator) and operator.linear):
        raise UsageError(
            "a result agrees exactly with measurements of a linear operator: name a task with one, such as enlarge, "
            "give an operator, or leave exact out"
        )
