"""Everyday pictures: the default and each task on many kinds of damage, beside other tools.

Each row damages clean photographs or drawn pages and saves them as files. The restorations read these files as the
command line does, through `Recipe`, so the table shows the results that users get. Peers get the same pixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .. import degradations, images
from ..errors import UsageError
from ..images import Picture
from ..metrics import Lpips, psnr
from ..noise import derive_seed
from ..operators.jpeg import LUMA
from ..priors.prior import Prior
from ..restoration import Recipe
from ..train.variety import page
from . import peers
from .kinds import Kind, chosen

_MOST = 100.0
"""PSNR assigned to equal images, whose PSNR is infinite."""


@dataclass(frozen=True)
class Figures:
    """A line of the table: one way to restore one row, over all images and draws.

    Attributes:
        row: name of the kind of damage.
        entrant: "damaged", "default", a task, a method or a peer.
        psnr: mean, in dB.
        gain: mean over the damaged picture's, in dB.
        least: the least gain of an image.
        worst: the image with the least gain.
        lpips: mean; None without a network.
        nfe: the most evaluations for an image.
        seconds: an image, mean.
        failed: images without a result, which count as the damaged picture.
    """

    row: str
    entrant: str
    psnr: float
    gain: float
    least: float
    worst: str
    lpips: float | None
    nfe: int
    seconds: float
    failed: int = 0


Entrant = Callable[[Path, Picture], tuple[Tensor, int]]
"""Restores a file, already read, to colours (1, 3, H, W) in [0, 1] and a count of evaluations."""


@dataclass(frozen=True)
class _Shot:
    """One damaged file."""

    name: str
    truth: Tensor
    path: Path
    baseline: Tensor


def compare(
    prior: Prior,
    photographs: Mapping[str, Tensor],
    rows: Sequence[str] = (),
    methods: Sequence[str] = (),
    draws: int = 1,
    lpips: Lpips | None = None,
    seed: int = 0,
) -> Iterator[Figures]:
    """Restores every kind of damage with the default, with the task that names it, with methods and with peers.

    Args:
        prior: a colour prior, as loaded.
        photographs: clean ones by name, (1, 3, H, W) in [0, 1].
        rows: names from `kinds.KINDS`; empty for all.
        methods: further methods by name, each with its own default settings.
        draws: of the damage.
        lpips: network for LPIPS; None to leave it out.
        seed: seed of damages and restorations.

    Yields:
        For each row the damaged pictures first.

    Raises:
        UsageError: unknown row or method, or no draw.
    """
    if draws < 1:
        raise UsageError(f"a table needs at least one draw, not {draws}")
    kinds = chosen(rows)
    others = {name: _of(Recipe(name), prior) for name in methods}
    default = _of(Recipe(), prior)
    with TemporaryDirectory() as folder:
        for name, kind in kinds.items():
            # A restoration that does not enlarge cannot be compared with the larger truth.
            entrants: dict[str, Entrant] = {} if kind.reduced > 1 else {"default": default}
            if kind.task is not None:
                more: dict[str, Any] = {"by": kind.reduced} if kind.task == "enlarge" else {}
                entrants[f"task {kind.task}"] = _of(Recipe(task=kind.task, **more), prior)
            entrants |= {} if kind.reduced > 1 else others
            entrants |= {
                label: _peer(function) for label, function in peers.of(kind.peers, kind.sigma, kind.reduced).items()
            }
            shots = [
                _shot(kind, image, photograph, draw, seed, Path(folder))
                for draw in range(draws)
                for image, photograph in photographs.items()
            ]
            yield from _figures(name, kind, shots, entrants, lpips)


def _of(recipe: Recipe, prior: Prior) -> Entrant:
    restorer = recipe.restorer(prior)

    def entrant(path: Path, picture: Picture) -> tuple[Tensor, int]:
        restored, result = restorer.picture(picture, derive_seed(0, path.name), marked=False)
        return restored.tensor(3), result.nfe

    return entrant


def _peer(function: peers.Peer) -> Entrant:
    def entrant(_: Path, picture: Picture) -> tuple[Tensor, int]:
        pixels = np.ascontiguousarray((picture.tensor(3)[0] * 255).round().byte().permute(1, 2, 0).numpy())
        return torch.from_numpy(function(pixels).copy()).permute(2, 0, 1)[None].float() / 255, 0

    return entrant


def _shot(kind: Kind, name: str, photograph: Tensor, draw: int, seed: int, folder: Path) -> _Shot:
    """One damaged file, and the truth at the size of a restoration."""
    own = derive_seed(seed, name, draw + 1)
    if kind.drawn is not None:
        side = min(photograph.shape[-2:])
        truth = torch.from_numpy(page(kind.drawn, side, np.random.default_rng(own)).copy())
        truth = truth.permute(2, 0, 1)[None].float() / 255
    else:
        truth = photograph
        if kind.grey:
            truth = (truth * _LUMA).sum(1, keepdim=True).expand_as(truth)
        height, width = (size // kind.reduced * kind.reduced for size in truth.shape[-2:])
        truth = (truth[..., :height, :width] * 255).round() / 255
    damaged = F.avg_pool2d(truth, kind.reduced) if kind.reduced > 1 else truth
    if kind.damage:
        damaged = degradations.get(kind.damage)(damaged, own)
    pixels = (damaged.clamp(0, 1)[0] * 255).round().byte().permute(1, 2, 0).numpy()
    path = folder / f"{own}{'.png' if kind.quality is None else '.jpg'}"
    saving: dict[str, Any] = {} if kind.quality is None else {"quality": kind.quality, "subsampling": kind.subsampling}
    Image.fromarray(np.ascontiguousarray(pixels[..., 0] if kind.grey else pixels)).save(path, **saving)
    baseline = images.read(path).tensor(3)
    if kind.reduced > 1:
        baseline = F.interpolate(baseline, truth.shape[-2:], mode="bicubic").clamp(0, 1)
    return _Shot(name, truth, path, baseline)


_LUMA = torch.tensor(LUMA).view(1, 3, 1, 1)


def _figures(
    row: str, kind: Kind, shots: Sequence[_Shot], entrants: Mapping[str, Entrant], lpips: Lpips | None
) -> Iterator[Figures]:
    def measured(shot: _Shot, image: Tensor) -> tuple[float, float | None]:
        if kind.exposure:
            image = _fitted(image, shot.truth)
        return min(psnr(image, shot.truth).item(), _MOST), None if lpips is None else lpips(image, shot.truth).item()

    before = [measured(shot, shot.baseline) for shot in shots]
    yield _line(row, "damaged", shots, before, before, 0, 0.0, 0)
    for name, entrant in entrants.items():
        after, nfe, failed, start = [], 0, 0, time.perf_counter()
        for shot, own in zip(shots, before, strict=True):
            try:
                image, calls = entrant(shot.path, images.read(shot.path))
            except peers.PeerError:
                after.append(own)
                failed += 1
                continue
            after.append(measured(shot, image))
            nfe = max(nfe, calls)
        yield _line(row, name, shots, before, after, nfe, (time.perf_counter() - start) / len(shots), failed)


def _line(
    row: str,
    name: str,
    shots: Sequence[_Shot],
    before: Sequence[tuple[float, float | None]],
    after: Sequence[tuple[float, float | None]],
    nfe: int,
    seconds: float,
    failed: int,
) -> Figures:
    gains = [now[0] - then[0] for now, then in zip(after, before, strict=True)]
    least = min(range(len(gains)), key=gains.__getitem__)
    perceived = [own for _, own in after if own is not None]
    return Figures(
        row,
        name,
        sum(own for own, _ in after) / len(after),
        sum(gains) / len(gains),
        gains[least],
        shots[least].name,
        sum(perceived) / len(perceived) if perceived else None,
        nfe,
        seconds,
        failed,
    )


def _fitted(image: Tensor, truth: Tensor) -> Tensor:
    """Scales an image by the factor of light that fits the truth best."""
    factor = (image * truth).sum() / image.square().sum().clamp_min(1e-12)
    return (factor * image).clamp(0, 1)


def markdown(table: Iterator[Figures]) -> Iterator[str]:
    """Yields the table's lines in Markdown, each as soon as its figures are known."""
    yield "| row | entrant | PSNR | gain | least gain | LPIPS | calls | seconds | worst image |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for one in table:
        perceived = "-" if one.lpips is None else f"{one.lpips:.3f}"
        worst = "-" if one.entrant == "damaged" else one.worst
        lacking = f" ({one.failed} failed)" if one.failed else ""
        yield (
            f"| {one.row} | {one.entrant}{lacking} | {one.psnr:.2f} | {one.gain:+.2f} | {one.least:+.2f} | "
            f"{perceived} | {one.nfe} | {one.seconds:.2f} | {worst} |"
        )
