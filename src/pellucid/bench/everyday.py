"""Everyday pictures: the default and each task on many kinds of damage, beside other tools.

Each row damages clean photographs or drawn pages and saves them as files. The restorations read these files as the
command line does, through `Recipe`, so the table shows the results that users get. Peers get the same pixels.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from statistics import fmean
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
from ..jobs.fingerprint import of_configuration
from ..maths.noise import derive_seed
from ..metrics import Lpips, psnr
from ..operators.jpeg import LUMA
from ..priors.backends import precision_of
from ..priors.fingerprint import fingerprint
from ..priors.prior import Prior, device_of
from ..release import version
from ..restoration import Recipe
from ..train.variety import page
from . import peers
from .intervals import bounded
from .kinds import Kind, chosen
from .ledger import Ledger
from .rows import Row, computed
from .summary import check_versus

NAME, FAILED = "photographs", "gave no result"
"""Of the table; the note of a peer's row that counts as the damaged picture does."""

COLUMNS = ("psnr", "gain", "lpips")
"""Figures of an image; the last needs its network."""


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
        draws: of the damage.
        images: number of photographs.
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
    draws: int = 1
    images: int = 1


Restores = Callable[[Path, Picture], tuple[Tensor, int]]
"""Restores a file, which is read already, into colours (1, 3, H, W) in [0, 1] and evaluations."""


@dataclass(frozen=True)
class _Shot:
    """One damaged file."""

    name: str
    draw: int
    truth: Tensor
    path: Path
    baseline: Tensor


def compare(
    prior: Prior,
    photographs: Mapping[str, Tensor],
    rows: Sequence[str] = (),
    methods: Sequence[str] = (),
    draws: int = 1,
    lpips: Path | None = None,
    seed: int = 0,
) -> Iterator[Figures]:
    """The lines of `measured`, each as soon as its images are done."""
    every = measured(Measurement(prior, photographs, rows, methods, range(draws), lpips, seed))
    for _, own in groupby(every, lambda row: (row.task, row.method)):
        yield figures(list(own))


@dataclass(frozen=True)
class Measurement:
    """Restorations of every kind of damage: by the default, the task that names it, methods and peers.

    Attributes:
        prior: a colour prior, as loaded.
        photographs: clean ones by name, (1, 3, H, W) in [0, 1].
        rows: names from `kinds.KINDS`; empty for all.
        methods: further methods by name, each with its own default settings.
        draws: numbers of the draws of the damage.
        lpips: file of AlexNet's weights, to measure that, too.
        seed: of damages and restorations.
        folder: where rows are kept; None to keep none.
        data: name of the photographs in rows.
        settings: hyper-parameters of the methods, by name, as values or as they are typed.
        versus: label that others will be compared with, to refuse an unknown one before anything is computed.
    """

    prior: Prior
    photographs: Mapping[str, Tensor]
    rows: Sequence[str] = ()
    methods: Sequence[str] = ()
    draws: Sequence[int] = (0,)
    lpips: Path | None = None
    seed: int = 0
    folder: Path | None = None
    data: str = "bundled"
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    versus: str | None = None


def measured(job: Measurement) -> Iterator[Row]:
    """Gives every row, old and new, of each kind the damaged pictures first.

    Raises:
        UsageError: there is no such row or method, or no draw, or nobody of the label to compare with.
        PellucidError: the folder cannot be written to.
    """
    if not job.draws:
        raise UsageError("a table needs at least one draw, not 0")
    kinds, prior = chosen(job.rows), job.prior
    others = {name: _of(Recipe(name, settings=job.settings.get(name, {})), prior) for name in job.methods}
    entering = _Entering(job, _of(Recipe(), prior), others)
    labels = {label: None for kind in kinds.values() for label in entering.entrants(kind)}
    check_versus(job.versus, labels)
    with TemporaryDirectory() as folder:
        for name, kind in kinds.items():
            shots = [
                _shot(kind, image, photograph, draw, job.seed, Path(folder))
                for draw in job.draws
                for image, photograph in job.photographs.items()
            ]
            yield from entering.rows(name, kind, shots)


