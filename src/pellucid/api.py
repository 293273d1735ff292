"""The public face: an image as people have it goes in, and comes out restored."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import images
from .errors import UsageError
from .methods import Method
from .noise import Streams, derive_seed
from .operators import Operator
from .priors.load import Source
from .restoration import Recipe
from .restorer import Restorer
from .runner import EQUAL, Restored

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .restoration.keywords import Keywords

__all__ = ["Restored", "Restorer", "restore"]

Array = np.ndarray[Any, Any]
_Numbers = TypeVar("_Numbers", Array, Tensor)
_LOG = logging.getLogger("pellucid")


@overload
def restore(
    image: str | Path | Image.Image,
    method: str | Method | Recipe | None = None,
    prior: Source = "natural",
    operator: Operator | Callable[[images.Picture], Operator] | None = None,
    noise: float | None = None,
    seed: int = 0,
    *,
    samples: None = None,
    **said: Unpack[Keywords],
) -> Image.Image: ...


@overload
def restore(
    image: _Numbers,
    method: str | Method | Recipe | None = None,
    prior: Source = "natural",
    operator: Operator | Callable[[images.Picture], Operator] | None = None,
    noise: float | None = None,
    seed: int = 0,
    *,
    samples: None = None,
    **said: Unpack[Keywords],
) -> _Numbers: ...


@overload
def restore(
    image: str | Path | Image.Image,
    method: str | Method | Recipe | None = None,
    prior: Source = "natural",
    operator: Operator | Callable[[images.Picture], Operator] | None = None,
    noise: float | None = None,
    seed: int = 0,
    *,
    samples: int,
    **said: Unpack[Keywords],
) -> list[Image.Image]: ...


@overload
def restore(
    image: _Numbers,
    method: str | Method | Recipe | None = None,
    prior: Source = "natural",
    operator: Operator | Callable[[images.Picture], Operator] | None = None,
    noise: float | None = None,
    seed: int = 0,
    *,
    samples: int,
    **said: Unpack[Keywords],
) -> list[_Numbers]: ...


def restore(
    image: str | Path | Image.Image | Array | Tensor,
    method: str | Method | Recipe | None = None,
    prior: Source = "natural",
    operator: Operator | Callable[[images.Picture], Operator] | None = None,
    noise: float | None = None,
    seed: int = 0,
    *,
    samples: int | None = None,
    **said: Unpack[Keywords],
) -> Any:
    """Restores a damaged image; what goes in comes out, in kind, size and type.

    With an operator that reduces size or colours, the whole image comes out; with an external method that enlarges, the
    larger one.

    Args:
        image: a path (the result is a Pillow image), a Pillow image, a numpy array (H, W) or (H, W, C) of uint8, uint16
            or floats in [0, 1], or a float torch tensor (B, C, H, W) in [0, 1]. Grey or colour, with or without
            transparency, which is kept. A Pillow image with a palette or of CMYK comes back as RGB.
        method: one of `pellucid.methods.names()`, a method such as `pellucid.methods.DreamClean(strength=200)`, or a
            `pellucid.Recipe`, which says everything; None is "auto", which chooses a blind one, and its strength, for
            each image, and says so to the logger "pellucid".
        prior: what `load_prior` takes: "natural", a prior's folder or file, a denoiser `D(x, sigma)` or `f(x)` ..., or
            what it returned (load it once to restore many images).
        operator: the degradation, for methods that are told it, or what makes it of the picture, such as
            `pellucid.operators.Jpeg.of`; None is blind.
        noise: standard deviation of the noise in [0, 1] units, for methods that are told it; None to estimate it, which
            is said as a warning of the logger "pellucid".
        seed: the same seed gives the same bytes on the same machine. Image i of a tensor has `seed + i`.
        samples: how many restorations to make, each with noise of its own; the first is what None gives. A method that
            draws no noise makes equal ones, which is said as a warning of the logger "pellucid".
        said: any other field of `Recipe`, which says what they are: `task="sr4"`, `mask=`, `kernel=`, `by=`, `exact=`,
            `preset="fast"`, `tile=`, `device=`, `backend=`, `precision=`, `label=`, `prompt=`, `offline=`; and
            hyper-parameters of the method, `strength=200`, also as `settings={"strength": 200}`.

    Returns:
        The restored image; with `samples` a list of that many.

    Raises:
        UsageError: an unknown name, a value out of range, an image of the wrong kind.
        PellucidError: a file that cannot be read, a prior that cannot be loaded.
    """
    if samples is not None and samples < 1:
        raise UsageError(f"samples are 1 or more of each image, not {samples}")
    picture = _picture(image)
    recipe = Recipe.of(method, prior, operator=operator, noise=noise, seed=seed, **said)
    if recipe.choice.several and not isinstance(image, Tensor):
        raise UsageError(f"the task {recipe.task} makes one image of several: give them one after the other along C")
    restorer, seed, noise = recipe.restorer(), recipe.seed, recipe.choice.noise

    def sample(number: int) -> Any:
        if isinstance(image, Tensor):
            seeds = [derive_seed(own, sample=number) for own in Streams.seeds(seed, len(image))]
            result = restorer.run(image, seeds)
            restored: Any = result.colours.to(image)
        else:
            assert picture is not None
            whole, result = restorer.picture(picture, derive_seed(seed, sample=number), marked=False)
            restored = _like(image, whole, measured=recipe.choice.operator is not None)
        if number == 0:
            _tell(result, noise, several=samples is not None and samples > 1)
        return restored

    return sample(0) if samples is None else [sample(number) for number in range(samples)]


def _picture(image: str | Path | Image.Image | Array | Tensor) -> images.Picture | None:
    """Reads and checks the input before time is spent on a prior; None for tensors."""
    if isinstance(image, str | Path):
        picture = images.read(Path(image))
        images.to_pil(picture)  # refuses what Pillow could not return
        return picture
    if isinstance(image, Image.Image):
        return images.from_pil(image)
    if isinstance(image, np.ndarray):
        return images.from_array(image)
    if not isinstance(image, Tensor):
        raise UsageError(f"restore takes a path, a Pillow image, a numpy array or a torch tensor, not {type(image)}")
    _check_tensor(image)
    return None


def _like(image: str | Path | Image.Image | Array, restored: images.Picture, *, measured: bool) -> Image.Image | Array:
    """Converts a restored picture to the kind of the input."""
    if not isinstance(image, np.ndarray):
        return images.to_pil(restored)
    # A single channel's own axis comes back, but for an operator that may have measured fewer channels than there are.
    pixels = restored.pixels
    pixels = pixels if measured else pixels.reshape(*restored.colour.shape[:2], *image.shape[2:])
    return pixels.astype(image.dtype, copy=False)  # in its byte order


def _tell(result: Restored, noise: float | None, *, several: bool) -> None:
    """Says which noise level was estimated, if one was, what the method has to say, and that samples are equal."""
    for note in filter(None, result.notes):
        _LOG.info("%s", note)
    if noise is None and result.noise:
        levels = ", ".join(f"{level:.4f}" for level in result.noise)
        _LOG.warning("the noise level was estimated as %s of the range: give noise= to choose it", levels)
    if several and not result.random:
        _LOG.warning(EQUAL)


def _check_tensor(image: Tensor) -> None:
    if image.layout is not torch.strided or image.device.type == "meta" or image.element_size() < 2:
        kind = "one without values" if image.device.type == "meta" else f"a {image.layout} one of {image.dtype}"
        raise UsageError(f"a tensor of images is dense and of 16 bits or more, not {kind}")
    if not image.is_floating_point() or image.ndim != 4 or not image.numel():
        raise UsageError(
            f"a tensor of images is float, (B, C, H, W), in [0, 1], not {image.dtype} {tuple(image.shape)}"
        )
    if not image.isfinite().all():
        return  # which is refused when it is restored, in words of its own
    note = images.check_floats(image.detach().cpu().float().numpy())
    if note is not None:
        _LOG.warning("%s", note)
