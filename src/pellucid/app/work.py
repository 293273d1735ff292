"""One job of the page: every picture in every variant, with live results."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from .. import images, jobs
from ..api import Restored, Restorer
from ..diagnosis import Diagnosis
from ..errors import PellucidError
from ..jobs.memory import with_less
from ..jobs.writing import write
from ..methods.auto import Auto
from ..methods.plan import KEPT, LEFT, UNCHANGED
from ..priors import Prior, load_prior
from ..priors.latent import latent_of
from ..priors.prior import Evaluation, Wrapper
from ..support.devices import find_device
from ..support.plural import number_of
from .bounds import check_evaluations
from .calls import target_name
from .choices import Variant
from .limits import named
from .look import look
from .preview import show, spread
from .queue import Job
from .session import Outcome, Round, Upload, Version
from .words import plain

Box = tuple[int, int, int, int]
"""Top, left, height and width of a part in pixels."""

PART = 256
"""Side of the part to try, in pixels."""

# JPEG's blocks, with colours reduced, are as long: a part cut along them was compressed as the whole was.
_GRID = 16


class Restorers:
    """Makes restorers, and loads each prior once.

    Args:
        device: where to compute; None for a GPU where there is one.
        offline: see `load_prior`.
        backend: see `load_prior`.
        precision: see `load_prior`.

    Attributes:
        options_used: options that differ from their defaults (device, backend, precision), by name.
        pace: a network's seconds for a pixel, from the last job; None before.
    """

    def __init__(
        self,
        device: str | None = None,
        offline: bool = False,
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        self._device, self._offline, self._backend, self._precision = device, offline, backend, precision
        self.options_used: dict[str, Any] = {"device": device} if device is not None else {}
        if backend != "auto":
            self.options_used["backend"] = backend
        if precision != "auto":
            self.options_used["precision"] = precision
        self._priors: dict[str, Prior] = {}
        self.pace: float | None = None

    def load(self, name: str) -> Prior:
        """Returns a prior, loaded at the first call."""
        if name not in self._priors:
            self._priors[name] = load_prior(
                name, find_device(self._device), offline=self._offline, backend=self._backend, precision=self._precision
            )
        return self._priors[name]

    def of(self, variant: Variant) -> Restorer:
        """Makes the restorer of a variant.

        Raises:
            UsageError: its choices exclude each other.
            PellucidError: the prior cannot be loaded.
        """
        recipe = replace(variant.choices.recipe(), **self.options_used)
        return recipe.restorer(self.load(variant.choices.prior) if recipe.kind.needs_prior else None)


@dataclass(frozen=True)
class Work:
    """Work of a job.

    Attributes:
        pictures: to restore.
        together: whether they are exposures of one picture.
        into: receives the results one by one.
        folder: folder for its files.
        restorers: see `Restorers`.
        box: the part of each picture that is restored; None for the whole.
    """

    pictures: Sequence[Upload]
    together: bool
    into: Round
    folder: Path
    restorers: Restorers
    box: Box | None = None

    def __call__(self, job: Job) -> None:
        """Restores all pictures; a failed one is named in its outcome, and the others are done."""
        start = time.monotonic()
        job.doing = "getting ready"
        groups = [list(self.pictures)] if self.together else [[picture] for picture in self.pictures]
        usual = self._ready(groups[0][0])
        for _, restorer in usual:
            check_evaluations(restorer.nfe())
        readies = [self._ready(group[0]) if group[0].mask and self._masked else usual for group in groups]
        works = [
            [self._work(group[0], restorer) for _, restorer in ready]
            for group, ready in zip(groups, readies, strict=True)
        ]
        job.total = sum(map(sum, works))
        over = 0
        for number, (group, ready, shares) in enumerate(zip(groups, readies, works, strict=True)):
            job.part = (over, sum(shares))
            outcome = self.into.outcomes.setdefault(group[0].name, Outcome())
            if self.box is not None:
                outcome.before = show(self._read(group[0]), self.folder / "before")
            samples: list[Tensor] = []
            for (variant, restorer), share in zip(ready, shares, strict=True):
                job.check()
                job.doing = _doing(number, len(groups), group[0].name, variant if len(ready) > 1 else None)
                self._one(job, group, variant, restorer, outcome, samples)
                job.x0 = None
                over += share
                job.done = over
            if len(samples) > 1 and len({sample.shape for sample in samples}) == 1 and self._sampled:
                outcome.spread = self._spread(samples, group[0].name)
        self.into.seconds = time.monotonic() - start

    @property
    def _masked(self) -> bool:
        return self.into.variants[0].choices.needs("mask")

    def _ready(self, upload: Upload) -> list[tuple[Variant, Restorer]]:
        """Makes the restorers of a picture, variant by variant, with its mask."""
        made = self.into.variants
        if self._masked and upload.mask is not None and self.box is None:
            made = tuple(replace(one, choices=replace(one.choices, mask=upload.mask)) for one in made)
        return [(variant, self.restorers.of(variant)) for variant in made]

    def _size(self, upload: Upload) -> tuple[int, int]:
        return upload.size if self.box is None else self.box[2:]

    def _work(self, upload: Upload, restorer: Restorer) -> int:
        if self.box is not None:
            return restorer.work(*self.box[2:]) or 1
        known = expected(upload, restorer)
        return jobs.pixels(upload.path, restorer) if known is None else known or 1

    def _read(self, upload: Upload) -> images.Picture:
        picture = images.read(upload.path)
        return picture if self.box is None else crop(picture, self.box)

    @property
    def _sampled(self) -> bool:
        return self.into.variants[0].slug.startswith("sample")

    def _one(
        self, job: Job, group: Sequence[Upload], variant: Variant, restorer: Restorer, outcome: Outcome,
        samples: list[Tensor],
    ) -> None:  # fmt: skip
        first = group[0]
        target = self.folder / target_name(first.output, variant.slug)
        start = time.monotonic()
        with jobs.caught(str(first.path)) as errors:
            pictures = [self._read(upload) for upload in group]
            images.check_holds(pictures[0], target)
            seed, known = variant.choices.seed, self._known(first, restorer)
            # What a method has of latents on its way is no picture to look at.
            see = job.see if latent_of(restorer.prior) is None else None
            (restored, result), less = with_less(
                restorer,
                self._size(first),
                lambda smaller: (
                    smaller.exposures(pictures, seed, job.advance, see)
                    if self.together
                    # In smaller tiles it would have been found out otherwise.
                    else smaller.picture(
                        pictures[0], seed, job.advance, see, found=known if smaller is restorer else None
                    )
                ),
            )
            written = write(restored, result.notes, pictures, target, source=first.path if self.box is None else None)
            shown = show(restored, self.folder / f"{target.name}-shown")
            seconds = time.monotonic() - start
            note = plain(_note(replace(result, notes=written.notes), less, written.lost, seconds), self.folder.parent)
            outcome.versions.append(Version(variant.label, target, shown, note, seconds, written.lost or ""))
            if variant.choices.automatic:
                outcome.left = left_alone(restored, pictures[0], "".join(result.notes))
            samples.append(result.colours)
        prefix = f"{variant.label}: " if len(self.into.variants) > 1 else ""
        # A folder of each picture lies in the session's.
        folder = self.folder.parent
        outcome.errors += [prefix + plain(named(error, first.path, first.name), folder) for error in errors]

    def _known(self, upload: Upload, restorer: Restorer) -> Diagnosis | None:
        return known_of(upload, restorer) if self.box is None and not self.together else None

    def _spread(self, samples: Sequence[Tensor], name: str) -> Version:
        picture, most = spread(samples)
        path = self.folder / f"{name}-invented.png"
        images.write(picture, path)
        note = f"bright where the samples differ, by up to {255 * most:.0f} of 255: there the picture says nothing"
        return Version("What was invented", path, path, note)


@dataclass(frozen=True)
class Looking:
    """A job that diagnoses a picture.

    Attributes:
        upload: the picture.
        restorers: see `Restorers`.
        prior: prior for the diagnosis.
    """

    upload: Upload
    restorers: Restorers
    prior: str

    def __call__(self, job: Job) -> None:
        """Diagnoses the picture; one that cannot be read fails at its restoration."""
        try:
            prior = self.restorers.load(self.prior)
            self.upload.prior = self.prior
            if latent_of(prior) is None and self.upload.path.is_file():
                self.upload.verdict, pace = look(Stoppable(prior, job), images.read(self.upload.path))
                self.restorers.pace = pace or self.restorers.pace
        except PellucidError:
            pass
        finally:
            self.upload.looked = True


class Stoppable(Wrapper):
    """A prior that ends at its next evaluation after a stop."""

    def __init__(self, prior: Prior, job: Job) -> None:
        super().__init__(prior)
        self._job = job

    def evaluate(self, inner: Evaluation, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Wrapper`."""
        self._job.check()
        return inner(x, sigma)


