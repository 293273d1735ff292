r"""The natural image quality evaluator: the distance of an image's patches from those of good photographs.

.. math:: \sqrt{ (\nu - \nu_i)^T \left( \frac{\Sigma + \Sigma_i}{2} \right)^{-1} (\nu - \nu_i) }

with mean and covariance of the 36 numbers of `scene` over the image's patches, and over those of a pristine set. The
authors' pristine model is not in this package: name its file, or fit a model to any photographs. Figures of a fitted
model differ from the papers' and are called "niqe:own".

References:
    Mittal, Soundararajan, Bovik, "Making a Completely Blind Image Quality Analyzer", IEEE SPL 20(3), 2013, eq. 10.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import PellucidError
from ..images.atomic import replacing
from .metric import Metric
from .scene import FEATURES, PATCH, features
from .view import Space, check, view
from .weights import read

_SHARP = 0.75
"""Least sharpness of a pristine patch, relative to its image's sharpest one, as in the paper."""


@dataclass(frozen=True)
class Pristine:
    """Statistics of patches of good photographs.

    Attributes:
        mean: (36,), float64.
        covariance: (36, 36), float64.
        own: whether it was fitted here rather than by the authors.

    Example:
        >>> model = metrics.Pristine.of(torch.rand(4, 1, 1, 192, 192).unbind())
        >>> model.own
        True
    """

    mean: Tensor
    covariance: Tensor
    own: bool = True

    @classmethod
    def of(cls, photographs: Iterable[Tensor], space: Space = "grey") -> Pristine:
        """Fits a model to the sharp patches of photographs.

        Args:
            photographs: (1, C, H, W) each in [0, 1], 96 x 96 pixels and more; the paper has 125.
            space: see `Niqe`.

        Raises:
            PellucidError: there are fewer than two sharp patches.
        """
        sharp = []
        for photograph in photographs:
            found, sharpness = features(_luma(photograph, space))
            sharp.append(found[sharpness > _SHARP * sharpness.max()])
        return cls(*_moments(torch.cat(sharp) if sharp else torch.empty(0, FEATURES)))

    @classmethod
    def read(cls, path: str | Path) -> Pristine:
        """Reads a model: a fitted one, or the published `niqe_pris_params.npz`.

        Raises:
            PellucidError: the file cannot be read, or holds something else.
        """
        if Path(path).suffix.lower() == ".npz":
            return cls(*_published(Path(path)), own=False)
        kept = read(path, ("niqe.mean", "niqe.covariance"), "a pristine model of NIQE")
        return cls(*_shaped(path, kept["niqe.mean"], kept["niqe.covariance"]))

    def write(self, path: Path) -> None:
        """Writes the model as safetensors.

        Raises:
            PellucidError: the file cannot be written.
        """
        from safetensors.torch import save

        content = save({"niqe.mean": self.mean, "niqe.covariance": self.covariance})
        try:
            with replacing(path) as file:
                file.write(content)
        except OSError as error:
            raise PellucidError(f"{path}: cannot be written ({error.strerror or error})") from None


class Niqe(Metric):
    """NIQE against a pristine model.

    Args:
        weights: the model's file; see `Pristine.read`.
        space: "grey", as in the authors' code, or "y", as in BasicSR's.
        crop: pixels cut off at each side.

    Raises:
        UsageError: an option is out of range.
        PellucidError: the file cannot be read or holds something else.

    Example:
        >>> metrics.missing("niqe")
        "niqe needs a model of pristine photographs: the published niqe_pris_params.npz, or one's own: give weights"
    """

    better = "lower"
    against = "nothing"
    name = "niqe"
    needs = {"weights": "a model of pristine photographs: the published niqe_pris_params.npz, or one's own"}  # noqa: RUF012

    def __init__(self, weights: str | Path, space: Space = "grey", crop: int = 0) -> None:
        check(self.name, space, crop)
        self._model, self._space, self._crop = Pristine.read(weights), space, crop
        if self._model.own:
            self.name = "niqe:own"

    def one(self, image: Tensor, truth: Tensor) -> Tensor:
        """Distance of an image from the pristine set; `truth` is ignored.

        Args:
            image: (1, 1 or 3, H, W) in [0, 1], large enough for two patches of 96 x 96; rounded to 8 bits.
            truth: ignored.

        Returns:
            0 and up, about 3 to 5 for good photographs by the published model, (1,).

        Raises:
            PellucidError: the image has fewer than two patches that are not flat.
        """
        mean, covariance = _moments(features(_luma(image, self._space, self._crop))[0])
        away = self._model.mean - mean
        inverse = torch.linalg.pinv((self._model.covariance + covariance) / 2, hermitian=True)
        quality: Tensor = (away @ inverse @ away).clamp(min=0).sqrt()
        return quality[None]


def _luma(image: Tensor, space: Space, crop: int = 0) -> Tensor:
    luma = view(image.cpu(), space, crop, rounded=True)
    if min(luma.shape[-2:]) < PATCH:
        raise PellucidError(f"NIQE needs images of at least {PATCH}x{PATCH}, not {tuple(luma.shape[-2:])}")
    return luma


def _moments(found: Tensor) -> tuple[Tensor, Tensor]:
    # Flat patches have no shape.
    whole = found[~found.isnan().any(1)].double()
    if len(whole) < 2:
        raise PellucidError(f"NIQE needs two patches of {PATCH}x{PATCH} that are not flat, there are {len(whole)}")
    return whole.mean(0), whole.T.cov()


def _published(path: Path) -> tuple[Tensor, Tensor]:
    try:
        # Refuses what would run code.
        with np.load(path, allow_pickle=False) as content:
            kept = [torch.from_numpy(content[f"{name}_pris_param"].astype(np.float64)) for name in ("mu", "cov")]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise PellucidError(f"{path}: is no pristine model of NIQE ({error})") from None
    return _shaped(path, kept[0].flatten(), kept[1])


def _shaped(path: str | Path, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    if mean.shape != (FEATURES,) or covariance.shape != (FEATURES, FEATURES):
        raise PellucidError(f"{path}: is no pristine model of NIQE, which has {FEATURES} features")
    return mean.double(), covariance.double()
