"""The public functions: an image in any common form goes in and comes out restored."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import images
from .diagnosis import Diagnosis, of_picture
from .errors import UsageError
from .maths.noise import Streams, derive_seed
from .maths.problem import Noise, as_measured
from .methods import Method
from .operators import Operator
from .priors import fit, load_prior
from .priors.load import Source
from .restoration import Recipe
from .restoration.restored import SAMPLES_IDENTICAL, Restored
from .restoration.restorer import Restorer
from .restoration.samples import Samples
from .support.devices import find_device
from .support.ranges import check_samples, is_count

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .restoration.keywords import Keywords

__all__ = ["Diagnosis", "Restored", "Restorer", "Samples", "diagnose", "propose_mask", "restore"]

Array = np.ndarray[Any, Any]
_Numbers = TypeVar("_Numbers", Array, Tensor)
_LOG = logging.getLogger("pellucid")


@overload
def restore(
    image: str | Path | Image.Image,
    method: str | Method | Recipe | None = None,
    prior: Source = "natural",
    operator: Operator | Callable[[images.Picture], Operator] | None = None,
    noise: Noise | None = None,
    seed: int = 0,
    *,
    samples: None = None,
    **options: Unpack[Keywords],
) -> Image.Image: ...


@overload
def restore(
    image: _Numbers,
    method: str | Method | Recipe | None = None,
    prior: Source = "natural",
    operator: Operator | Callable[[images.Picture], Operator] | None = None,
    noise: Noise | None = None,
    seed: int = 0,
    *,
    samples: None = None,
    **options: Unpack[Keywords],
) -> _Numbers: ...


@overload
def restore(
    image: str | Path | Image.Image,
    method: str | Method | Recipe | None = None,
    prior: Source = "natural",
    operator: Operator | Callable[[images.Picture], Operator] | None = None,
    noise: Noise | None = None,
    seed: int = 0,
    *,
    samples: int,
    **options: Unpack[Keywords],
) -> Samples[Image.Image]: ...


@overload
def restore(
    image: _Numbers,
    method: str | Method | Recipe | None = None,
    prior: Source = "natural",
    operator: Operator | Callable[[images.Picture], Operator] | None = None,
    noise: Noise | None = None,
    seed: int = 0,
    *,
    samples: int,
    **options: Unpack[Keywords],
) -> Samples[_Numbers]: ...


def restore(
    image: str | Path | Image.Image | Array | Tensor,
    method: str | Method | Recipe | None = None,
    prior: Source = "natural",
    operator: Operator | Callable[[images.Picture], Operator] | None = None,
    noise: Noise | None = None,
    seed: int = 0,
    *,
    samples: int | None = None,
    **options: Unpack[Keywords],
) -> Any:
    """Restores a damaged image; the result has the kind, size and type of the input.

    With an operator that reduces size or colours, the result is the full image. An external method that enlarges
    returns the larger image.

    Args:
        image: a path (the result is a Pillow image); a Pillow image; a numpy array (H, W) or (H, W, C) of uint8, uint16
            or floats in [0, 1]; or a float torch tensor (B, C, H, W) in [0, 1]. Grey or colour, with or without
            transparency, which is kept. A Pillow image with a palette or of CMYK comes back as RGB. With an operator, a
            tensor is its measurement of images in [0, 1]; that of `operators.Fourier` may be complex.
        method: one of `pellucid.methods.names()`, a method such as `pellucid.methods.DreamClean(strength=200)`, or a
            `pellucid.Recipe` with all options. None is "auto": it chooses a blind method and its strength for each
            image and reports them to the logger "pellucid".
        prior: any argument of `load_prior`: "natural", a prior's folder or file, a denoiser `D(x, sigma)` or `f(x)` ...
            Or a loaded prior: load it once to restore many images.
        operator: the degradation, for methods that need it, or a function that makes it from the picture, such as
            `pellucid.operators.Jpeg.of`; None for blind restoration.
        noise: standard deviation of the noise in [0, 1] units, for methods that need it. None estimates it, with a
            warning of the logger "pellucid". A tensor (B,) or a list has one value for each image of a tensor.
        seed: the same seed gives the same bytes on the same machine. Image i of a tensor has `seed + i`.
        samples: number of restorations, each with different noise; the first equals the result for None. They are made
            in batches as memory allows, to the same bytes. A method that draws no noise makes equal ones, with a
            warning of the logger "pellucid".
        options: any other field of `Recipe`: `task="sr4"`, `mask=`, `kernel=`, `by=`, `exact=`,
            `preset="fast"`, `tile=`, `device=`, `backend=`, `precision=`, `label=`, `prompt=`, `offline=`; and
            hyper-parameters of the method, `strength=200`, also as `settings={"strength": 200}`.

    Returns:
        The restored image. With `samples`, a list of that many images with the attributes `mean_map` and `std_map`.
        Tensors are detached: no gradient passes through.

    Raises:
        UsageError: an unknown name, a value out of range, an image of the wrong kind.
        PellucidError: a file that cannot be read, a prior that cannot be loaded.

    Example:
        >>> out = pellucid.restore(torch.rand(1, 3, 16, 16), "denoise", noise=0.1)
        >>> out.shape
        torch.Size([1, 3, 16, 16])
    """
    if samples is not None:
        check_samples(samples)
    picture = _picture(image)
    recipe = Recipe.of(method, prior, operator=operator, noise=noise, seed=seed, **options)
    if isinstance(image, Tensor):
        _check_tensor(image, recipe.choice.operator)
    if recipe.choice.several and not isinstance(image, Tensor):
        raise UsageError(f"the task {recipe.task} merges several images: stack them along C")
    restorer, operator, number = recipe.restorer(), recipe.choice.operator, int(samples or 1)
    if isinstance(image, Tensor):
        tensors, results = _tensors(restorer, image, recipe.seed, number)
        made: Samples[Any] = Samples.of_tensors(tensors)
    else:
        assert picture is not None
        seeds = [derive_seed(recipe.seed, sample=sample) for sample in range(number)]
        wholes, results = restorer.copies(picture, seeds)
        colours = torch.cat([result.colours for result in results])
        mean = next(iter(picture.pages)).with_tensor(colours.mean(0, keepdim=True))
        like = partial(_like, image, measured=operator is not None)
        made = Samples([like(whole) for whole in wholes], like(mean), _deviation(image, colours))
    _tell(results[0], recipe.choice.noise, several=number > 1)
    return made[0] if samples is None else made


def _tensors(restorer: Restorer, image: Tensor, seed: int, number: int) -> tuple[list[Tensor], list[Restored]]:
    """Restores a batch several times: one image all at once, several images one after the other."""
    own = Streams.seeds(seed, len(image))
    seeds = [[derive_seed(one, sample=sample) for one in own] for sample in range(number)]
    if len(image) == 1:
        results = restorer.samples(image, [one for (one,) in seeds])
    else:
        results = [restorer.run(image, each) for each in seeds]
    return [result.colours.to(image.device, image.real.dtype) for result in results], results


def _deviation(image: str | Path | Image.Image | Array, colours: Tensor) -> Array | None:
    """Returns the deviation of samples (N, C, H, W) as an array; one channel has an axis only if the image had it."""
    if len(colours) < 2:
        return None
    deviation: Array = colours.std(0).permute(1, 2, 0).numpy()
    return deviation if deviation.shape[2] > 1 or getattr(image, "ndim", 2) == 3 else deviation[..., 0]


def diagnose(
    image: str | Path | Image.Image | Array,
    prior: Source = "natural",
    *,
    page: int | None = None,
    device: str | None = None,
    backend: str = "auto",
    precision: str = "auto",
    offline: bool = False,
) -> Diagnosis:
    """Finds the damage of a picture, as `restore` does before it repairs any; changes nothing.

    Costs at most 10 evaluations of the prior, for a large picture on a part.

    Args:
        image: a path, a Pillow image, or a numpy array, as for `restore`.
        prior: any argument of `load_prior`. Load it once to diagnose many pictures.
        page: number of the page in a file of several, from 1 up. None is the first page, with a warning of the logger
            "pellucid" if there are more.
        device: device of the prior's network, such as "cpu" or "cuda"; None for a GPU if there is one.
        backend: see `load_prior`.
        precision: see `load_prior`.
        offline: see `load_prior`.

    Returns:
        The findings, each with its words, confidence, evidence and the options of `restore` that repair it:
        `diagnosis.findings`, or by kind, such as `diagnosis.noise`, which is None for none.

    Raises:
        UsageError: an image of the wrong kind, or with another number of channels than the prior's; a page that does
            not exist.
        PellucidError: a file that cannot be read, a prior that cannot be loaded.

    Example:
        >>> from PIL import Image
        >>> [finding.text for finding in pellucid.diagnose(Image.new("RGB", (64, 48))).findings]
        ['text, line art or a screenshot, grey']
    """
    picture = images.read(Path(image)) if isinstance(image, str | Path) else _picture(image)
    if picture is None:
        raise UsageError("diagnose takes a path, a Pillow image or a numpy array, not a tensor")
    pages = picture.pages
    if page is not None and (not is_count(page) or page > len(pages)):
        name = picture.name or "the image"
        raise UsageError(f"{name}: page is a number from 1 to {len(pages)}, not {page!r}")
    if page is None and len(pages) > 1:
        _LOG.warning("%s: has %d pages, and the first is diagnosed: give page= to choose", picture.name, len(pages))
    loaded = load_prior(prior, find_device(device), offline=offline, backend=backend, precision=precision)
    return of_picture(fit(loaded), pages[(page or 1) - 1])


def propose_mask(image: str | Path | Image.Image | Array) -> Image.Image:
    """Proposes a mask of the scratches and specks of a scanned print, to look at and to correct.

    It finds some of them, and also marks some edges and wires; docs/old-photographs.md states the rates. Save the mask
    as a file for `restore(image, task="scratches", mask=...)`. It evaluates no prior.

    Args:
        image: a path, a Pillow image, or a numpy array, as for `restore`.

    Returns:
        A grey picture of the same size, white at marked pixels and black elsewhere.

    Raises:
        UsageError: an image of the wrong kind.
        PellucidError: a file that cannot be read.

    Example:
        >>> from PIL import Image
        >>> pellucid.propose_mask(Image.new("RGB", (64, 48))).size
        (64, 48)
    """
    from .catalogue.tasks import proposed

    picture = _picture(image)
    if picture is None:
        raise UsageError("propose_mask takes a path, a Pillow image or a numpy array, not a tensor")
    return images.to_pil(images.from_tensor(1 - proposed(picture).known))


def _picture(image: str | Path | Image.Image | Array | Tensor) -> images.Picture | None:
    """Reads and checks the input before any time is spent on a prior; returns None for tensors."""
    if isinstance(image, str | Path):
        picture = images.read(Path(image))
        images.to_pil(picture)  # refuses what Pillow could not return
        return picture
    if isinstance(image, Image.Image):
        if (frames := getattr(image, "n_frames", 1)) > 1 and image.format != "MPO":
            _LOG.warning("the image has %d frames or pages: its current one alone is restored", frames)
        return images.from_pil(image)
    if isinstance(image, np.ndarray):
        return images.from_array(image)
    if not isinstance(image, Tensor):
        raise UsageError(f"an image is a path, a Pillow image, a numpy array or a torch tensor, not {_advised(image)}")
    return None


def _advised(image: object) -> str:
    """Names the type of an object that is no image, and a way to make one of it."""
    hint = ": open it by PIL.Image.open" if hasattr(image, "read") else ""
    hint = ": open them by PIL.Image.open(io.BytesIO(...))" if isinstance(image, bytes | bytearray) else hint
    hint = ": give one after the other" if isinstance(image, list | tuple) else hint
    return f"{type(image).__name__}{hint}"


def _like(image: str | Path | Image.Image | Array, restored: images.Picture, *, measured: bool) -> Image.Image | Array:
    """Converts a restored picture to the kind of the input."""
    if not isinstance(image, np.ndarray):
        made = images.to_pil(restored)
        if isinstance(image, Image.Image) and (turn := images.orientation(image)) != 1:
            # Its pixels lie as before.
            exif = made.getexif()
            exif[0x0112] = turn
            made.info["exif"] = exif.tobytes()
        return made
    # A single channel's own axis comes back, but for an operator that may have measured fewer channels than there are.
    pixels = restored.pixels
    pixels = pixels if measured else pixels.reshape(*restored.colour.shape[:2], *image.shape[2:])
    return pixels.astype(image.dtype, copy=False)  # in its byte order


def _tell(result: Restored, noise: object, *, several: bool) -> None:
    """Reports an estimated noise level, the method's notes, and that samples are equal."""
    for note in filter(None, result.notes):
        _LOG.info("%s", note)
    if noise is None and result.noise:
        levels = ", ".join(f"{level:.4f}" for level in result.noise)
        _LOG.warning("the noise level was estimated as %s of the range: give noise= to choose it", levels)
    if several and not result.random:
        _LOG.warning(SAMPLES_IDENTICAL)


def _check_tensor(image: Tensor, operator: object) -> None:
    if image.layout is not torch.strided or image.is_nested or image.device.type == "meta" or image.element_size() < 2:
        layout = "nested" if image.is_nested else image.layout
        kind = "one without values" if image.device.type == "meta" else f"a {layout} one of {image.dtype}"
        kind = f"{image.dtype}: divide it by 255" if image.dtype == torch.uint8 else kind
        raise UsageError(f"a tensor of images is dense and of floats in [0, 1], not {kind}")
    if isinstance(operator, Operator) and not operator.keeps_grey:
        as_measured(image, operator)  # refuses complex numbers where there are none
        return
    if not image.is_floating_point() or image.ndim != 4 or not image.numel():
        raise UsageError(
            f"a tensor of images is float, (B, C, H, W), in [0, 1], not {image.dtype} {tuple(image.shape)}"
        )
    if not image.isfinite().all():
        return  # which is refused when it is restored, in words of its own
    note = images.check_floats(image.detach().cpu().float().resolve_neg().numpy())
    if note is not None:
        _LOG.warning("%s", note)
