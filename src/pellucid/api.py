"""Restoring an image as people have them: the one piece behind `restore`, the command line and every job."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import images, methods, provenance
from .devices import find_device
from .errors import UsageError
from .estimate import noise_level
from .methods import Method
from .methods.latent import InLatents, within
from .methods.method import State, last
from .noise import Streams, derive_seed
from .operators import Mask, Operator
from .priors import Counted, Prior, fit, load_prior
from .priors.backends import accelerated
from .priors.fingerprint import fingerprint
from .priors.latent import latent_of
from .priors.load import Source
from .priors.memory import Memory
from .priors.prior import Tiles, Unused, device_of
from .priors.tiled import usual_tile
from .problem import Problem, to_unit

Array = np.ndarray[Any, Any]
_LOG = logging.getLogger("pellucid")


@dataclass(frozen=True)
class Restored:
    """What came of one batch.

    Attributes:
        colours: (B, C, H, W) in [0, 1], on the CPU.
        nfe: evaluations of the prior that the method asked for; each may have been made of many tiles.
        noise: the noise level that the method was told of each image, given or estimated, in [0, 1] units; empty if it
            is blind.
        notes: what the method says of each image; empty if nothing.
        found: what it learnt about the degradation, by name, (B, ...) on the CPU; see `State`.
    """

    colours: Tensor
    nfe: int
    noise: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    found: Mapping[str, Tensor] = field(default_factory=dict)


class Restorer:
    """A method on a prior, ready for images of any size; made once, used for many.

    Args:
        method: a name from `methods.names()`, or a method; None for `methods.usual`.
        prior: what `load_prior` takes.
        operator: the degradation, for methods that are told it; or what makes it of each picture, such as `Jpeg.of`.
        noise: standard deviation of the damage's noise in [0, 1] units, likewise; None to estimate it, image by image.
        tile: side in pixels of the tiles that larger images are cut into; None for 512, or the size of image that a
            latent diffusion model is made for.
        device: where to compute; None for a GPU where there is one. A prior that is given as an object computes where
            its weights are.
        exact: whether at the end the result is moved to the nearest image that agrees with the measurement, noise and
            all: known pixels come back to the bit. Needs a linear operator.
        preset: one of the method's `presets`, as "fast", where it is given by name.
        label: see `load_prior`.
        prompt: what the picture shows; see `load_prior`.
        offline: see `load_prior`.
        backend: what computes the prior's network, "torch", "compile" or "openvino"; see `accelerated`.
        precision: what it computes in, "float32", "bfloat16" or "float16"; likewise.
        hyper_parameters: fields of the method, where it is given by name.

    Attributes:
        method: the method.
        prior: the prior, as loaded; `Unused` in its place, if it was named to a method that needs none.

    Raises:
        UsageError: an unknown name, a value out of range, or knowledge that a blind method cannot use.
        PellucidError: the prior cannot be loaded.
    """

    def __init__(
        self,
        method: str | Method | None = None,
        prior: Source = "natural",
        *,
        operator: Operator | Callable[[images.Picture], Operator] | None = None,
        noise: float | None = None,
        tile: int | None = None,
        device: str | None = None,
        exact: bool = False,
        preset: str | None = None,
        label: int | None = None,
        prompt: str | None = None,
        offline: bool = False,
        backend: str = "torch",
        precision: str = "float32",
        **hyper_parameters: Any,
    ) -> None:
        if method is None:
            method, ours = methods.usual(hyper_parameters)
            hyper_parameters = ours | hyper_parameters
        if isinstance(method, str):
            method = methods.get(method, preset=preset, **hyper_parameters)
        elif preset is not None:
            raise UsageError(f"preset={preset!r}: a method given as an object has its hyper-parameters already")
        elif hyper_parameters:
            raise UsageError(f"{min(hyper_parameters)!r}: a method given as an object has its hyper-parameters already")
        if not method.blind and operator is None:
            raise UsageError(f"{type(method).__name__} must be told the degradation: give an operator")
        if operator is None and noise is not None and method.takes_operator:
            raise UsageError(f"{type(method).__name__} uses the noise level only with an operator: give both")
        if method.blind and not method.takes_operator and (operator is not None or noise is not None):
            known = "the operator" if operator is not None else "the noise level"
            raise UsageError(f"{type(method).__name__} is blind: it cannot use {known}; leave it out")
        if noise is not None and not 0 <= noise < math.inf:
            raise UsageError(f"the noise level must be a number from 0 up, not {noise}")
        if exact and not (isinstance(operator, Operator) and operator.linear):
            raise UsageError(
                "a result agrees exactly with measurements of a linear operator: give one, or leave exact out"
            )
        self.method = method
        self.prior: Prior
        for name, given in (("label", label), ("prompt", prompt)):
            if given is not None and not method.needs_prior:
                raise UsageError(f"{type(method).__name__} needs no prior, which a {name} is for: leave it out")
        self._prior_told = [
            f"{name} {given!r}" for name, given in (("label", label), ("prompt", prompt)) if given is not None
        ]
        if isinstance(prior, str | Path) and not method.needs_prior:
            self.prior = Unused(find_device(device))
            self._device = self.prior.device
        else:
            loaded = load_prior(prior, find_device(device), label=label, prompt=prompt, offline=offline)
            self.prior = accelerated(loaded, backend, precision)
            self._device = device_of(self.prior)
        if device is not None and find_device(device).type != self._device.type:
            raise UsageError(f"the prior is on {self._device}, not on {device}: load it there, or leave device out")
        # One of the two: the degradation of all, or what makes it of each picture.
        self._operator = operator if isinstance(operator, Operator) else None
        self._maker = None if isinstance(operator, Operator) else operator
        self._noise, self._tile, self._exact = noise, tile, exact
        method.prepare(self._device)
        # Refuses a tile that is out of range now, before the first image.
        self._fitted = fit(self.prior, tile)
        self._latent = latent_of(self.prior) if method.needs_prior else None
        self._told = operator is not None
        self._runs = self._adapted()

    def _adapted(self) -> Method:
        """What is run: the method, or the method around which images become latents."""
        if self._latent is None:
            return self.method
        return within(self.method, self._latent, told=self._told, tile=self.tile)

    @property
    def tile(self) -> int:
        """Side of the tiles in pixels."""
        return usual_tile(self.prior) if self._tile is None else self._tile

    def with_tile(self, tile: int) -> Restorer:
        """The same with tiles of another size, in pixels; nothing is loaded again."""
        other = copy(self)
        other._tile, other._fitted = tile, fit(self.prior, tile)
        other._runs = other._adapted()
        return other

    def with_prior(self, prior: Prior) -> Restorer:
        """The same on another prior, on the same device."""
        other = copy(self)
        other.prior, other._fitted = prior, fit(prior, self._tile)
        other._runs = other._adapted()
        return other

    @property
    def estimates_noise(self) -> bool:
        """Whether the noise level is to be found from each image."""
        told = self._operator is not None or self._maker is not None
        return self._noise is None and self.method.needs_noise and told

    def nfe(self) -> int:
        """Evaluations of the prior for one image."""
        return self._runs.nfe(self.prior)

    @property
    def channels(self) -> int:
        """Channels of the images that the prior is for."""
        return self.prior.channels if self._latent is None else self._latent.vae.channels

    def tiles(self, height: int, width: int) -> Tiles:
        """What the network is shown of an image whose measurement has this size."""
        size = self._image_size(height, width)
        return self._fitted.tiles(*(size if self._latent is None else self._latent.latent_size(*size)))

    def memory(self, height: int, width: int) -> Memory | None:
        """What a measurement of this size takes of memory; None where only a prior of latents would tell."""
        return self._runs.memory(*self._image_size(height, width)) if isinstance(self._runs, InLatents) else None

    def _image_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the image of a measurement of this size."""
        if self._operator is None:
            return height, width
        shape = self._operator.image_shape((1, self.channels, height, width))
        return shape[-2], shape[-1]

    def work(self, height: int, width: int) -> int:
        """What `progress` sums up to for a measurement of this size: pixels through the network."""
        return self.nfe() * self.tiles(height, width).pixels

    def run(
        self,
        colours: Tensor,
        seed: int | Sequence[int] = 0,
        progress: Callable[[int], object] | None = None,
        operator: Operator | None = None,
        watch: Callable[[State], object] | None = None,
    ) -> Restored:
        """Restores a batch.

        Args:
            colours: damaged images, (B, C, H, W) in [0, 1]; C is 1 or the prior's. Grey images go through a colour
                prior as three equal channels, and the mean of the three comes back. With an operator, measurements.
                Methods that need no prior get them as they are; those that take several exposures of one image get
                them one after the other along C.
            seed: image i has seed `seed + i`, or `seed[i]` where a seed is given for each.
            progress: called with the pixels of each evaluation; see `work`.
            operator: the degradation, where it was not given for all.
            watch: called with each of the method's states; their images are latents where the prior's are.

        Raises:
            UsageError: the channels do not fit, or the degradation is made of pictures and there is none.
            PellucidError: the images hold NaN, or the prior's estimate does.
        """
        operator = operator or self._operator
        if operator is None and self._maker is not None:
            raise UsageError("this degradation is made of a picture: give a file, or the operator itself")
        noise = self._noise
        if self.estimates_noise:
            if len(colours) > 1:
                # Each image has its own noise level, as it would by itself.
                seeds = [seed + i for i in range(len(colours))] if isinstance(seed, int) else seed
                each = [self.run(colours[i : i + 1], own, progress, operator, watch) for i, own in enumerate(seeds)]
                levels = tuple(level for one in each for level in one.noise)
                return Restored(torch.cat([one.colours for one in each]), each[0].nfe, levels)
            noise = noise_level(colours, operator.known if isinstance(operator, Mask) else None)
        image, grey = self._channels(colours.to(self._device, torch.float32), operator)
        prior = fit(Counted(self.prior, progress), self._tile)
        problem = Problem.of(image, operator, noise)
        state = last(self._runs.iterate(problem, prior, Streams.of(seed, len(image))), watch)
        x = operator.consistent(state.x, problem.y) if self._exact and operator is not None else state.x
        restored = to_unit(x)
        if grey:
            restored = restored.mean(1, keepdim=True)
        found = {name: value.cpu() for name, value in state.found.items()}
        levels = () if noise is None else (noise,) * len(image)
        return Restored(restored.cpu(), state.nfe, levels, state.notes, found)

    def _channels(self, image: Tensor, operator: Operator | None) -> tuple[Tensor, bool]:
        """The measurement with as many channels as the prior's images need, and whether they were made of one."""
        shape = tuple(image.shape) if operator is None else operator.image_shape(tuple(image.shape))
        wanted = self.channels
        if shape[1] == wanted or not self.method.needs_prior:
            return image, False
        if self.method.takes_exposures and shape[1] > wanted and shape[1] % wanted == 0:
            return image, False
        if shape[1] != 1:
            raise UsageError(f"the prior takes images of {wanted} channels, this one has {shape[1]}")
        return image.expand(-1, wanted, -1, -1), True

    def picture(
        self,
        picture: images.Picture,
        seed: int = 0,
        progress: Callable[[int], object] | None = None,
        watch: Callable[[State], object] | None = None,
    ) -> tuple[images.Picture, Restored]:
        """Restores one picture, page by page; its transparency and metadata stay.

        What is written of it says how it was made: see `provenance`.

        Returns:
            The picture, and what else is known of the restoration of its first page, but for the evaluations, which are
            those of all pages. Further pages have seeds of their own, which follow from `seed`.
        """
        restored, result = self._pages(picture, seed, progress, watch)
        return restored.marked(self._mark(picture, result, seed)), result

    def _pages(
        self,
        picture: images.Picture,
        seed: int,
        progress: Callable[[int], object] | None = None,
        watch: Callable[[State], object] | None = None,
    ) -> tuple[images.Picture, Restored]:
        """What `picture` does, but for what a file of it says."""
        seeds = [seed, *(derive_seed(seed, f"page {number}") for number in range(2, len(picture.more) + 2))]
        restored: list[images.Picture] = []
        results: list[Restored] = []
        for page, own in zip(picture.pages, seeds, strict=True):
            operator = None if self._maker is None else self._maker(page)
            results.append(self.run(page.tensor(), own, progress, operator, watch))
            restored.append(page.with_tensor(results[-1].colours))
        return images.bound(restored), replace(results[0], nfe=sum(result.nfe for result in results))

    def _mark(self, picture: images.Picture, result: Restored, seed: int) -> str:
        maker = self._operator or self._maker
        told = [] if maker is None else [getattr(maker, "__qualname__", type(maker).__name__)]
        told += [f"noise {level:.4g}" for level in result.noise[:1]]
        prior = self._fingerprint[:16] if self.method.needs_prior else ""
        notes = [*([picture.note] if picture.note else []), *result.notes[:1]]
        return provenance.line(self.method, [*told, *self._prior_told], prior, seed, notes)

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.prior)

    def exposures(
        self,
        pictures: Sequence[images.Picture],
        seed: int = 0,
        progress: Callable[[int], object] | None = None,
        watch: Callable[[State], object] | None = None,
    ) -> tuple[images.Picture, Restored]:
        """Makes one picture of several exposures of it; see `picture`. Transparency and metadata are the first's.

        Raises:
            UsageError: the method takes one image, or the pictures have different sizes.
        """
        if not self.method.takes_exposures:
            raise UsageError(f"{type(self.method).__name__} takes one image, not {len(pictures)} exposures of one")
        if any(picture.more for picture in pictures):
            raise UsageError("exposures of one image are files of one page each")
        # Grey ones become colours, so that the prior's channels tell where one ends.
        tensors = [picture.tensor().expand(-1, self.channels, -1, -1) for picture in pictures]
        if len({tensor.shape for tensor in tensors}) > 1:
            sizes = ", ".join(f"{tensor.shape[3]}x{tensor.shape[2]}" for tensor in tensors)
            raise UsageError(f"exposures of one image have the same size, not {sizes}")
        result = self.run(torch.cat(tensors, 1), seed, progress, watch=watch)
        restored = pictures[0].with_tensor(result.colours)
        return restored.marked(self._mark(pictures[0], result, seed)), result