class _Entering:
    """Those who restore, and the rows that they have."""

    def __init__(self, job: Measurement, default: Restores, others: Mapping[str, Restores]) -> None:
        self._job, self._default, self._others = job, default, others
        if job.folder is not None:
            job.folder.mkdir(parents=True, exist_ok=True)
        self._ledger, self._weights = Ledger(job.folder, NAME), fingerprint(job.prior)
        self._device = computed(str(device_of(job.prior)), precision_of(job.prior))
        self._lpips = None if job.lpips is None else Lpips(job.lpips)

    def rows(self, name: str, kind: Kind, shots: Sequence[_Shot]) -> Iterator[Row]:
        """The rows of one kind of damage."""
        for label, entrant in self.entrants(kind).items():
            for shot in shots:
                yield self._row(name, kind, label, entrant, shot)

    def entrants(self, kind: Kind) -> dict[str, Restores | None]:
        """Those who restore one kind of damage, by label."""
        # A restoration that does not enlarge cannot be compared with the larger truth.
        entrants: dict[str, Restores | None] = {"damaged": None}
        if kind.reduced == 1:
            entrants["default"] = self._default
        if kind.task is not None:
            more: dict[str, Any] = {"by": kind.reduced} if kind.task == "enlarge" else {}
            entrants[f"task {kind.task}"] = _of(Recipe(task=kind.task, **more), self._job.prior)
        told = peers.of(kind.peers, kind.sigma, kind.reduced)
        entrants |= {label: _peer(function) for label, function in told.items()}
        if kind.reduced == 1:
            # A method may have the name of what is there already.
            entrants |= {f"method {name}" if name in entrants else name: own for name, own in self._others.items()}
        return entrants

    def _row(self, name: str, kind: Kind, label: str, entrant: Restores | None, shot: _Shot) -> Row:
        job = self._job
        settings = dict(job.settings.get(label.removeprefix("method "), {}))
        about = {
            "kind": asdict(kind),
            "entrant": label,
            "settings": settings,
            "lpips": job.lpips,
            "image": hashlib.sha256(shot.path.read_bytes() + shot.truth.numpy().tobytes()).hexdigest(),
            "name": shot.path.name,
        }
        configuration = of_configuration(self._weights, about)

        def compute() -> Row:
            start, image, nfe, note = time.perf_counter(), shot.baseline, 0, ""
            if entrant is not None:
                try:
                    image, nfe = entrant(shot.path, images.read(shot.path))
                except peers.PeerError:
                    note = FAILED
            seconds = time.perf_counter() - start if entrant is not None else 0.0
            return Row(
                NAME, job.data, name, label, shot.name, shot.draw, _measured(kind, shot, image, self._lpips), nfe,
                round(seconds, 3), 0.0, "", {"entrant": label, **settings}, configuration, self._weights,
                self._device, {package: version(package) for package in ("pellucid", "torch")}, note=note,
            )  # fmt: skip

        return self._ledger.row((job.data, name, label, shot.name, shot.draw, configuration), compute)


def _of(recipe: Recipe, prior: Prior) -> Restores:
    restorer = recipe.restorer(prior)

    def entrant(path: Path, picture: Picture) -> tuple[Tensor, int]:
        restored, result = restorer.picture(picture, derive_seed(0, path.name), marked=False)
        return restored.tensor(3), result.nfe

    return entrant


def _peer(function: peers.Peer) -> Restores:
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
        if kind.scanned > 1:
            truth = F.interpolate(truth, scale_factor=kind.scanned, mode="bicubic").clamp(0, 1)
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
    return _Shot(name, draw, truth, path, baseline)


_LUMA = torch.tensor(LUMA).view(1, 3, 1, 1)


def _measured(kind: Kind, shot: _Shot, image: Tensor, lpips: Lpips | None) -> dict[str, float]:
    """Metrics of a restored picture, and what the damaged one's PSNR is."""
    image, before = (_fitted(one, shot.truth) if kind.exposure else one for one in (image, shot.baseline))
    after, damaged = (bounded("psnr", psnr(one, shot.truth).item()) for one in (image, before))
    figures = {"psnr": after, "gain": after - damaged}
    return figures if lpips is None else figures | {"lpips": lpips(image, shot.truth).item()}


def figures(rows: Sequence[Row]) -> Figures:
    """A line of the table.

    Args:
        rows: all of one kind of damage and one way to restore it.
    """
    worst = min(rows, key=lambda row: row.figures["gain"])
    perceived = [row.figures["lpips"] for row in rows if "lpips" in row.figures]
    return Figures(
        worst.task,
        worst.method,
        fmean(row.figures["psnr"] for row in rows),
        fmean(row.figures["gain"] for row in rows),
        worst.figures["gain"],
        worst.image,
        fmean(perceived) if perceived else None,
        max(row.nfe for row in rows),
        fmean(row.seconds for row in rows),
        sum(row.note == FAILED for row in rows),
        len({row.seed for row in rows}),
        len({row.image for row in rows}),
    )


def _fitted(image: Tensor, truth: Tensor) -> Tensor:
    """Scales an image by the factor of light that fits the truth best."""
    factor = (image * truth).sum() / image.square().sum().clamp_min(1e-12)
    return (factor * image).clamp(0, 1)


def markdown(table: Iterator[Figures]) -> Iterator[str]:
    """Yields the table's lines in Markdown, each as soon as its figures are known."""
    yield "| row | method | PSNR | gain | least gain | LPIPS | NFE | seconds | worst image |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for one in table:
        perceived = "-" if one.lpips is None else f"{one.lpips:.3f}"
        worst = "-" if one.entrant == "damaged" else one.worst
        lacking = f" ({one.failed} failed)" if one.failed else ""
        yield (
            f"| {one.row} | {one.entrant}{lacking} | {one.psnr:.2f} | {one.gain:+.2f} | {one.least:+.2f} | "
            f"{perceived} | {one.nfe} | {one.seconds:.2f} | {worst} |"
        )
