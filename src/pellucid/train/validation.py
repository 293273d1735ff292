"""Validation of a run: named sets of images, and the noise that the prior removes from each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..bench.prior import LEVELS, averages, denoising, middle
from ..errors import UsageError
from ..images import from_array
from ..maths.problem import to_model
from ..priors.prior import Prior
from . import variety
from .data import PhotographFile, Photographs, Pixels, find
from .recipe import TrainingRecipe

VALIDATED = (5, *LEVELS)
"""Noise levels of a validation, over 255. The lowest shows what happens to letters and lines."""

PHOTOGRAPHS = "photographs"
"""Name of the set of images that are held out of the training."""

Sets = dict[str, dict[str, Tensor]]
Scores = dict[str, dict[int, float]]

# Enough for a mean to two digits; each checkpoint waits for them.
_SIDE, _SMALL, _PAGES = 256, 128, 8


def named_folders(texts: Sequence[str]) -> dict[str, Path]:
    """Reads validation folders: NAME=FOLDER, or a folder, which gives its own name.

    Raises:
        UsageError: a name occurs twice, or is no word.

    Example:
        >>> sorted(named_folders(["kodak/", "scans=/data/grey"]))
        ['kodak', 'scans']
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        folder = Path(rest if equals else text)
        name = name if equals else folder.resolve().name
        if name in found or not name.replace("-", "").replace("_", "").isalnum():
            problem = "is there twice" if name in found else "is no name for a column"
            raise UsageError(f"--validation {text}: {name!r} {problem}: say NAME=FOLDER with another name")
        found[name] = folder
    return found


def open_sets(
    recipe: TrainingRecipe, folders: Mapping[str, Path], held: Sequence[PhotographFile], workers: int
) -> Sets:
    """Opens the sets to validate on.

    Without folders these are the images held out, the same without their colours, and drawn pages. The last two exist
    where the recipe has such crops.

    Args:
        recipe: of the run.
        folders: folder of each set by its name.
        held: images held out of the training.
        workers: threads that decode.

    Returns:
        Images of each set, (1, C, H, W) in [-1, 1]; a set without images is left out.

    Raises:
        PellucidError: a folder has no image that can be used.
    """
    channels = recipe.network.channels

    def photographs(files: Sequence[PhotographFile]) -> list[Pixels]:
        return list(Photographs(files, channels, smallest=1, workers=workers)) if files else []

    if folders:
        sets = {name: _images(photographs(find(folder)), _SIDE) for name, folder in folders.items()}
    else:
        pixels = photographs(held)
        sets = {PHOTOGRAPHS: _images(pixels, _SIDE)}
        if recipe.grey and channels == 3:
            sets["grey"] = _images([variety.grey(one) for one in pixels], _SMALL)
        if recipe.drawn:
            pages = (variety.drawn(_SMALL, channels, np.random.default_rng([5, number])) for number in range(_PAGES))
            sets["drawn"] = _images(list(pages) if held else [], _SMALL)
    return {name: images for name, images in sets.items() if images}


def _images(pictures: Sequence[Pixels], side: int) -> dict[str, Tensor]:
    """The middle of each picture: the same cost for all, whatever their size."""
    middles = (to_model(middle(from_array(pixels).tensor(), side)) for pixels in pictures)
    return {f"{number:04d}": image for number, image in enumerate(middles)}


def scores(prior: Prior, sets: Mapping[str, Mapping[str, Tensor]]) -> Scores:
    """Mean denoising PSNR in dB of one call by set and by level over 255."""
    with torch.no_grad():
        return {name: averages(denoising(prior, images, VALIDATED)) for name, images in sets.items()}
