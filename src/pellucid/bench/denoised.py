"""Rows of `pellucid bench prior`: images under noise of known strength, denoised by one call of a prior."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from ..jobs.fingerprint import of_configuration
from ..maths.noise import derive_seed
from ..maths.problem import to_unit
from ..metrics import Lpips, psnr
from ..priors.backends import precision_of
from ..priors.fingerprint import fingerprint
from ..priors.prior import Prior, device_of
from .ledger import Ledger
from .prior import LEVELS, denoised
from .rows import Row, computed, libraries

NAME, COLUMNS = "prior", ("psnr", "lpips")
"""Of the table; the metrics, of which the second needs its network."""


def measured(
    priors: Mapping[str, Prior],
    photographs: Mapping[str, Tensor],
    levels: Sequence[int] = LEVELS,
    seeds: Sequence[int] = (0,),
    lpips: Path | None = None,
    folder: Path | None = None,
    data: str = "bundled",
) -> Iterator[Row]:
    """Gives a row, old or new, for each prior, level of noise, image and seed; see `prior.denoising`.

    Args:
        priors: by label.
        photographs: see `prior.denoising`.
        levels: see `prior.denoising`.
        seeds: of the noise.
        lpips: file of AlexNet's weights, to measure that, too.
        folder: where rows are kept; None to keep none.
        data: name of the photographs in rows.

    Raises:
        PellucidError: the folder cannot be written to, or a file not be read.
    """
    ledger, perceived = Ledger(folder, NAME), None if lpips is None else Lpips(lpips)
    for label, prior in priors.items():
        weights, device = fingerprint(prior), computed(str(device_of(prior)), precision_of(prior))
        for level in levels:
            for name, image in photographs.items():
                digest = hashlib.sha256(image.contiguous().numpy().tobytes()).hexdigest()
                about = {"label": label, "level": level, "image": digest, "lpips": lpips}
                configuration = of_configuration(weights, about)
                for seed in seeds:
                    key = (data, f"noise {level}/255", label, name, seed)
                    compute = partial(_row, prior, image, level, perceived, device, (*key, configuration), weights)
                    yield ledger.row((*key, configuration), compute)


def _row(
    prior: Prior,
    image: Tensor,
    level: int,
    lpips: Lpips | None,
    device: str,
    key: tuple[str, str, str, str, int, str],
    weights: str,
) -> Row:
    data, task, label, name, seed, configuration = key
    start = time.perf_counter()
    restored = denoised(prior, image, level, derive_seed(seed, name))
    seconds, truth = round(time.perf_counter() - start, 3), to_unit(image)
    figures = {"psnr": psnr(restored, truth).item()}
    if lpips is not None:
        figures["lpips"] = lpips(restored, truth).item()
    made = libraries()
    return Row(
        NAME, data, task, label, name, seed, figures, 1, seconds, 0.0, "", {}, configuration, weights, device, made
    )
