"""The public face: an image as people have it goes in, and comes out restored."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image
from torch import Tensor

from . import images
from .errors import UsageError
from .methods import Method
from .operators import Operator
from .priors.load import Source
from .restorer import Restorer
from .runner import Restored

__all__ = ["Restored", "Restorer", "restore"]

Array = np.ndarray[Any, Any]
_LOG = logging.getLogger("pellucid")


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
        preset: one of the method's `presets`: "fast" of auto, DreamClean and DIIP makes fewer evaluations.
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
    restored, result = restorer.picture(picture, seed, marked=False)
    _told(result, noise)
    if not isinstance(image, np.ndarray):
        return images.to_pil(restored)
    # A single channel's own axis comes back, but for an operator that may have measured fewer channels than there are.
    return (
        restored.pixels.reshape(*restored.colour.shape[:2], *image.shape[2:]) if operator is None else restored.pixels
    )


def _told(result: Restored, noise: float | None) -> Restored:
    """Says which noise level was estimated, if one was, and what the method has to say."""
    for note in filter(None, result.notes):
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