def expected(upload: Upload, restorer: Restorer) -> int | None:
    """Expected pixels through the network for a picture; None if only an upper bound is known.

    The automatic method makes the evaluations of its plan, which the look at the picture found out.
    """
    if known_of(upload, restorer) is None or upload.verdict is None:
        return None
    return upload.verdict.plan * restorer.tiles(*upload.size).pixels


def known_of(upload: Upload, restorer: Restorer) -> Diagnosis | None:
    """A picture's diagnosis, where its restoration would find out just the same; None where it has to look itself."""
    verdict, method = upload.verdict, restorer.method
    if not isinstance(method, Auto) or method.fidelity == 1 or verdict is None or not verdict.whole:
        return None
    if (
        latent_of(restorer.prior) is not None
        or restorer.recipe.prior != upload.prior
        or restorer.recipe.tile is not None
    ):
        return None
    return verdict.found


def part(size: tuple[int, int], centre: tuple[float, float]) -> Box:
    """Part of a picture for a trial.

    Args:
        size: its height and width.
        centre: centre of the part, across and down, as shares of width and height.
    """
    top, left = (_begin(share, side) for share, side in zip(centre[::-1], size, strict=True))
    return top, left, min(PART, size[0]), min(PART, size[1])


def crop(picture: images.Picture, box: Box) -> images.Picture:
    """Cuts a part out of a picture's first page; the file's compression stays known."""
    top, left, height, width = box
    rows, columns = slice(top, top + height), slice(left, left + width)
    alpha = None if picture.alpha is None else picture.alpha[rows, columns]
    return replace(picture, colour=picture.colour[rows, columns], alpha=alpha, more=(), coded=None)


