"""Diagnosis of a new picture: its damage, the possible actions, and their times."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from .. import diagnosis, images
from ..diagnosis import Diagnosis, exposure
from ..diagnosis.estimate import stretches
from ..maths.problem import to_model
from ..methods.auto import Auto
from ..priors import Counted, Prior, fit
from ..priors.prior import Evaluation, Wrapper, device_of

_WHOLE = 512
_SAMPLED = 1 << 18
_STRETCH, _STRETCHES = 128, 2
"""Of a longer side than that two stretches are looked at, from the middles of its halves."""


@dataclass(frozen=True)
class Action:
    """An action on a picture, started by one press.

    Attributes:
        label: text of its button.
        task: see `tasks`; None for the automatic method.
        by: how many times larger the picture becomes.
    """

    label: str
    task: str | None = None
    by: int | None = None


ACTIONS = {
    "clean": Action("Clean"),
    "sharpen": Action("Sharpen", "unblur"),
    "brighten": Action("Brighten", "lowlight"),
    "freshen": Action("Freshen", "unfade"),
    "scratches": Action("Fill scratches", "scratches"),
    "colour": Action("Colour", "colorize"),
    "enlarge-2": Action("Enlarge x2", "enlarge", 2),
    "enlarge-4": Action("Enlarge x4", "enlarge", 4),
}
"""The actions by their keys."""


@dataclass(frozen=True)
class Verdict:
    """Result of the diagnosis, in the page's words.

    Attributes:
        words: a phrase for each damage; empty if there is none.
        advised: keys of the actions that help, the best first.
        grey: whether it has no colours.
        calls: evaluations of the prior that finding out takes.
        plan: further ones that the automatic method makes.
        whole: whether all of the picture, which is all of the file, was looked at, so that the two numbers hold.
        found: the diagnosis itself.
        pages: number of pages, of which the first was looked at.
    """

    words: tuple[str, ...]
    advised: tuple[str, ...]
    grey: bool
    calls: int
    plan: int
    whole: bool
    found: Diagnosis = field(default_factory=Diagnosis, compare=False)
    pages: int = 1


class Timed(Wrapper):
    """Measures the time of a prior.

    Attributes:
        seconds: time in the prior so far.
        pixels: pixels through the prior so far.
    """

    def __init__(self, prior: Prior) -> None:
        super().__init__(prior)
        self.seconds, self.pixels = 0.0, 0

    def evaluate(self, inner: Evaluation, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Wrapper`."""
        start = time.monotonic()
        x0 = inner(x, sigma)
        self.seconds += time.monotonic() - start
        self.pixels += x[:, 0].numel()
        return x0


def look(prior: Prior, picture: images.Picture) -> tuple[Verdict, float | None]:
    """Diagnoses the first page of a picture; of a large picture, an excerpt.

    Returns:
        The verdict, and the prior's seconds for a pixel; None if the prior was not evaluated.
    """
    picture = picture.filled()
    seen = excerpt(picture)
    pixels = seen.tensor()
    pixels = pixels.expand(-1, prior.channels, -1, -1) if pixels.shape[1] == 1 else pixels
    timed = Timed(prior)
    counted = Counted(fit(timed, None))
    own = to_model(pixels.to(device_of(prior), torch.float32))
    found = diagnosis.diagnose(counted, own, diagnosis.from_file(picture))
    whole = seen is picture
    if not whole:
        # The light is that of all of it.
        found = replace(found, exposure=exposure.estimate(to_model(_sampled(picture).tensor())))
    made = replace(verdict(found, counted.nfe, whole and not picture.more), pages=len(picture.pages))
    return made, timed.seconds / timed.pixels if timed.pixels else None


def excerpt(picture: images.Picture) -> images.Picture:
    """The part of a large picture's first page that is looked at; a smaller picture itself."""
    # Of the numbers of its rows and columns: pixels of a large picture are many to be made floats of.
    rows, columns = (
        stretches(torch.arange(side)[:, None], _STRETCH, _STRETCHES, _WHOLE)[:, 0].numpy()
        for side in picture.colour.shape[:2]
    )
    if len(rows) * len(columns) == picture.colour.shape[0] * picture.colour.shape[1]:
        return picture
    return replace(picture, colour=picture.colour[np.ix_(rows, columns)], alpha=None, more=(), jpeg=None)


def _sampled(picture: images.Picture) -> images.Picture:
    """Some pixels of all parts of a large picture's first page."""
    step = max(1, math.isqrt(picture.colour.shape[0] * picture.colour.shape[1] // _SAMPLED))
    return replace(picture, colour=picture.colour[::step, ::step], alpha=None, more=(), jpeg=None)


def verdict(found: Diagnosis, calls: int = 0, whole: bool = True) -> Verdict:
    """States a diagnosis in the page's words; see `Verdict`."""
    plan = Auto().plan(found)
    damage = [one for one in found.findings if one is not found.content and (one.remedy or one is found.exposure)]
    advised = []
    if found.exposure is not None and found.exposure.dark:
        # It takes the noise away, too.
        advised.append("brighten")
    elif found.exposure is not None:
        advised.append("freshen")
    if plan.stages:
        advised.append("clean")
    if found.blur is not None:
        advised.append("sharpen")
    if found.scratches is not None:
        advised.append("scratches")
    grey = found.content is not None and found.content.grey
    return Verdict(tuple(_words(one.text) for one in damage), tuple(advised), grey, calls, plan.nfe, whole, found)


def _words(text: str) -> str:
    # How a JPEG file stores its colours says nothing to those who look.
    text = re.sub(r"(JPEG quality \d+), [\d:]+", r"\1", text)
    return re.sub(r"of ([\d.]+) of 255", lambda level: f"of {float(level[1]) / 2.55:.0f} %", text)