@overload
def restore(image: str | Path | Image.Image, *arguments: Any, **options: Any) -> Image.Image: ...


@overload
def restore(image: Array, *arguments: Any, **options: Any) -> Array: ...


@overload
def restore(image: Tensor, *arguments: Any, **options: Any) -> Tensor: ...


def restore(
    image: str | Path | Image.Image | Array | Tensor,
    method: str | Method | None = None,
    prior: Source = "natural",
    operator: Operator | Callable[[images.Picture], Operator] | None = None,
    noise: float | None = None,
    seed: int = 0,
    device: str | None = None,
    tile: int | None = None,
    exact: bool = False,
    preset: str | None = None,
    label: int | None = None,
    prompt: str | None = None,
    offline: bool = False,
    backend: str = "torch",
    precision: str = "float32",
    **hyper_parameters: Any,
) -> Any:
    """Restores a damaged image; what goes in comes out, in kind, size and type.

    With an operator that reduces size or colours, the whole image comes out; with an external method that enlarges, the
    larger one.

    Args:
        image: a path (the result is a Pillow image), a Pillow image, a numpy array (H, W) or (H, W, C) of uint8, uint16
            or floats in [0, 1], or a float torch tensor (B, C, H, W) in [0, 1]. Grey or colour, with or without
            transparency, which is kept. A Pillow image with a palette or of CMYK comes back as RGB.
        method: one of `pellucid.methods.names()`, or a method such as `pellucid.methods.DreamClean(strength=200)`;
            None is "auto", which chooses a blind one, and its strength, for each image, and says so to the logger
            "pellucid".
        prior: what `load_prior` takes: "natural", a prior's folder or file, a denoiser `D(x, sigma)` or `f(x)` ..., or
            what it returned (load it once to restore many images).
        operator: the degradation, for methods that are told it, or what makes it of the picture, such as
            `pellucid.operators.Jpeg.of`; None is blind.
        noise: standard deviation of the noise in [0, 1] units, for methods that are told it; None to estimate it, which
            is said as a warning of the logger "pellucid".
        seed: the same seed gives the same bytes on the same machine. Image i of a tensor has `seed + i`.
        device: "cpu", "cuda" ...; None for a GPU where there is one.
        tile: side in pixels of the tiles of large images; smaller takes less memory. None for 512.
        exact: whether the result is moved, at the end, to the nearest image that agrees with the measurement.
        preset: one of the method's `presets`: "fast" of DreamClean and DIIP makes fewer evaluations.
        label: the class of what it shows, for a class-conditional prior; see `load_prior`.
        prompt: what it shows, for a prior that was trained with texts; see `load_prior`.
        offline: see `load_prior`.
        backend: what computes the prior's network, "torch", "compile" or "openvino"; docs/speed.md has what they gain.
        precision: what it computes in, "float32", "bfloat16" or "float16".
        hyper_parameters: fields of the method: `strength=200`.

    Returns:
        The restored image.

    Raises:
        UsageError: an unknown name, a value out of range, an image of the wrong kind.
        PellucidError: a file that cannot be read, a prior that cannot be loaded.
    """
    # A bad file is found before the time is spent on a prior.
    picture = None
    if isinstance(image, str | Path):
        picture = images.read(Path(image))
        images.to_pil(picture)  # refuses, before any work, what Pillow could not return
    elif isinstance(image, Image.Image):
        picture = images.from_pil(image)
    elif isinstance(image, np.ndarray):
        picture = images.from_array(image)
    elif isinstance(image, Tensor):
        _check_tensor(image)
    else:
        raise UsageError(f"restore takes a path, a Pillow image, a numpy array or a torch tensor, not {type(image)}")
    restorer = Restorer(
        method,
        prior,
        operator=operator,
        noise=noise,
        tile=tile,
        device=device,
        exact=exact,
        preset=preset,
        label=label,
        prompt=prompt,
        offline=offline,
        backend=backend,
        precision=precision,
        **hyper_parameters,
    )
    if isinstance(image, Tensor):
        return _told(restorer.run(image, seed), noise).colours.to(image)
    assert picture is not None
    restored, result = restorer._pages(picture, seed)
    _told(result, noise)
    if not isinstance(image, np.ndarray):
        return images.to_pil(restored)
    # A single channel's own axis comes back, but for an operator that may have measured fewer channels than there are.
    return (
        restored.pixels.reshape(*restored.colour.shape[:2], *image.shape[2:]) if operator is None else restored.pixels
    )


def _told(result: Restored, noise: float | None) -> Restored:
    """Says which noise level was estimated, if one was, and what the method has to say."""
    for note in result.notes:
        _LOG.info("%s", note)
    if noise is None and result.noise:
        levels = ", ".join(f"{level:.4f}" for level in result.noise)
        _LOG.warning("the noise level was estimated as %s of the range: give noise= to choose it", levels)
    return result


def _check_tensor(image: Tensor) -> None:
    if not image.is_floating_point() or image.ndim != 4 or not image.numel():
        raise UsageError(
            f"a tensor of images is float, (B, C, H, W), in [0, 1], not {image.dtype} {tuple(image.shape)}"
        )
    images.check_unit_range(image.min().item(), image.max().item())