def _begin(share: float, side: int) -> int:
    """First pixel of a part with a given centre, on the grid, within the picture if possible."""
    wished = round((share * side - PART / 2) / _GRID) * _GRID
    return max(min(wished, (side - PART) // _GRID * _GRID), 0)


def _doing(number: int, groups: int, name: str, variant: Variant | None) -> str:
    words = [f"{number + 1} of {groups}"] if groups > 1 else []
    words.append(name)
    if variant is not None:
        words.append(variant.label)
    return " · ".join(words)


def left_alone(restored: images.Picture, before: images.Picture, note: str) -> str:
    """Reason why the default left a picture alone; empty if it changed any page.

    Args:
        restored: the result.
        before: the picture.
        note: of the restoration, of all pages.
    """
    pages = zip(restored.pages, before.pages, strict=True)
    if UNCHANGED not in note or not all(np.array_equal(page.colour, old.colour) for page, old in pages):
        return ""
    if KEPT in note:
        return "fidelity 1 changes nothing"
    if re.search(rf"(?:^|[:;] ){UNCHANGED}", note):
        return "what was found is repaired on request"
    return "nothing was found to repair" if LEFT in note else "what was found cannot be repaired"


def _note(result: Restored, less: str | None, lost: str | None, seconds: float) -> str:
    told = [*result.notes, *filter(None, (less, lost))]
    if result.noise:
        told.append(f"noise {result.noise[0]:.4f}")
    return "; ".join([*told, f"{number_of(result.nfe, 'evaluation')}, {seconds:.1f} s"])
